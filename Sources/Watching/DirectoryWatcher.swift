// Watches directories one by one: one thread reads the kernel's queue, a second one watches and lists new directories.
// In: sources, excludes.  Out: Change in batches to a sink that only keeps them; WatchSignal.
// Invariant: each directory is watched first and listed afterwards, so nothing in it falls between the two.
// On a crash nothing is left behind but, at worst, one empty file in the private directory.
// Source: inotify(7), fanotify(7).

package import Kernel
package import Tracking

package final class DirectoryWatcher: Watcher {
    let session: WatchSession
    private let threads = WatchThreads()

    /// - Parameters:
    ///   - mechanism: `.inotify` or `.directoryMarks`.
    ///   - sources: Absolute paths of directories, none inside another.
    ///   - isExcluded: Asked by both threads, for a path in a source; the kind is `.directory`, or `.file` for everything
    ///     else. Neither it nor what is below it is watched or reported.
    ///   - sink: Called by both threads, perhaps at once. It must only keep the changes: while it runs, the kernel's queue
    ///     fills.
    ///   - signal: Called by both threads, perhaps at once. Neither of both may call `stop`, which waits for them.
    /// - Throws: `WatchError` with `.instance` (inotify), `.directoryMark` (fanotify) or `.resources`.
    package convenience init(
        _ mechanism: WatchMechanism, settings: WatchSettings, sources: [Path], isExcluded: @escaping @Sendable (Path, FileKind) -> Bool,
        sink: @escaping @Sendable ([Change]) -> Void, signal: @escaping @Sendable (WatchSignal) -> Void
    ) throws(WatchError) {
        let queue: any DirectoryQueue = mechanism == .inotify ? try InotifyQueue() : try MarkQueue()
        try self.init(queue, settings: settings, sources: sources, isExcluded: isExcluded, sink: sink, signal: signal)
    }

    init(
        _ queue: any DirectoryQueue, settings: WatchSettings, sources: [Path], isExcluded: @escaping @Sendable (Path, FileKind) -> Bool,
        sink: @escaping @Sendable ([Change]) -> Void, signal: @escaping @Sendable (WatchSignal) -> Void
    ) throws(WatchError) {
        session = try WatchSession(
            queue: queue, settings: settings, sources: sources, isExcluded: isExcluded, sink: sink, signal: signal)
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
        try session.cookies.synchronize(timeout: timeout) { waiter throws(Errno) in try session.placeCookie(waiter) }
    }

    package func statistics() -> WatchStatistics {
        session.state.withLock { state in
            let unwatched = state.formerlyUnwatched ?? state.unwatched
            return WatchStatistics(
                backend: session.queue.backend.rawValue, directoriesWatched: state.tree.count, directoriesWanted: state.tree.count + unwatched.count,
                events: state.events, overflows: state.overflows, unwatched: unwatched.listed, unwatchedCount: unwatched.count,
                budget: state.budget)
        }
    }

    package func compared(changed: [Path]) { session.add(.exchange(changed)) }

    package func coverage(of path: Path) -> WatchCoverage {
        session.state.withLock { state in
            if state.tree.find(path) != nil || path.parent.map({ state.tree.find($0) != nil }) ?? false {
                // A file, or a directory that is not watched itself.
                if let reason = state.unwatched.reason(of: path) { return .unwatched(path, reason) }
                return .watched
            }
            if let (place, reason) = state.unwatched.nearest(path) { return .unwatched(place, reason) }
            // Excluded, unless it is one of those that are only counted.
            return state.unwatched.isComplete ? .watched : .unwatched(path, .watchLimit)
        }
    }

    package func audit(isCancelled: () -> Bool) throws -> WatchAudit? {
        let time = Duration.seconds(60)
        try synchronize(timeout: time)
        do throws(Errno) {
            var suspicion = try session.compareWithTree(isCancelled: isCancelled)
            // What changed while the tree was walked has been heard of after this; where it goes on changing, after one of the next.
            for _ in 0..<3 where suspicion.isFound {
                do { try synchronize(timeout: time) } catch { throw .timedOut }
                try session.confirm(&suspicion)
            }
            return session.report(suspicion)
        } catch {
            throw WatchError(error == .timedOut ? .synchronization : .resources, errno: error)
        }
    }

    package func wake() -> UInt64 { session.wakeReader() }

    package func stop() {
        session.stop()
        threads.join()
    }
}
