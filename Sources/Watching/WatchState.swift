// What the watcher knows, and what each event makes of it.
// In: InotifyEvent.  Out: EventOutcome: changes for the sink, jobs for the second thread, signals.
// Invariant: pure. Every event of a watched directory makes its path dirty, whatever else follows from it; nothing here
// asks the file system, so a wrong guess about a rename costs a job that looks again, never a change.
// Source: inotify(7).

import Kernel
import Tracking

struct WatchState {
    var tree: WatchTree
    var moves = PendingMoves()
    var unwatched: UnwatchedList
    /// While everything is compared with what is watched: what was not watched before. It holds until the new list is complete.
    var formerlyUnwatched: UnwatchedList?
    /// The parent directories of the roots, and whose.
    var guards: [Int32: [Int]] = [:]
    /// False while a source is out of reach; it is said once.
    var isAvailable: [Bool]
    var cookieWatch: Int32 = -1
    /// Before the number in the name of a cookie; tells them from those of other watchers.
    let cookiePrefix: [UInt8]
    var budget = WatchBudget(directories: 0)
    /// The most directories to watch: the budget, or less where the kernel gave no more.
    var limit = 0
    var tally = ChangeTally()
    /// The mounts at, above and below the sources.
    var mounts: Set<MountRecord> = []
    var events: UInt64 = 0
    var overflows: UInt64 = 0
    let isExcluded: @Sendable (Path, FileKind) -> Bool

    init(
        sources: [Path], unwatchedListed: Int, cookiePrefix: [UInt8],
        isExcluded: @escaping @Sendable (Path, FileKind) -> Bool
    ) {
        tree = WatchTree(sources: sources)
        unwatched = UnwatchedList(capacity: unwatchedListed)
        isAvailable = Array(repeating: true, count: sources.count)
        self.cookiePrefix = cookiePrefix
        self.isExcluded = isExcluded
    }

    /// True for a watch that stands for something, in the sources or outside.
    func isInUse(_ watch: Int32) -> Bool {
        tree.contains(watch) || guards[watch] != nil || watch == cookieWatch
    }

    mutating func apply(_ event: InotifyEvent, to outcome: inout EventOutcome) {
        events &+= 1
        if event.kinds.contains(.overflowed) {
            overflows &+= 1
            outcome.hasOverflowed = true
            return
        }
        guard let directory = outcome.batch.directory(of: event.watch, in: &tree) else {
            applyOutsideOfSources(event, to: &outcome)
            return
        }
        if event.kinds.contains(.ignored) {
            loseRoot(event.watch, &outcome)
            outcome.forget(tree.remove(event.watch).filter { $0 != event.watch })
            outcome.batch.forgetDirectory()
            return
        }
        if event.kinds.contains(.unmounted) {
            // What was mounted below a root is told by the table of mounts.
            loseRoot(event.watch, &outcome)
            return
        }
        if event.name.isEmpty {
            applyToDirectoryItself(event, directory, &outcome)
        } else if event.name.count <= 255 {
            applyToName(event, directory, &outcome)
        }
    }

    /// Gives up the renames whose second half has not come: those directories have left the sources.
    mutating func settleMoves(_ outcome: inout EventOutcome) {
        for watch in moves.takeAll() { removeSubtree(watch, &outcome) }
    }

    private mutating func applyOutsideOfSources(_ event: InotifyEvent, to outcome: inout EventOutcome) {
        if event.watch == cookieWatch {
            if event.kinds.contains(.ignored) { cookieWatch = -1 }
            guard event.kinds.contains(.created), event.name.starts(with: cookiePrefix),
                let number = UInt64(String(decoding: event.name.dropFirst(cookiePrefix.count), as: UTF8.self))
            else { return }
            // Both halves of every rename before the cookie stand before it in the queue.
            settleMoves(&outcome)
            outcome.cookies.append(number)
        } else if let sources = guards[event.watch] {
            if event.kinds.contains(.ignored) { guards[event.watch] = nil }
            let concerns = event.name.isEmpty || sources.contains { tree.sources[$0].name.elementsEqual(event.name) }
            if concerns { outcome.jobs.append(.checkSources) }
        } else if event.kinds.contains(.attributes) {
            lookAtUnreadable(&outcome)
        }
    }

