// Waits for a repository that is not there: a disk that is not connected, a share that is not mounted.
// In: its path.  Out: one call when it is there.
// The kernel says when something is mounted, and inotify when a directory appears where the nearest one that exists leads to it.
// A server that hangs makes no event: there the scheduler's own retries find out.
// Source: proc_pid_mountinfo(5), inotify(7).

internal import Kernel
internal import Storing
internal import Synchronization

final class RepositoryReturn: Sendable {
    private let wakeUp: WakeUp
    private let isStopped = Atomic(false)

    /// - Throws: `Errno` when there are no more descriptors or threads: the retries remain.
    init(of repository: Path, returned: @escaping @Sendable () -> Void) throws {
        wakeUp = try WakeUp()
        _ = try Thread(name: "repository", priority: .background) { [self] in
            // Without events there is nothing to wait for: the retries remain.
            if (try? wait(for: repository)) == true { returned() }
        }
    }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
        wakeUp.signal()
    }

    /// - Returns: False when it was stopped.
    private func wait(for repository: Path) throws -> Bool {
        let mounts = try MountTable.open()
        while !isStopped.load(ordering: .relaxed) {
            // Anew each time: the directory to watch changes with what is there.
            let inotify = try Inotify()
            _ = try inotify.watch(
                Descriptor.open(RepositoryReturn.nearest(repository), [.path, .directory]), for: [.created, .movedTo, .selfDeleted, .selfMoved],
                existing: .extend)
            var poller = Poller()
            _ = poller.add(inotify)
            _ = poller.add(mountTable: mounts)
            _ = poller.add(wakeUp)
            // Looked at after the watch stands, so that nothing slips in between.
            if Repository.isThere(repository) { return true }
            try poller.wait(timeout: nil)
        }
        return false
    }

    /// The path itself, or the nearest directory above it that exists.
    private static func nearest(_ path: Path) -> Path {
        var path = path
        while !path.exists, let parent = path.parent { path = parent }
        return path
    }
}
