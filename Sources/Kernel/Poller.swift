// Waiting for several descriptors at once, and being woken by another thread.
// Source: poll(2), eventfd(2), proc_pid_mountinfo(5).

internal import CLinux
internal import Glibc

/// Descriptors to wait for. It does not own them: each must stay open as long as this waits.
public struct Poller: ~Copyable {
    private var items: [pollfd] = []

    public init() {}

    /// Adds a queue of events. The number that is returned is for `isReady`.
    public mutating func add(_ inotify: borrowing Inotify) -> Int { add(inotify.pollable(), POLLIN) }

    public mutating func add(_ fanotify: borrowing Fanotify) -> Int { add(fanotify.pollable(), POLLIN) }

    public mutating func add(_ wakeUp: borrowing WakeUp) -> Int { add(wakeUp.pollable(), POLLIN) }

    /// Adds an open /proc/self/mountinfo, which is ready once after every change of the mounts.
    public mutating func add(mountTable: borrowing Descriptor) -> Int { add(mountTable.rawValue, POLLPRI) }

    private mutating func add(_ descriptor: CInt, _ events: CInt) -> Int {
        items.append(pollfd(fd: descriptor, events: CShort(truncatingIfNeeded: events), revents: 0))
        return items.count - 1
    }

    /// Waits until one of them is ready, or `timeout` has passed; nil waits for ever. Source: poll(2).
    public mutating func wait(timeout: Duration?) throws(Errno) {
        var milliseconds: CInt = -1
        // Rounded up, so that a deadline has really passed when this returns.
        if let timeout { milliseconds = CInt(clamping: max(0, (timeout.nanosecondsClamped + 999_999) / 1_000_000)) }
        var failure: Errno?
        items.withUnsafeMutableBufferPointer { buffer in
            do throws(Errno) {
                _ = try system { poll(buffer.baseAddress, nfds_t(buffer.count), milliseconds) }
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// True when the last wait found something on this descriptor, an error included.
    public func isReady(_ number: Int) -> Bool { items[number].revents != 0 }
}

/// Wakes a thread that waits in `Poller.wait`. Source: eventfd(2).
public struct WakeUp: ~Copyable, Sendable {
    private let descriptor: Descriptor

    public init() throws(Errno) {
        descriptor = Descriptor(owning: try system { eventfd(0, CInt(EFD_NONBLOCK) | CInt(EFD_CLOEXEC)) })
    }

    /// Makes it ready, until it is cleared. A full counter means that it is ready already.
    public borrowing func signal() {
        _ = eventfd_write(descriptor.rawValue, 1)
    }

    public borrowing func clear() {
        var count: eventfd_t = 0
        _ = eventfd_read(descriptor.rawValue, &count)
    }

    borrowing func pollable() -> CInt { descriptor.rawValue }
}
