// A fanotify group that marks directories: what an unprivileged program may have of fanotify.
// In: open directories, FanotifyEvent.  Out: numbers, and the events that inotify would give for them.
// Invariant: a directory has a number as long as somebody may ask for it; events of others are left out.
// Two things are different from inotify. A mark is ended only by a descriptor of its directory: one that has been moved out of
// reach stays marked until it or the group is gone, and its events are dropped. And an unmount ends marks without an event:
// `holds` tells.
// Source: fanotify(7), fanotify_mark(2), Linux 5.13.

import Kernel

final class MarkQueue: DirectoryQueue {
    private let fanotify: Fanotify
    private let renames: Renames
    private let marks = Monitor(MarkTable())

    /// How the kernel tells of a rename.
    enum Renames {
        /// By one event.
        case paired
        /// By two that nothing joins, as before Linux 5.17.
        case apart
    }

    /// Directories that have a number.
    var count: Int { marks.withLock { $0.count } }

    let backend = WatchBackend.fanotify
    let capacity = Fanotify.queueLimit()

    /// - Parameter renames: Nil takes the best that the kernel has.
    /// - Throws: `WatchError` with `.directoryMark`.
    init(renames: Renames? = nil) throws(WatchError) {
        do throws(Errno) { fanotify = try Fanotify() } catch { throw WatchError(.directoryMark, errno: error) }
        self.renames = renames ?? (fanotify.hasRenames() ? .paired : .apart)
    }

    /// That the kernel lists a mark by the handle that it gives for the directory says that its events can be told apart.
    func tryOut(_ directories: [Path]) throws(WatchError) {
        var marked: [Path] = []
        defer { for path in marked { try? unmark(path) } }
        for path in directories {
            do throws(Errno) {
                let directory = try Descriptor.open(path, [.path, .directory, .noFollow])
                if try FileSystemStatus(at: path).hidesForeignChanges { continue }
                try fanotify.markDirectory(directory, for: .created)
                marked.append(path)
                let handle = try directory.handle(for: .comparing)
                guard try fanotify.markedDirectories().contains(handle.anywhere) else { throw .staleNFSFileHandle }
            } catch .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels, .permissionDenied {
                // Missing or unreadable: inotify could not watch it either.
            } catch { throw WatchError(.directoryMark, path: path, errno: error) }
        }
    }

    private func unmark(_ path: Path) throws(Errno) {
        try fanotify.unmarkDirectory(try Descriptor.open(path, [.path, .directory, .noFollow]), for: .created)
    }

    func watch(
        _ directory: borrowing Descriptor, for events: Inotify.Events, existing: Inotify.Existing
    ) throws(Errno) -> Int32 {
        let handle = try directory.handle(for: .comparing)
        var known = marks.withLock { $0.number(of: handle) }
        if let number = known {
            if try !fanotify.isMarked(directory) {
                // Its file system was unmounted, and is back.
                marks.withLock { $0.remove(number) }
                known = nil
            } else if existing == .refuse {
                throw .fileExists
            }
        }
        try fanotify.markDirectory(directory, for: asked(events))
        return known ?? marks.withLock { $0.add(handle) }
    }

    /// The end of a directory is always asked for: with it goes its number.
    private func asked(_ events: Inotify.Events) -> Inotify.Events {
        let moves: Inotify.Events = [.movedFrom, .movedTo]
        let all = events.union(.selfDeleted)
        return renames == .paired && !all.isDisjoint(with: moves) ? all.subtracting(moves).union(.renamed) : all
    }

    func unwatch(_ watch: Int32, at place: Path?) {
        guard let place else { return marks.withLock { $0.remove(watch) } }
        guard let directory = try? Descriptor.open(place, [.path, .directory, .noFollow]),
            let handle = try? directory.handle(for: .comparing), marks.withLock({ $0.number(of: handle) }) == watch
        else { return }
        // ENOENT: it is gone, with its file system.
        try? fanotify.unmarkDirectory(directory, for: asked(WatchSession.watchedEvents))
    }

    func holds(_ directory: borrowing Descriptor) -> Bool { (try? fanotify.isMarked(directory)) ?? true }

    func isRefusal(_ error: Errno) -> Bool {
        [.improperLink, .operationNotSupportedByDevice, .notSupported, .overflow].contains(error)
    }

    /// Handles of different file systems may be the same: then one of them may be missed.
    func watches() throws(Errno) -> Set<Int32> {
        let listed = try listed()
        return marks.withLock { $0.numbers { listed.contains($0.anywhere) } }
    }

    /// The marks, as the kernel itself lists them: also those of directories that are out of reach.
    func listed() throws(Errno) -> Set<FileHandle> { try fanotify.markedDirectories() }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int { try fanotify.read(into: buffer) }

    func decode(_ bytes: UnsafeRawBufferPointer, _ body: (InotifyEvent) -> Void) {
        marks.withLock { marks in
            var decoder = FanotifyDecoder(bytes)
            while let event = decoder.next() { marks.translate(event, body) }
        }
    }

    func add(to poller: inout Poller) -> Int { poller.add(fanotify) }

    func limit() -> KernelLimit? { Fanotify.limitOfMarks() }

    func watchesOfOthers() -> Int { Fanotify.marksOfOthers() }
}
