// What a snapshot changes: the entries that were read, and what is gone.
// In: entries in the order of reading.  Out: manifest records in tree order, as often as they are needed.

internal import Archiving
internal import Kernel
internal import Scanning

struct SnapshotChanges {
    let planned: PlannedEntries
    /// In tree order.
    let deletions: [Path]
    private let entries: PackedEntries
    private(set) var upsertCount = 0

    /// - Parameter directory: For what memory should not hold.
    init(_ plan: SnapshotPlan, spillingInto directory: Path) {
        planned = plan.upserts
        deletions = plan.deletions
        entries = PackedEntries(count: planned.count, spillingInto: directory)
    }

    /// Takes the entry of the planned one at `index`.
    ///
    /// - Throws: `AgentError.failed`: there is no room for it.
    mutating func take(_ entry: Entry, at index: Int) throws {
        try entries.put(entry, at: index)
        upsertCount += 1
    }

    /// Takes out what is in no directory: the directory went away, or became something else, before it was read itself.
    ///
    /// - Parameter isKnown: True for a directory of the newest snapshot.
    /// - Returns: Those directories, in tree order. There may be others there by now.
    mutating func removeOrphans(below sources: [Path], isKnown: (Path) throws -> Bool) rethrows -> [Path] {
        let gone = Set(deletions)
        var absent: Set<Path> = []
        let orphans = try planned.positions(inDirectories: { directory in
            guard sources.contains(where: { directory.isAtOrBelow($0) }) else { return false }
            let stands: Bool
            if let position = planned.position(of: directory), entries.isThere(position) {
                stands = planned.kind(at: position) == .directory && directory.parent.map { !absent.contains($0) } ?? true
            } else {
                stands = try !gone.contains(directory) && isKnown(directory)
            }
            if !stands { absent.insert(directory) }
            return !stands
        })
        for position in orphans where entries.isThere(position) {
            entries.remove(at: position)
            upsertCount -= 1
        }
        return absent.sorted()
    }

    var isEmpty: Bool { count == 0 }
    var count: Int { upsertCount + deletions.count }

    func records() -> Records { Records(self) }

    struct Records {
        private let changes: SnapshotChanges
        private var upsert = 0
        private var deletion = 0

        fileprivate init(_ changes: SnapshotChanges) {
            self.changes = changes
        }

        /// - Throws: As `PackedEntries.entry`.
        mutating func next() throws -> ManifestRecord? {
            while upsert < changes.planned.count, !changes.entries.isThere(upsert) { upsert += 1 }
            let path = upsert < changes.planned.count ? changes.planned[upsert].path : nil
            if deletion < changes.deletions.count, path.map({ changes.deletions[deletion] < $0 }) ?? true {
                defer { deletion += 1 }
                return .deletion(changes.deletions[deletion])
            }
            guard let path else { return nil }
            defer { upsert += 1 }
            return .upsert(try changes.entries.entry(at: upsert, path))
        }
    }
}
