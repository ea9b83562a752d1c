// What the threads of a watcher share.
// In: settings and sources.  Out: changes to the sink, signals.
// Invariant: the watches of the kernel's queue and the tree are changed together, under the lock of `state`; sink and
// signal are called without any lock. The second thread may wait for the reader; the reader waits for nobody.

import Kernel
import Tracking

final class WatchSession: Sendable {
    let settings: WatchSettings
    let sources: [Path]
    let isExcluded: @Sendable (Path, FileKind) -> Bool
    let sink: @Sendable ([Change]) -> Void
    let signal: @Sendable (WatchSignal) -> Void
    let queue: any DirectoryQueue
    let mountTable: Descriptor
    let wakeUp: WakeUp
    let cookies: CookieJar
    let state: Monitor<WatchState>
    let work = Monitor(WatchWork())
    /// Of the reader.
    let pulse = Pulse()

    static let watchedEvents: Inotify.Events = [
        .modified, .attributes, .closedAfterWriting, .movedFrom, .movedTo, .created, .deleted, .selfDeleted, .selfMoved,
    ]

    /// - Throws: `WatchError` with `.resources`, or what `DirectoryQueue.tryOut` throws.
    init(
        queue: any DirectoryQueue, settings: WatchSettings, sources: [Path], isExcluded: @escaping @Sendable (Path, FileKind) -> Bool,
        sink: @escaping @Sendable ([Change]) -> Void, signal: @escaping @Sendable (WatchSignal) -> Void
    ) throws(WatchError) {
        self.queue = queue
        self.settings = settings
        self.sources = sources
        self.isExcluded = isExcluded
        self.sink = sink
        self.signal = signal
        do throws(Errno) {
            mountTable = try MountTable.open()
            wakeUp = try WakeUp()
        } catch { throw WatchError(.resources, errno: error) }
        cookies = CookieJar(directory: settings.privateDirectory)
        state = Monitor(
            WatchState(
                sources: sources, unwatchedListed: settings.unwatchedListed, cookiePrefix: cookies.prefix,
                isExcluded: isExcluded))
        // Without it nothing is lost but a way to wait.
        try? settings.privateDirectory.makeDirectories(mode: 0o700)
        try queue.tryOut(sources + [settings.privateDirectory])
    }

    var isStopping: Bool { work.withLock { $0.isStopping } }

    func add(_ job: WatchJob) { work.withLock { $0.append(job) } }

    func wakeReader() -> UInt64 {
        wakeUp.signal()
        return pulse.count
    }

    /// Ends both threads soon.
    func stop() {
        work.withLock { $0.stop() }
        wakeUp.signal()
    }

    /// Waits until the reader has taken everything that is in the queue now. For the second thread.
    func waitForReader() {
        let round = work.withLock { $0.requestRound() }
        wakeUp.signal()
        work.wait { $0.isStopping || $0.finishedRound >= round ? () : nil }
    }
}
