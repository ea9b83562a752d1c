// The configured times, and what outlives the process.
// State holds wall-clock times, for it is read after a reboot; while the process runs, the scheduler itself counts on the boot clock.

package import Kernel

/// The `[schedule]` of the configuration, as far as it concerns what follows what. `nil` for an interval: never by itself.
package struct ScheduleSettings: Hashable, Sendable {
    /// From the end of a snapshot to the next incremental that nobody asked for.
    package var minimumGap: Duration
    package var reconcileEvery: Duration?
    /// Moves the next reconcile by this fraction of its interval, -0.25...0.25: chosen at random by the caller, so that computers
    /// that were started together do not stay together.
    package var reconcileJitter: Double
    package var fullEvery: Duration?
    package var verifyEvery: Duration?
    /// From one rotation to the next while snapshots are taken.
    package var rotateEvery: Duration?
    /// Rotates sooner once there are so many new snapshots.
    package var rotateAfterSnapshots: Int
    /// Archives are rewritten once no snapshot was taken for so long.
    package var compactAfter: Duration
    /// After this long without a snapshot, one is taken although conditions speak against it. `nil`: it waits without end.
    package var longestWait: Duration?

    package init(
        minimumGap: Duration = .seconds(10), reconcileEvery: Duration? = .seconds(3600), reconcileJitter: Double = 0,
        fullEvery: Duration? = .seconds(7 * 86400), verifyEvery: Duration? = .seconds(86400),
        rotateEvery: Duration? = .seconds(3600), rotateAfterSnapshots: Int = 240, compactAfter: Duration = .seconds(120), longestWait: Duration? = .seconds(86400)
    ) {
        self.minimumGap = minimumGap
        self.reconcileEvery = reconcileEvery
        self.reconcileJitter = reconcileJitter
        self.fullEvery = fullEvery
        self.verifyEvery = verifyEvery
        self.rotateEvery = rotateEvery
        self.rotateAfterSnapshots = rotateAfterSnapshots
        self.compactAfter = compactAfter
        self.longestWait = longestWait
    }
}

/// What the scheduler must know after a restart. Losing it costs a full snapshot, no more.
package struct ScheduleState: Hashable, Sendable {
    /// When the latest successful one ended; nil: there was none.
    package var lastFull: Timestamp?
    package var lastReconcile: Timestamp?
    package var lastVerify: Timestamp?
    package var lastRotate: Timestamp?
    /// Snapshots taken since the latest rotation.
    package var unrotatedSnapshots: Int
    /// One of them is a full one.
    package var hasUnrotatedFull: Bool
    package var pause: Pause?

    package init(
        lastFull: Timestamp? = nil, lastReconcile: Timestamp? = nil, lastVerify: Timestamp? = nil, lastRotate: Timestamp? = nil,
        unrotatedSnapshots: Int = 0, hasUnrotatedFull: Bool = false, pause: Pause? = nil
    ) {
        self.lastFull = lastFull
        self.lastReconcile = lastReconcile
        self.lastVerify = lastVerify
        self.lastRotate = lastRotate
        self.unrotatedSnapshots = unrotatedSnapshots
        self.hasUnrotatedFull = hasUnrotatedFull
        self.pause = pause
    }

    /// The latest success of what comes round by the clock.
    func last(_ kind: ActivityKind) -> Timestamp? {
        switch kind {
        case .incremental, .compact: nil
        case .full: lastFull
        case .reconcile: lastReconcile
        case .rotate: lastRotate
        case .verify: lastVerify
        }
    }

    /// A pause in force: archiving waits, watching goes on.
    package enum Pause: Hashable, Sendable {
        case indefinite
        /// Begun and to end at these moments. A clock that was set back does not make it longer than it was meant.
        case limited(since: Timestamp, until: Timestamp)
    }
}
