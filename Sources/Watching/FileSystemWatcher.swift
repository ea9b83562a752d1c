// Watches whole file systems with fanotify: nothing has to be done for each directory, before or while watching.
// In: sources, excludes.  Out: Change in batches to a sink that only keeps them; WatchSignal.
// Invariant: it is made only when all of it works: marks, the opening of handles, and an event that comes back.
// Needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH. On a crash nothing is left behind but, at worst, one empty file in the
// private directory. Source: fanotify(7).

package import Kernel
package import Tracking

package final class FileSystemWatcher: Watcher {
    private let session: MarkSession
    private let threads = WatchThreads()

    /// Marks the file systems of the sources, and tries it out. The arguments are those of `DirectoryWatcher.init`.
    ///
    /// - Throws: `WatchError` with `.fileSystemMark` when the kernel, the process's capabilities or a file system do not allow
    ///   it, `.resources` without a descriptor; nothing is marked then.
    package init(
        settings: WatchSettings, sources: [Path], isExcluded: @escaping @Sendable (Path, FileKind) -> Bool,
        sink: @escaping @Sendable ([Change]) -> Void, signal: @escaping @Sendable (WatchSignal) -> Void
    ) throws(WatchError) {
        session = try MarkSession(settings: settings, sources: sources, isExcluded: isExcluded, sink: sink, signal: signal)
    }

    deinit {
        stop()
    }

    /// - Throws: `WatchError` with `.resources`; nothing is watched then.
    package func start() throws {
        let session = self.session
        session.add(.verify)
        do throws(Errno) {
            try threads.start(reader: { session.readEvents() }, worker: { session.doWork() })
        } catch {
            stop()
            throw WatchError(.resources, errno: error)
        }
    }

    package func synchronize(timeout: Duration) throws {
        try session.cookies.synchronize(timeout: timeout) { waiter throws(Errno) in
            try session.placeCookie(waiter)
            // The reader may rest.
            session.wakeUp.signal()
        }
    }

    /// Each source counts as one directory: the mark of its file system stands for all that is in it.
    package func statistics() -> WatchStatistics {
        session.state.withLock { state in
            let watched = state.survey.roots.count { $0?.isMarked == true }
            let unwatched = state.survey.unwatched
            return WatchStatistics(
                backend: WatchBackend.fanotify.rawValue, directoriesWatched: watched, directoriesWanted: watched + unwatched.count,
                events: state.events, overflows: state.overflows, unwatched: unwatched.listed, unwatchedCount: unwatched.count)
        }
    }

    package func wake() -> UInt64 { session.wakeReader() }

    package func stop() {
        session.stop()
        threads.join()
    }
}
