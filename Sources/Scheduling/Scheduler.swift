// Decides what the agent does next, and says why it waits.
// In: (Event, Instants).  Out: Decision.  Pure: no clock, thread or disk; the caller acts, keeps one timer, and stores `state`.
//
// States, of which `handle` returns the one it comes to:
//   running    one activity is under way; nothing else begins, requests queue up
//   waiting    something is due at a known instant, or only an event can make it due
//   paused     as waiting, but for the end of the pause; requests are still served
//   deferred   as waiting, but for mains power or an unmetered network, for at most `longestWait`
// Running begins when the first of these is ready, in this order: a request; the first full; a reconcile; a due full; an
// incremental; the rest of a sliced rotation, verification or compaction; a rotation; a verification; a compaction.
//
// Whatever comes round by the clock is counted from its latest success, not from a time of day, so a machine that was off or
// asleep catches up. Wall-clock times are translated once, at the first event, to the boot clock, which counts through sleep and
// never jumps. A success in the future of that moment (the clock was set back) counts as long ago.
// After a crash: `started` asks for a reconcile, and nothing is lost.

package import Kernel

package struct Scheduler: Sendable {
    package private(set) var settings: ScheduleSettings
    /// To be stored after every decision that changed it.
    package private(set) var state: ScheduleState

    /// The activity under way.
    package var running: Activity? { turn?.activity }

    /// Everything is to be compared: what the dirty set says is not all that there is.
    package var owesReconcile: Bool { !reasons.isEmpty }

    /// One activity from its decision to its end.
    struct Turn: Sendable {
        var activity: Activity
        var requests: [Request]
        /// What this turn's scan answers; needed again when it fails.
        var reasons: Set<ReconcileReason>
    }

    private(set) var turn: Turn?
    private(set) var queue: [Request] = []
    /// Sliced work that is to go on.
    private(set) var unfinished: [Turn] = []
    private(set) var reasons: Set<ReconcileReason> = []
    private(set) var dirtyCount = 0
    private(set) var dirtyDue: Int64?
    private(set) var storm = ReconcileStorm()
    private(set) var retries: [ActivityKind: RetryBackoff] = [:]
    package private(set) var deferral: Deferral?
    package private(set) var isOnBattery = false
    private(set) var isCompactable = false
    /// Boot-clock nanoseconds of the latest success of each kind, and of the end of the latest snapshot.
    private(set) var successes: [ActivityKind: Int64] = [:]
    private(set) var lastSnapshotEnd: Int64?
    private(set) var deferredSince: Int64 = 0
    private(set) var pauseEnd: Int64?
    private var isAnchored = false
    private var asleep = Duration.zero

    package init(settings: ScheduleSettings, state: ScheduleState) {
        self.settings = settings
        self.state = state
    }

    /// Takes in one event and says what to do now. Any event may be repeated; `finished` without an activity under way is ignored.
    package mutating func handle(_ event: Event, at instants: Instants) -> Decision {
        let now = instants.boot.nanoseconds
        if !isAnchored {
            anchor(instants)
            isAnchored = true
            asleep = instants.asleep
        }
        noteSleep(instants)
        switch event {
        case .started: need(.start, at: now)
        case .dirty(let count, let nextDue):
            dirtyCount = count
            dirtyDue = nextDue?.nanoseconds
        case .reconcileNeeded(let reason): need(reason, at: now)
        case .requested(let request): queue.append(request)
        case .paused(let duration): pause(duration, at: instants)
        case .resumed: endPause()
        case .deferred(let deferral, let since): setDeferral(deferral, since: since?.nanoseconds, at: now)
        case .onBattery(let isOnBattery): self.isOnBattery = isOnBattery
        case .compactable(let isCompactable): self.isCompactable = isCompactable
        case .damageSuspected:
            successes[.verify] = nil
            retries[.verify] = nil
        case .repositoryReturned: retries = [:]
        case .finished(let outcome): finish(outcome, at: instants)
        case .reconfigured(let settings): self.settings = settings
        case .timer: break
        }
        if let pauseEnd, pauseEnd <= now { endPause() }
        return decide(at: now)
    }

    /// True when sliced work should end its slice: something more urgent is ready.
    package func wantsTurn(at instant: BootInstant) -> Bool {
        guard let turn, !turn.activity.kind.takesSnapshot else { return false }
        if !queue.isEmpty { return true }
        if state.pause != nil { return false }
        let now = instant.nanoseconds
        return candidates(at: now).contains { $0.activity.kind.takesSnapshot && $0.ready <= now }
    }

    /// What waits for nothing but conditions.
    package enum Held: Hashable, Sendable {
        case nothing, compaction, archiving
    }

    package func held(at instant: BootInstant) -> Held {
        let ready = unheldCandidates(at: instant.nanoseconds).filter { $0.ready <= instant.nanoseconds }
        // What changes all the time is never ready for long, and waits all the same.
        if deferral != nil, dirtyCount > 0 || !ready.isEmpty { return .archiving }
        return isOnBattery && ready.contains { $0.activity == .compact } ? .compaction : .nothing
    }

    /// When a snapshot is taken whatever the conditions; nil: nothing is held back, or without end.
    package var deferralEnd: BootInstant? {
        guard deferral != nil, let longest = settings.longestWait else { return nil }
        return BootInstant(nanoseconds: deferredSince + Scheduler.nanoseconds(longest))
    }

    private mutating func decide(at now: Int64) -> Decision {
        if let turn { return .wait(Wait(until: nil, reason: .running, next: turn.activity.kind)) }
        if let requested = takeRequests() { return begin(requested) }
        let continued = unfinished.firstIndex { !$0.requests.isEmpty }
        if state.pause != nil {
            // What a person asked for goes on during a pause.
            if let continued { return begin(unfinished.remove(at: continued)) }
            return .wait(Wait(until: pauseEnd.map(BootInstant.init(nanoseconds:)), reason: .paused, next: nil))
        }
        let candidates = candidates(at: now)
        if let ready = candidates.first(where: { $0.ready <= now }) {
            if ready.isUnfinished, let index = unfinished.firstIndex(where: { $0.activity == ready.activity }) {
                return begin(unfinished.remove(at: index))
            }
            return begin(Turn(activity: ready.activity, requests: [], reasons: []))
        }
        // The first of equals is the more urgent one.
        guard let next = candidates.min(by: { $0.ready < $1.ready }) else {
            return .wait(Wait(until: nil, reason: .changes, next: nil))
        }
        let until = next.ready == .max ? nil : BootInstant(nanoseconds: next.ready)
        return .wait(Wait(until: until, reason: next.reason, next: next.activity.kind))
    }

    private mutating func begin(_ turn: Turn) -> Decision {
        var turn = turn
        switch turn.activity.kind {
        case .full, .reconcile:
            turn.reasons = reasons
            reasons = []
        case .incremental, .rotate, .verify, .compact: break
        }
        self.turn = turn
        return .start(turn.activity, requests: turn.requests.map(\.id))
    }

    /// All snapshots that were asked for become one; upkeep is served one by one.
    private mutating func takeRequests() -> Turn? {
        var snapshots: [Request] = []
        var options: FullOptions?
        for request in queue {
            switch request.wish {
            case .snapshot: snapshots.append(request)
            case .full(let more):
                snapshots.append(request)
                options = more.union(options ?? [])
            case .rotate, .verify, .compact: break
            }
        }
        if snapshots.isEmpty {
            guard !queue.isEmpty else { return nil }
            let request = queue.removeFirst()
            return Turn(activity: request.wish.upkeep ?? .verify, requests: [request], reasons: [])
        }
        queue.removeAll { $0.wish.upkeep == nil }
        let activity: Activity
        if options != nil || state.lastFull == nil {
            activity = .full(options ?? [])
        } else {
            // Everything written before the command is in the snapshot, also where the dirty set missed it.
            activity = reasons.isEmpty ? .incremental : .reconcile(reasons)
        }
        return Turn(activity: activity, requests: snapshots, reasons: [])
    }
}

