// Whether the daemon is alive, as the service manager asks.
// In: the pulses of the loop and of the watcher's reader.  Out: `WATCHDOG=1` for as long as both move.
// Invariant: a part that hangs is not vouched for by one that works. The reader and a loop that waits answer every time they are woken;
// a loop at work has to get on with it: it may be long in one step, a slow disk's fsync say, but not longer than `patience`.
// Without WATCHDOG_USEC nobody asks, and nothing is woken.

internal import Kernel
internal import ServiceLifecycle
internal import Synchronization
internal import Watching

/// The decision. Pure.
struct Watchdog {
    struct Signs: Hashable {
        /// Turns of the loop, and steps of its work.
        var loop: UInt64
        var isLoopWaiting: Bool
        /// Turns of the reader; nil while nothing is watched.
        var reader: UInt64?
    }

    /// How long one step of the loop's work may take. The manager ends what is not vouched for, and what was in hand is lost.
    static let patience = Duration.seconds(600)

    /// When life was last vouched for.
    private var vouched: Signs?
    private var loop: UInt64 = 0
    private var loopMoved: BootInstant

    init(now: BootInstant) {
        loopMoved = now
    }

    /// - Returns: True when both have shown life since it was last true.
    mutating func isAlive(_ signs: Signs, at now: BootInstant) -> Bool {
        if signs.loop != loop {
            loop = signs.loop
            loopMoved = now
        }
        let hasLoopMoved = signs.loop != vouched?.loop || !signs.isLoopWaiting && now - loopMoved < Watchdog.patience
        let hasReaderMoved = signs.reader == nil || signs.reader != vouched?.reader
        guard hasLoopMoved, hasReaderMoved else { return false }
        vouched = signs
        return true
    }

    /// When to look next: every half of what the manager allows. A late answer is looked for more often, so that it is not too late.
    static func pause(_ isAlive: Bool, interval: Duration) -> Duration { interval / (isAlive ? 2 : 16) }
}

/// Tells the manager, from the daemon's start to the end of its loop.
struct WatchdogService: Service {
    let interval: Duration
    let inbox: Inbox
    let board: StatusBoard

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var watchdog = Watchdog(now: .now())
            while true {
                let signs = Watchdog.Signs(
                    loop: inbox.pulse.count, isLoopWaiting: inbox.isLoopWaiting.load(ordering: .relaxed), reader: board.watcher?.wake())
                let isAlive = watchdog.isAlive(signs, at: .now())
                if isAlive { ServiceManager.notify("WATCHDOG=1") }
                inbox.wakeLoop()
                try await Task.sleep(for: Watchdog.pause(isAlive, interval: interval))
            }
        }
    }
}
