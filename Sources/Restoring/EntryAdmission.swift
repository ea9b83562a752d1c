// Which entries of a restore are wanted, by the patterns of its filter.
// In: entries in tree order.  Out: those to restore, each directory before what is in it.
// Invariant: what lies in an excluded directory stays out, whatever includes it. A directory that no pattern includes comes, with its
// own metadata, as soon as something below it does, and else not at all. Memory O(depth).

internal import Archiving
internal import Kernel
internal import Scanning

struct EntryAdmission {
    private let filter: RestoreRequest.Filter
    /// Directories above the entry in hand that nothing has asked for yet.
    private var waiting: [Entry] = []
    /// The latest directory that was included, or excluded, as a whole.
    private var included: Path?
    private var excluded: Path?

    init(_ filter: RestoreRequest.Filter) {
        self.filter = filter
    }

    /// - Returns: The entry, after the directories above it that have waited; or nothing.
    mutating func admit(_ entry: Entry) -> [Entry] {
        if filter.include.isEmpty && filter.exclude.isEmpty { return [entry] }
        if let excluded, entry.path.isAtOrBelow(excluded) { return [] }
        let isDirectory = entry.kind == .directory
        if filter.exclude.contains(where: { $0.matches(entry.path, isDirectory: isDirectory) }) {
            if isDirectory { excluded = entry.path }
            return []
        }
        waiting.removeAll { !entry.path.isBelow($0.path) }
        var isWanted = filter.include.isEmpty || included.map { entry.path.isBelow($0) } ?? false
        if !isWanted, filter.include.contains(where: { $0.matches(entry.path, isDirectory: isDirectory) }) {
            isWanted = true
            if isDirectory { included = entry.path }
        }
        guard isWanted else {
            if isDirectory { waiting.append(entry) }
            return []
        }
        defer { waiting = [] }
        return waiting + [entry]
    }
}