    /// Some directory that is not watched has another mode: perhaps it has become readable.
    private func lookAtUnreadable(_ outcome: inout EventOutcome) {
        if unwatched.isEmpty { return }
        for case (let path, .unreadable) in unwatched.listed {
            guard let place = path.parent, let parent = tree.find(place) else { continue }
            outcome.jobs.append(.attach(parent: parent, name: Array(path.name), .created))
        }
    }

    /// Says once that a source is out of reach, when the watch is that of its root.
    private mutating func loseRoot(_ watch: Int32, _ outcome: inout EventOutcome) {
        guard let source = tree.sourceOfRoot(watch) else { return }
        if isAvailable[source] { outcome.signals.append(.unavailable(tree.sources[source])) }
        isAvailable[source] = false
        outcome.jobs.append(.checkSources)
    }

    private mutating func applyToDirectoryItself(_ event: InotifyEvent, _ directory: Path, _ outcome: inout EventOutcome) {
        let leaves: Inotify.Events = [.selfDeleted, .selfMoved]
        if !event.kinds.isDisjoint(with: leaves), tree.sourceOfRoot(event.watch) != nil {
            // A missing source is not an empty one: that it is gone is a signal, not a change.
            outcome.jobs.append(.checkSources)
            return
        }
        _ = outcome.batch.add(
            watch: event.watch, directory: directory, name: event.name, scope: .entry, settling: .unchanged,
            kind: .directory, isExcluded: isExcluded)
    }

    private mutating func applyToName(_ event: InotifyEvent, _ directory: Path, _ outcome: inout EventOutcome) {
        let isDirectory = event.kinds.contains(.isDirectory)
        let changesList = !event.kinds.isDisjoint(with: .listChanges)
        let isIncluded = outcome.batch.add(
            event.kinds, watch: event.watch, directory: directory, name: event.name, isExcluded: isExcluded)
        if isDirectory, isIncluded, event.kinds.contains(.attributes), !unwatched.isEmpty {
            // It may have become readable.
            let path = ChangeBatch.join(directory, event.name)
            if case .unreadable = unwatched.reason(of: path) {
                outcome.jobs.append(.attach(parent: event.watch, name: Array(event.name), .created))
            }
        }
        guard isDirectory, changesList else { return }
        if event.kinds.contains(.movedFrom) {
            if !unwatched.isEmpty { unwatched.remove(atOrBelow: ChangeBatch.join(directory, event.name)) }
            moveAway(event, &outcome)
        } else if event.kinds.contains(.deleted) {
            if !unwatched.isEmpty { unwatched.remove(ChangeBatch.join(directory, event.name)) }
            // At once: while a process holds it open, the directory itself does not report its end.
            if let child = tree.child(of: event.watch, name: event.name) { removeSubtree(child, &outcome) }
        } else if isIncluded {
            if event.kinds.contains(.movedTo) { moveHere(event, &outcome) }
            let cause: AttachCause = event.kinds.contains(.movedTo) ? .moved : .created
            outcome.jobs.append(.attach(parent: event.watch, name: Array(event.name), cause))
        }
    }

    private mutating func moveAway(_ event: InotifyEvent, _ outcome: inout EventOutcome) {
        let watch: Int32
        if let displaced = moves.takeDisplaced(parent: event.watch, name: event.name) {
            watch = displaced
        } else if let child = tree.child(of: event.watch, name: event.name) {
            watch = child
        } else {
            return
        }
        suspend(PendingMoves.Move(watch: watch, cookie: event.cookie), &outcome)
    }

    private mutating func moveHere(_ event: InotifyEvent, _ outcome: inout EventOutcome) {
        let moved = moves.take(cookie: event.cookie)
        if let displaced = tree.child(of: event.watch, name: event.name) {
            // Overwritten, or exchanged with the other: then its own MOVED_FROM comes next.
            suspend(
                PendingMoves.Move(watch: displaced, cookie: 0, parent: event.watch, name: Array(event.name)), &outcome)
        }
        guard let moved, tree.contains(moved) else { return }
        if tree.attach(moved, parent: event.watch, name: event.name) {
            outcome.batch.forgetPaths()
        } else {
            removeSubtree(moved, &outcome)
        }
    }

    private mutating func suspend(_ move: PendingMoves.Move, _ outcome: inout EventOutcome) {
        tree.detach(move.watch)
        if let givenUp = moves.append(move) { removeSubtree(givenUp, &outcome) }
    }

    private mutating func removeSubtree(_ watch: Int32, _ outcome: inout EventOutcome) {
        outcome.forget(tree.remove(watch))
    }
}
