// Waiting for a moment that comes also while the machine sleeps, for another thread's ring, or for a clock that jumps.
// The kernel cancels a timer on the wall clock when that clock is set, and when the machine wakes from sleep: either ends the wait,
// so that whoever waits looks at its clocks again.
// Source: timerfd_create(2) with CLOCK_BOOTTIME, and "TFD_TIMER_CANCEL_ON_SET"; poll(2).

internal import CLinux
internal import Glibc

/// One thread waits; any thread rings.
public final class AlarmClock: Sendable {
    private let timer: Descriptor
    private let bell: WakeUp
    /// Never rings by itself.
    private let clockWatch: Descriptor

    public init() throws(Errno) {
        let flags = Int32(TFD_NONBLOCK) | Int32(TFD_CLOEXEC)
        timer = Descriptor(owning: try system { timerfd_create(CLOCK_BOOTTIME, flags) })
        bell = try WakeUp()
        clockWatch = Descriptor(owning: try system { timerfd_create(CLOCK_REALTIME, flags) })
        try watchClock()
    }

    /// Ends the wait that is going on, or the next one.
    public func ring() {
        bell.signal()
    }

    /// Waits until `instant` (for ever when nil), a ring, the end of a sleep, or a jump of the wall clock. A moment in the past does
    /// not wait.
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
            pollfd(fd: clockWatch.rawValue, events: Int16(POLLIN), revents: 0),
        ]
        _ = try system { poll(&items, 3, -1) }
        if items[1].revents != 0 { bell.clear() }
        if items[2].revents != 0 { try watchClock() }
    }

    /// Setting the timer anew takes the cancellation away.
    private func watchClock() throws(Errno) {
        var setting = itimerspec()
        // Some 146 years after 1970, when both clocks still fit into nanoseconds.
        setting.it_value = timespec(tv_sec: 1 << 32, tv_nsec: 0)
        let raw = clockWatch.rawValue
        _ = try system { timerfd_settime(raw, Int32(TFD_TIMER_ABSTIME) | Int32(TFD_TIMER_CANCEL_ON_SET), &setting, nil) }
    }
}