extension Request.Wish {
    /// Nil for what ends in a snapshot.
    fileprivate var upkeep: Activity? {
        switch self {
        case .snapshot, .full: nil
        case .rotate: .rotate
        case .verify: .verify
        case .compact: .compact
        }
    }
}

// What each event changes.
extension Scheduler {
    private mutating func need(_ reason: ReconcileReason, at now: Int64) {
        // While an earlier reason waits or is served, there is no calm, however long that takes.
        if reasons.isEmpty, turn?.reasons.isEmpty ?? true {
            storm.reasonArrived(at: now, interval: reconcileInterval ?? Scheduler.defaultInterval)
        }
        reasons.insert(reason)
    }

    /// What happened to disks and networks while the machine slept, no event tells.
    private mutating func noteSleep(_ instants: Instants) {
        // Less is the noise of reading two clocks, not a sleep.
        if instants.asleep - asleep >= .seconds(1) { need(.resume, at: instants.boot.nanoseconds) }
        asleep = max(asleep, instants.asleep)
    }

    private mutating func pause(_ duration: Duration?, at instants: Instants) {
        if let duration {
            state.pause = .limited(since: instants.wall, until: instants.wall.adding(duration))
            pauseEnd = instants.boot.nanoseconds + max(0, duration.nanosecondsClamped)
        } else {
            state.pause = .indefinite
            pauseEnd = nil
        }
    }

