// The kernel's queue of what happens in directories that are watched one by one.
// In: open directories.  Out: numbers for them; events of these numbers, in the order in which things happened.
// Invariant: a number stands for one directory, wherever that is moved, and is not given again before 2^31 others.
// inotify and the directory marks of fanotify keep it alike, so that one watcher serves both.

import Kernel

protocol DirectoryQueue: Sendable {
    /// What the status calls it.
    var backend: WatchBackend { get }
    /// How many events it holds.
    var capacity: Int { get }

    /// Whether all of these can be watched, which a file system may not allow. Nothing is watched afterwards.
    func tryOut(_ directories: [Path]) throws(WatchError)

    /// Watches exactly the directory that is open, wherever its name is now.
    ///
    /// - Throws: ENOSPC at the user's limit, EACCES without permission to read, EEXIST (see `Inotify.Existing`).
    func watch(
        _ directory: borrowing Descriptor, for events: Inotify.Events, existing: Inotify.Existing
    ) throws(Errno) -> Int32

    /// Ends a watch. What it has said already is still read as long as it has a place; one that has none is forgotten at once.
    ///
    /// - Parameter place: Where its directory is; nil for one that has left the sources, or that is gone.
    func unwatch(_ watch: Int32, at place: Path?)

    /// Whether an open directory is still watched, of which no event has told the end.
    func holds(_ directory: borrowing Descriptor) -> Bool

    /// What `watch` throws because of the file system, and not of the directory: another queue can watch it.
    func isRefusal(_ error: Errno) -> Bool

    /// The numbers of all watches, as the kernel itself lists them.
    func watches() throws(Errno) -> Set<Int32>

    /// Takes events from the queue, as many as fit. Never waits.
    ///
    /// - Returns: Bytes for `decode`; 0 when the queue is empty.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int

    /// Gives each event of a buffer, once.
    func decode(_ bytes: UnsafeRawBufferPointer, _ body: (InotifyEvent) -> Void)

    func add(to poller: inout Poller) -> Int

    /// The limit of watches that holds for this user; nil when the kernel does not tell.
    func limit() -> KernelLimit?

    /// The watches of this kind that other programs of this user have.
    func watchesOfOthers() -> Int
}

/// An inotify instance.
final class InotifyQueue: DirectoryQueue {
    private let inotify: Inotify

    let backend = WatchBackend.inotify
    let capacity = Inotify.queueLimit()

    /// - Throws: `WatchError` with `.instance` or `.resources`.
    init() throws(WatchError) {
        do throws(Errno) { inotify = try Inotify() } catch { throw InotifyQueue.cause(of: error) }
    }

    /// EMFILE means either of two limits: without descriptors, no other kind of them can be had either.
    private static func cause(of error: Errno) -> WatchError {
        guard error == .tooManyOpenFiles else { return WatchError(.resources, errno: error) }
        do throws(Errno) { _ = try WakeUp() } catch { return WatchError(.resources, errno: error) }
        return WatchError(.instance, errno: error)
    }

    func tryOut(_ directories: [Path]) {}

    func watch(
        _ directory: borrowing Descriptor, for events: Inotify.Events, existing: Inotify.Existing
    ) throws(Errno) -> Int32 {
        try inotify.watch(directory, for: events, existing: existing)
    }

    func unwatch(_ watch: Int32, at place: Path?) {
        // EINVAL: the kernel has ended it itself, with its directory.
        try? inotify.unwatch(watch)
    }

    // Its end is an event.
    func holds(_ directory: borrowing Descriptor) -> Bool { true }

    func isRefusal(_ error: Errno) -> Bool { false }

    func watches() throws(Errno) -> Set<Int32> { try inotify.watches() }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int { try inotify.read(into: buffer) }

    func decode(_ bytes: UnsafeRawBufferPointer, _ body: (InotifyEvent) -> Void) {
        var decoder = InotifyDecoder(bytes)
        while let event = decoder.next() { body(event) }
    }

    func add(to poller: inout Poller) -> Int { poller.add(inotify) }

    func limit() -> KernelLimit? { Inotify.limit(of: .watches) }

    func watchesOfOthers() -> Int { Inotify.watchesOfOthers() }
}
