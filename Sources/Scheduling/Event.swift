// What the scheduler hears, with the moment at which it hears it.

package import Kernel

/// One moment on both clocks, read together.
package struct Instants: Hashable, Sendable {
    package var boot: BootInstant
    package var wall: Timestamp
    /// How long the machine has slept until now, counted from any moment.
    package var asleep: Duration

    package init(boot: BootInstant, wall: Timestamp, asleep: Duration = .zero) {
        self.boot = boot
        self.wall = wall
        self.asleep = asleep
    }
}

package enum Event: Hashable, Sendable {
    /// The process has begun: watches stand, nothing is compared yet.
    case started
    /// The dirty set changed: how much is pending, and when the next path has rested. Also after every `finished`.
    case dirty(count: Int, nextDue: BootInstant?)
    /// The dirty set cannot be relied on.
    case reconcileNeeded(ReconcileReason)
    /// Someone asked for it. Requests pass over pause, backoff, gap and deferral.
    case requested(Request)
    /// Archiving waits for so long, or until `resumed`.
    case paused(Duration?)
    case resumed
    /// Conditions speak against archiving (nil: no more). What waits has been waiting since then; nil: since now.
    case deferred(Deferral?, since: BootInstant? = nil)
    /// Power comes from a battery, however full it is: archives are not rewritten.
    case onBattery(Bool)
    /// There are archives to rewrite, or none.
    case compactable(Bool)
    /// The repository lost something, or is damaged: verification looks at it now.
    case damageSuspected
    /// The repository can be reached again: failures are tried again at once.
    case repositoryReturned
    /// The activity that was decided last has ended.
    case finished(Outcome)
    case reconfigured(ScheduleSettings)
    /// The instant of an earlier decision has come, or the machine woke up.
    case timer
}

package enum Outcome: Hashable, Sendable {
    case succeeded
    /// Succeeded, and there was nothing to record.
    case unchanged
    /// A slice of a rotation, verification or compaction is done and there is more: it goes on when nothing more urgent is ready.
    case partial
    case failed
    /// Given up without fault, as at shutdown: still to be done, without backoff.
    case abandoned
}

/// Why automatic archiving waits although nothing is wrong.
package enum Deferral: Hashable, Sendable {
    case battery, meteredNetwork
}

/// One order from a person or a program.
package struct Request: Hashable, Sendable {
    /// The caller's own mark; comes back in `Decision.start` with the activity whose end answers it.
    package var id: UInt64
    package var wish: Wish

    package init(id: UInt64, wish: Wish) {
        self.id = id
        self.wish = wish
    }

    package enum Wish: Hashable, Sendable {
        case snapshot
        case full(FullOptions)
        case rotate
        case verify
        case compact
    }
}
