// The dirty set between the watcher's threads, which fill it, and the agent's loop, which empties it.
// Invariant: the lock is held for the length of one insertion or one taking, never while a file is touched.

internal import Kernel
internal import Scanning
internal import Synchronization
internal import Tracking

final class DirtyBox: Sendable {
    private struct State: Sendable {
        var set: DirtySet
        /// The earliest due instant that the loop has reckoned with; nil when it knows of nothing pending.
        var known: BootInstant?
        var isWaiting = false
    }

    private let state: Mutex<State>
    private let clock: AlarmClock

    init(settings: DirtySetSettings, clock: AlarmClock) {
        state = Mutex(State(set: DirtySet(settings: settings)))
        self.clock = clock
    }

    /// From the watcher's threads. Wakes the loop only when something is due earlier than all that it knows of.
    func add(_ changes: [Change]) {
        let now = BootInstant.now()
        let mustRing = state.withLock { state in
            for change in changes { state.set.add(change, at: now) }
            guard state.isWaiting, let due = state.set.nextDue() else { return false }
            return state.known.map { due < $0 } ?? true
        }
        if mustRing { clock.ring() }
    }

    /// What the scheduler wants to know, and what wakes the loop from now on.
    func summary() -> (count: Int, nextDue: BootInstant?, oldest: BootInstant?) {
        state.withLock { ($0.set.count, $0.set.nextDue(), $0.set.oldest) }
    }

    func hot(limit: Int) -> [HotPath] { state.withLock { $0.set.hot(at: .now(), limit: limit) } }

    /// What is pending for a path, and whether it changes all the time.
    func explain(_ path: Path) -> (pending: PendingChange?, hot: HotPath?) {
        state.withLock { ($0.set.pending(at: path), $0.set.hot(path, at: .now())) }
    }

    /// The loop begins to wait, having reckoned with `known`. False when something is due earlier by now: it must not wait then.
    func beginWaiting(knowing known: BootInstant?) -> Bool {
        state.withLock { state in
            if let due = state.set.nextDue(), known.map({ due < $0 }) ?? true { return false }
            state.known = known
            state.isWaiting = true
            return true
        }
    }

    func endWaiting() {
        state.withLock { $0.isWaiting = false }
    }

    /// What has rested, and what changed since `instant`, rested or not.
    func takeSettled(andChangedSince instant: BootInstant?) -> DirtyBatch {
        state.withLock { $0.set.takeSettled(at: .now(), andChangedSince: instant) }
    }

    func takeAll() -> DirtyBatch { state.withLock { $0.set.takeAll() } }

    /// Where a snapshot would look that takes all that is pending.
    var scope: ScanScope {
        state.withLock { state in
            var set = state.set
            return .batch(set.takeAll())
        }
    }

    /// Those of `paths` that are not pending.
    func settled(among paths: [Path]) -> [Path] { state.withLock { state in paths.filter { state.set.pending(at: $0) == nil } } }

    func giveBack(_ batch: DirtyBatch) { state.withLock { $0.set.giveBack(batch) } }

    /// Begins anew with other settings; what was pending is kept.
    func replace(settings: DirtySetSettings) {
        state.withLock { state in
            let pending = state.set.takeAll()
            state.set = DirtySet(settings: settings)
            state.set.giveBack(pending)
        }
    }
}
