// Waiting for a moment that comes also while the machine sleeps, or for another thread's ring.
// Source: timerfd_create(2) with CLOCK_BOOTTIME, poll(2).

internal import CLinux
internal import Glibc

/// One thread waits; any thread rings.
public final class AlarmClock: Sendable {
    private let timer: Descriptor
    private let bell: WakeUp

    public init() throws(Errno) {
        let flags = Int32(TFD_NONBLOCK) | Int32(TFD_CLOEXEC)
        timer = Descriptor(owning: try system { timerfd_create(CLOCK_BOOTTIME, flags) })
        bell = try WakeUp()
    }

    /// Ends the wait that is going on, or the next one.
    public func ring() {
        bell.signal()
    }

    /// Waits until `instant` (for ever when nil) or a ring. A moment in the past does not wait.
    ///
    /// After a suspend the timer fires at once when its moment has passed, for CLOCK_BOOTTIME counts the sleep.
    public func wait(until instant: BootInstant?) throws(Errno) {
        var setting = itimerspec()
        if let instant {
            // Zero would switch the timer off.
            let nanoseconds = max(1, instant.nanoseconds)
            setting.it_value = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        }
        let raw = timer.rawValue
        _ = try system { timerfd_settime(raw, Int32(TFD_TIMER_ABSTIME), &setting, nil) }
        var items = [
            pollfd(fd: raw, events: Int16(POLLIN), revents: 0), pollfd(fd: bell.pollable(), events: Int16(POLLIN), revents: 0),
        ]
        _ = try system { poll(&items, 2, -1) }
        if items[1].revents != 0 { bell.clear() }
    }
}
