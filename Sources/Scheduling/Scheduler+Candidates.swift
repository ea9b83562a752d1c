// What could begin by itself, and when: the scheduler's order of urgency, as a list.
// Rotation runs about hourly: the default policy keeps everything of the last hour and thins what is older, so an hour is when there
// first is something to merge, and merging more often would only write more. It also runs after a full snapshot, which ends the chain
// that `data` archives of unfinished snapshots were kept for. Without new snapshots it does not run at all: ages are counted
// against the latest snapshot, so nothing becomes old by waiting.

import Kernel

/// Something that begins by itself once `ready` has come.
struct Candidate: Sendable {
    var activity: Activity
    /// Boot-clock nanoseconds; `Int64.max` when no instant is known.
    var ready: Int64
    var reason: WaitReason
    /// It goes on with a turn that was sliced.
    var isUnfinished = false

    /// Holds it back until an instant; whatever holds it longest is the reason that is named.
    mutating func hold(until instant: Int64?, _ reason: WaitReason) {
        guard let instant, instant > ready else { return }
        ready = instant
        self.reason = reason
    }
}

extension Scheduler {
    static let clockTolerance: Int64 = 5 * 60 * 1_000_000_000
    /// The longest storm backoff when no reconcile interval is set: an hour, in nanoseconds.
    static let defaultInterval: Int64 = 3600 * 1_000_000_000

    /// With its jitter.
    var reconcileInterval: Int64? {
        settings.reconcileEvery.map { every in
            let jitter = settings.reconcileJitter.isFinite ? min(0.25, max(-0.25, settings.reconcileJitter)) : 0
            let nanoseconds = Scheduler.nanoseconds(every)
            return nanoseconds + Int64(Double(nanoseconds) * jitter)
        }
    }

    /// Held within 36 years, so that sums with an instant cannot overflow.
    static func nanoseconds(_ duration: Duration) -> Int64 {
        min(max(0, duration.nanosecondsClamped), 1 << 60)
    }

    /// Most urgent first.
    func candidates(at now: Int64) -> [Candidate] { unheldCandidates(at: now).map(heldByConditions) }

    /// As if power and network were as they should be.
    func unheldCandidates(at now: Int64) -> [Candidate] {
        guard state.lastFull != nil else {
            return [prepared(Candidate(activity: .full([]), ready: now, reason: .nextFull))]
        }
        let all = [reconcileCandidate(at: now), fullCandidate(at: now), incrementalCandidate()] + unfinishedCandidates(at: now)
            + [rotateCandidate(at: now), verifyCandidate(at: now), compactCandidate(at: now)]
        return all.compactMap { $0.map(prepared) }
    }

    private func reconcileCandidate(at now: Int64) -> Candidate? {
        let interval = reconcileInterval
        if !reasons.isEmpty {
            var candidate = Candidate(activity: .reconcile(reasons), ready: now, reason: .nextReconcile)
            candidate.hold(until: storm.notBefore(interval: interval ?? Scheduler.defaultInterval), .reconcileStorm)
            return candidate
        }
        return interval.map { Candidate(activity: .reconcile([.interval]), ready: due(.reconcile, every: $0, now), reason: .nextReconcile) }
    }

    private func fullCandidate(at now: Int64) -> Candidate? {
        settings.fullEvery.map {
            Candidate(activity: .full([]), ready: due(.full, every: Scheduler.nanoseconds($0), now), reason: .nextFull)
        }
    }

    private func incrementalCandidate() -> Candidate? {
        guard dirtyCount > 0, let dirtyDue else { return nil }
        var candidate = Candidate(activity: .incremental, ready: dirtyDue, reason: .quietPeriod)
        candidate.hold(until: lastSnapshotEnd.map { $0 + Scheduler.nanoseconds(settings.minimumGap) }, .minimumGap)
        return candidate
    }

    private func unfinishedCandidates(at now: Int64) -> [Candidate?] {
        unfinished.map { turn in
            let reason: WaitReason =
                switch turn.activity {
                case .rotate: .nextRotation
                case .compact: .idleTime
                default: .nextVerification
                }
            return Candidate(activity: turn.activity, ready: now, reason: reason, isUnfinished: true)
        }
    }

    private func rotateCandidate(at now: Int64) -> Candidate? {
        guard let every = settings.rotateEvery, state.unrotatedSnapshots > 0, !isUnfinished(.rotate) else { return nil }
        let isEarly = state.hasUnrotatedFull || state.unrotatedSnapshots >= settings.rotateAfterSnapshots
        let ready = isEarly ? now : due(.rotate, every: Scheduler.nanoseconds(every), now)
        return Candidate(activity: .rotate, ready: ready, reason: .nextRotation)
    }

    private func verifyCandidate(at now: Int64) -> Candidate? {
        guard let every = settings.verifyEvery, !isUnfinished(.verify) else { return nil }
        return Candidate(activity: .verify, ready: due(.verify, every: Scheduler.nanoseconds(every), now), reason: .nextVerification)
    }

    /// When nothing else is to be done, and the computer's owner does not write at the moment.
    private func compactCandidate(at now: Int64) -> Candidate? {
        guard isCompactable, !isUnfinished(.compact) else { return nil }
        let idle = lastSnapshotEnd.map { $0 + Scheduler.nanoseconds(settings.compactAfter) }
        return Candidate(activity: .compact, ready: idle ?? now, reason: .idleTime)
    }

    private func isUnfinished(_ activity: Activity) -> Bool {
        unfinished.contains { $0.activity == activity }
    }

    /// An interval after the latest success; now when there was none.
    private func due(_ kind: ActivityKind, every interval: Int64, _ now: Int64) -> Int64 {
        successes[kind].map { $0 + interval } ?? now
    }

    /// Held back by failures.
    private func prepared(_ candidate: Candidate) -> Candidate {
        var candidate = candidate
        candidate.hold(until: retries[candidate.activity.kind]?.retryAt, .retry)
        return candidate
    }

    /// Held back by conditions. What a person asked for, and is not finished, is not.
    private func heldByConditions(_ candidate: Candidate) -> Candidate {
        var candidate = candidate
        if candidate.isUnfinished, unfinished.contains(where: { $0.activity == candidate.activity && !$0.requests.isEmpty }) {
            return candidate
        }
        if isOnBattery, candidate.activity == .compact { candidate.hold(until: .max, .mainsPower) }
        guard let deferral else { return candidate }
        let end = candidate.activity.kind.takesSnapshot ? deferralEnd?.nanoseconds : nil
        candidate.hold(until: end ?? .max, deferral == .battery ? .mainsPower : .unmeteredNetwork)
        return candidate
    }
}
