// Two ways of waiting longer each time: after failures, and after reconciles that follow each other too closely.
// Both count on the boot clock, in nanoseconds.

package import Kernel

/// Tries again after 10 s, 20 s, 40 s … 10 min.
package struct RetryBackoff: Hashable, Sendable {
    static let first: Int64 = 10 * 1_000_000_000
    static let limit: Int64 = 600 * 1_000_000_000

    private var failures = 0
    /// Not before this; nil after a success.
    private(set) var retryAt: Int64?

    package init() {}

    package var retry: BootInstant? { retryAt.map(BootInstant.init(nanoseconds:)) }

    package mutating func failed(at instant: BootInstant) { failed(at: instant.nanoseconds, isRequested: false) }

    /// - Parameter isRequested: An attempt on request begins the backoff, but its failure does not make it longer.
    mutating func failed(at now: Int64, isRequested: Bool) {
        if isRequested, retryAt != nil { return }
        // 10 s · 2^6 is over the limit already.
        retryAt = now + min(RetryBackoff.limit, RetryBackoff.first << Int64(min(failures, 6)))
        failures += 1
    }

    package mutating func reset() {
        self = RetryBackoff()
    }
}

/// Three reconciles out of turn are free; then they wait 1 s, 2 s, 4 s … up to the reconcile interval after the one before. After a
/// whole interval without a new reason they are free again. Idea: Syncthing and Watchman, whose users saw endless recrawls.
struct ReconcileStorm: Hashable, Sendable {
    private static let free = 3
    private static let second: Int64 = 1_000_000_000

    private var count = 0
    private var lastEnd: Int64 = 0

    /// A reason for a reconcile has come up.
    mutating func reasonArrived(at now: Int64, interval: Int64) {
        if count > 0, now - lastEnd >= interval { count = 0 }
    }

    mutating func reconciled(at now: Int64) {
        count += 1
        lastEnd = now
    }

    /// The next reconcile out of turn, not before this.
    func notBefore(interval: Int64) -> Int64? {
        if count < ReconcileStorm.free { return nil }
        return lastEnd + min(interval, ReconcileStorm.second << Int64(min(count - ReconcileStorm.free, 40)))
    }
}
