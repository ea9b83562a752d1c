// What SIGINT, SIGTERM and SIGHUP do to a command in the foreground.
// In: signals; the question of long work whether it shall end.  Out: an end in order where the work asks, else at once.
// Invariant: a second signal always ends the process. What is written by one rename survives either way.
// Source: signal(7), signal-safety(7).

internal import Glibc
internal import Synchronization

public enum Interruption {
    /// From now on a signal ends the process with 128 and its number, as a shell reports it, and leaves the terminal as it
    /// was. A signal that the process was started to ignore stays ignored.
    public static func handleSignals() {
        // Made now, for a signal handler must make nothing.
        Terminal.prepare()
        _ = isAsked.load(ordering: .relaxed)
        _ = isNoted.load(ordering: .relaxed)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let before = Glibc.signal(number) { number in
                // Work that has asked will ask again: the first signal waits for that.
                if isAsked.load(ordering: .relaxed), !isNoted.exchange(true, ordering: .relaxed) { return }
                Terminal.restore()
                _exit(128 + number)
            }
            if unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { _ = Glibc.signal(number, SIG_IGN) }
        }
    }

    /// True once a signal came. Asking makes this process wait for the answer to be heeded: only for work that asks often.
    public static var isRequested: Bool {
        isAsked.store(true, ordering: .relaxed)
        return isNoted.load(ordering: .relaxed)
    }
}

private let isAsked = Atomic(false)
private let isNoted = Atomic(false)
