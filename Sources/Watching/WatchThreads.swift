// The two threads of a watcher.
// In: what each does until it is stopped.  Out: nothing.
// Invariant: they are started once, and joined before the watcher is gone.

import Kernel
import Synchronization

final class WatchThreads: Sendable {
    private struct Threads: ~Copyable {
        var reader: Thread?
        var worker: Thread?
        var isStarted = false
    }

    private let threads = Mutex(Threads())

    /// Starts both at normal priority; the second time nothing happens.
    ///
    /// - Throws: EAGAIN when there can be no more threads; one may run, and `join` waits for it.
    func start(reader: @escaping @Sendable () -> Void, worker: @escaping @Sendable () -> Void) throws(Errno) {
        var failure: Errno?
        threads.withLock { threads in
            if threads.isStarted { return }
            threads.isStarted = true
            do throws(Errno) {
                threads.reader = try Thread(name: "watch-reader", priority: .normal, reader)
                threads.worker = try Thread(name: "watch-lister", priority: .normal, worker)
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Waits for their ends.
    func join() {
        threads.withLock { threads in
            threads.reader.take()?.join()
            threads.worker.take()?.join()
        }
    }
}
