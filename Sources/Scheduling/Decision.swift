// What to do now: begin something, or wait, and then for what and how long.

package import Kernel

package enum Decision: Hashable, Sendable {
    /// Begin it now, and report its end with `Event.finished`. That end answers these requests, unless it is `partial`.
    case start(Activity, requests: [UInt64])
    case wait(Wait)
}

/// Nothing to begin before an event, or before an instant.
package struct Wait: Hashable, Sendable {
    /// Send `Event.timer` then; nil: only an event can change it. The timer must count through sleep (CLOCK_BOOTTIME).
    package var until: BootInstant?
    package var reason: WaitReason
    /// What is expected to begin then.
    package var next: ActivityKind?

    package init(until: BootInstant?, reason: WaitReason, next: ActivityKind?) {
        self.until = until
        self.reason = reason
        self.next = next
    }
}

/// The text is the `waiting_for` of the status.
package enum WaitReason: String, Hashable, Sendable {
    case running = "the current activity"
    case changes = "changes"
    case quietPeriod = "quiet period"
    case minimumGap = "minimum gap"
    case retry = "retry after failure"
    case paused = "paused"
    case nextFull = "next full"
    case nextReconcile = "next reconcile"
    case nextRotation = "next rotation"
    case nextVerification = "next verification"
    case idleTime = "idle time"
    case reconcileStorm = "reconciles too close together"
    case mainsPower = "mains power"
    case unmeteredNetwork = "unmetered network"
}
