// How a caller learns that a watcher has caught up.
// In: a way to put a cookie where the watcher sees it.  Out: it has come back, or an error.

import Kernel

extension CookieJar {
    /// Puts cookies until one comes back through the queue.
    ///
    /// - Throws: `WatchError` with `.synchronization` at the time-out or when `place` fails, `.resources` without a descriptor.
    func synchronize(timeout: Duration, place: (Waiter) throws(Errno) -> Void) throws(WatchError) {
        let deadline = BootInstant.now() + timeout
        while true {
            let waiter: Waiter
            do throws(Errno) { waiter = try add() } catch { throw WatchError(.resources, errno: error) }
            do throws(Errno) {
                try place(waiter)
                try wait(for: waiter, until: deadline)
            } catch {
                _ = remove(waiter)
                throw WatchError(.synchronization, path: directory, errno: error)
            }
            switch remove(waiter) {
            case .arrived: return
            // It was not put into the queue, or may not have been: the next one finds room.
            case .lost: continue
            case .waiting: throw WatchError(.synchronization, path: directory)
            }
        }
    }

    /// Returns when the waiter is woken, and also when the time is over.
    private func wait(for waiter: Waiter, until deadline: BootInstant) throws(Errno) {
        var poller = Poller()
        let number = poller.add(waiter.wakeUp)
        repeat {
            try poller.wait(timeout: max(.zero, deadline - .now()))
        } while !poller.isReady(number) && BootInstant.now() < deadline
    }
}
