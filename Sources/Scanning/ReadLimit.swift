// How fast the sources may be read, so that a backup does not take the disk from a person.
// In: bytes that were read.  Out: how long to wait before more are read.
// Invariant: over any span, no more is read than the rate allows and one burst; threads that share a limit share its rate.
// Idea: the token bucket of traffic control, with debt: what was read is paid for afterwards, however much it was.

package import Kernel
internal import Synchronization

/// Pure: the moment is given.
package struct TokenBucket: Hashable, Sendable {
    /// What may be read at once after a rest.
    private static let burst = Duration.milliseconds(250)

    private let nanosecondsPerByte: Double
    /// From then on the bucket is full again; later than now: there is a debt.
    private var fullAt: Int64

    /// - Parameter bytesPerSecond: 1 or more.
    package init(bytesPerSecond: UInt64) {
        nanosecondsPerByte = 1e9 / Double(max(1, bytesPerSecond))
        fullAt = .min
    }

    /// Takes what was read.
    ///
    /// - Returns: How long whoever read it has to wait.
    package mutating func take(_ bytes: Int, at instant: BootInstant) -> Duration {
        let now = instant.nanoseconds
        // Some 36 years at most, so that no sum overflows.
        fullAt = min(max(fullAt, now), now + 1 << 61) + Int64(min(Double(bytes) * nanosecondsPerByte, 0x1p60))
        return .nanoseconds(max(0, fullAt - now - TokenBucket.burst.nanosecondsClamped))
    }
}

/// A rate that the threads of one snapshot keep together.
package final class ReadLimit: Sendable {
    private let bucket: Mutex<TokenBucket>
    private let isCancelled: @Sendable () -> Bool
    /// Bytes that are worth one reading: more would come in bursts.
    let portion: Int

    /// How soon a cancellation is noticed.
    private static let step = Duration.milliseconds(50)

    package init(bytesPerSecond: UInt64, isCancelled: @escaping @Sendable () -> Bool) {
        bucket = Mutex(TokenBucket(bytesPerSecond: bytesPerSecond))
        portion = max(4096, Int(clamping: bytesPerSecond / 8))
        self.isCancelled = isCancelled
    }

    /// Waits for what was just read.
    ///
    /// - Throws: `ScanCancelled`.
    func pay(_ bytes: Int) throws {
        let start = BootInstant.now()
        let end = start + bucket.withLock { $0.take(bytes, at: start) }
        var now = start
        while now < end {
            if isCancelled() { throw ScanCancelled() }
            var nothing = Poller()
            try nothing.wait(timeout: min(ReadLimit.step, end - now))
            now = .now()
        }
    }
}