    private mutating func endPause() {
        state.pause = nil
        pauseEnd = nil
    }

    private mutating func setDeferral(_ deferral: Deferral?, since: Int64?, at now: Int64) {
        if self.deferral == nil {
            // A computer that was off has waited as well. Later on it is what is pending that begins to wait now.
            let before = lastSnapshotEnd == nil ? [successes[.full], successes[.reconcile]].compactMap { $0 }.max() : nil
            deferredSince = [before, since].compactMap { $0 }.reduce(now, min)
        }
        self.deferral = deferral
    }

    private mutating func finish(_ outcome: Outcome, at instants: Instants) {
        guard let turn else { return }
        self.turn = nil
        let now = instants.boot.nanoseconds
        let kind = turn.activity.kind
        switch outcome {
        case .succeeded, .unchanged:
            retries[kind] = nil
            succeed(turn, hasSnapshot: outcome == .succeeded && kind.takesSnapshot, at: instants)
        case .partial:
            retries[kind] = nil
            unfinished.append(turn)
        case .failed:
            retries[kind, default: RetryBackoff()].failed(at: now, isRequested: !turn.requests.isEmpty)
            reasons.formUnion(turn.reasons)
        case .abandoned:
            reasons.formUnion(turn.reasons)
        }
    }

    private mutating func succeed(_ turn: Turn, hasSnapshot: Bool, at instants: Instants) {
        let now = instants.boot.nanoseconds
        let kind = turn.activity.kind
        successes[kind] = now
        if kind.takesSnapshot {
            lastSnapshotEnd = now
            deferredSince = now
        }
        if hasSnapshot { state.unrotatedSnapshots += 1 }
        switch kind {
        case .incremental: break
        case .full:
            // It looked at everything, so it is a reconcile too.
            state.lastFull = instants.wall
            state.lastReconcile = instants.wall
            state.hasUnrotatedFull = true
            successes[.reconcile] = now
            retries[.reconcile] = nil
        case .reconcile:
            state.lastReconcile = instants.wall
            if turn.activity != .reconcile([.interval]) { storm.reconciled(at: now) }
        case .rotate:
            state.lastRotate = instants.wall
            state.unrotatedSnapshots = 0
            state.hasUnrotatedFull = false
        case .verify: state.lastVerify = instants.wall
        case .compact: isCompactable = false
        }
    }

    /// Translates the stored wall-clock times to the boot clock.
    private mutating func anchor(_ instants: Instants) {
        let now = instants.boot.nanoseconds
        for kind in ActivityKind.allCases {
            guard let last = state.last(kind) else { continue }
            let elapsed = instants.wall.duration(since: last).nanosecondsClamped
            // A small step back is an ordinary correction; beyond it, nobody knows how long ago it was.
            if elapsed >= -Scheduler.clockTolerance { successes[kind] = now - max(0, elapsed) }
        }
        if case .limited(let since, let until) = state.pause {
            let left = until.duration(since: max(since, instants.wall)).nanosecondsClamped
            pauseEnd = now + max(0, left)
        }
    }
}
