// Where the directories of events stand in the sources, and what the events mean there.
// In: FanotifyEvent; a function that asks the kernel where a directory is.  Out: EventOutcome.
// Invariant: what is remembered was true when the latest rename of a directory was read. A path that was true only before a
// rename that is still in the queue is covered by that rename, which makes both of its subtrees dirty.
// Handles are never used twice, so that a removed directory's own entry does no harm.

import Kernel
import Tracking

struct DirectoryPlaces {
    /// A source, and where the kernel says that it is, or was before it went away: without the symlinks of its path.
    struct Root: Hashable {
        var source: Path
        var place: Path
    }

    private enum Standing {
        case inside
        /// Too deep to be named: `path` is above it.
        case below
        /// A source is in it.
        case above
    }

    private struct Place {
        var path: Path
        var standing: Standing
    }

    /// The places of one directory; empty outside of the sources and below what is excluded.
    private struct Found {
        var numbers: Range<Int32>
        var isGone = false
    }

    /// About 2 MB at most.
    static let capacity = 8192

    let roots: [Root]
    private let capacity: Int
    private let isExcluded: (Path, FileKind) -> Bool
    private var known: [FileHandle: Found] = [:]
    private var places: [Place] = []
    /// The number of the first place. Numbers go on after `forget`, for a batch of changes tells directories apart by them.
    private var first: Int32 = 0

    init(roots: [Root], capacity: Int = DirectoryPlaces.capacity, isExcluded: @escaping (Path, FileKind) -> Bool) {
        self.roots = roots
        self.capacity = capacity
        self.isExcluded = isExcluded
    }

    /// - Parameter locate: What it throws means that the place cannot be told: the event counts as lost.
    mutating func apply(
        _ event: FanotifyEvent, to outcome: inout EventOutcome, locate: (FileHandle) throws(Errno) -> Location
    ) {
        if event.kinds.contains(.overflowed) {
            outcome.hasOverflowed = true
            forget()
            return
        }
        guard event.name.count <= 255 else { return }
        guard let handle = event.directory, let found = try? find(handle, locate) else {
            if !outcome.hasOverflowed { outcome.jobs.append(.checkSources) }
            outcome.hasOverflowed = true
            return
        }
        for number in found.numbers { apply(event, at: number, to: &outcome) }
        if movesDirectory(event), found.isGone || !found.numbers.isEmpty { forget() }
    }

    /// What is remembered is asked for again.
    mutating func forget() {
        known.removeAll(keepingCapacity: true)
        first = first > Int32.max / 2 ? 0 : first + Int32(places.count)
        places.removeAll(keepingCapacity: true)
    }

    private func movesDirectory(_ event: FanotifyEvent) -> Bool {
        event.kinds.contains(.isDirectory) && !event.kinds.isDisjoint(with: [.movedFrom, .movedTo])
    }

    private mutating func find(_ handle: FileHandle, _ locate: (FileHandle) throws(Errno) -> Location) throws(Errno) -> Found {
        if let found = known[handle] { return found }
        if known.count >= capacity { forget() }
        let start = first + Int32(places.count)
        var isGone = false
        switch try locate(handle) {
        case .at(let paths): places += paths.compactMap { place(of: $0, .inside) }
        case .below(let paths): places += paths.compactMap { place(of: $0, .below) }
        case .gone: isGone = true
        }
        let found = Found(numbers: start..<(first + Int32(places.count)), isGone: isGone)
        known[handle] = found
        return found
    }

    /// The place of a directory in the sources or above them; nil where it does not concern them.
    private func place(of path: Path, _ standing: Standing) -> Place? {
        for root in roots {
            if root.place.isBelow(path) { return Place(path: path, standing: .above) }
            guard path.isAtOrBelow(root.place) else { continue }
            var inSource = root.source
            for name in path.suffix(below: root.place).split(separator: UInt8(ascii: "/")) {
                inSource = inSource.appending(name)
                if isExcluded(inSource, .directory) { return nil }
            }
            return Place(path: inSource, standing: standing)
        }
        return nil
    }

    private func apply(_ event: FanotifyEvent, at number: Int32, to outcome: inout EventOutcome) {
        let place = places[Int(number - first)]
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        switch place.standing {
        case .inside where event.name.isEmpty:
            _ = outcome.batch.add(
                watch: number, directory: place.path, name: none, scope: .entry, settling: .unchanged, kind: .directory,
                isExcluded: isExcluded)
        case .inside:
            _ = outcome.batch.add(event.kinds, watch: number, directory: place.path, name: event.name, isExcluded: isExcluded)
        case .below:
            _ = outcome.batch.add(
                watch: number, directory: place.path, name: none, scope: .subtree, settling: .unchanged, kind: .directory,
                isExcluded: isExcluded)
        case .above:
            // A missing source is not an empty one: that it is gone is a signal, not a change.
            if !event.kinds.contains(.isDirectory) || event.kinds.isDisjoint(with: .listChanges) { return }
            let child = ChangeBatch.join(place.path, event.name)
            let moved = roots.filter { $0.place.isAtOrBelow(child) }.map(\.source)
            if !moved.isEmpty { outcome.jobs.append(.sourcesMoved(moved)) }
        }
    }
}
