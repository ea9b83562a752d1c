import Kernel
import Scanning
import Testing

struct TokenBucketTests {
    private func at(_ seconds: Double) -> BootInstant { BootInstant(nanoseconds: Int64(seconds * 1e9)) }

    @Test func aBurstIsFreeAndTheRestIsPaidFor() {
        var bucket = TokenBucket(bytesPerSecond: 1000)
        #expect(bucket.take(250, at: at(10)) == .zero)
        #expect(bucket.take(1000, at: at(10)) == .seconds(1))
        #expect(bucket.take(0, at: at(10.5)) == .milliseconds(500))
        // A rest pays the debt, and fills no more than a burst.
        #expect(bucket.take(250, at: at(100)) == .zero)
        #expect(bucket.take(1, at: at(100)) == .milliseconds(1))
    }

    @Test func whoWaitsAsToldKeepsTheRate() {
        var bucket = TokenBucket(bytesPerSecond: 1 << 20)
        var now = at(0)
        var total = 0
        var state: UInt64 = 7
        while total < 100 << 20 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let bytes = Int(state >> 44)
            total += bytes
            now = now + bucket.take(bytes, at: now)
        }
        // 100 MiB and a last portion of at most 1 MiB, of which a quarter was free.
        #expect((99.5...101).contains((now - at(0)).secondsValue))
    }

    @Test func threadsShareOneRate() {
        var bucket = TokenBucket(bytesPerSecond: 1000)
        _ = bucket.take(250, at: at(0))
        #expect(bucket.take(500, at: at(0)) == .milliseconds(500))
        #expect(bucket.take(500, at: at(0)) == .seconds(1))
    }

    @Test func sillyAmountsDoNotTrap() {
        var bucket = TokenBucket(bytesPerSecond: 1)
        #expect(bucket.take(.max, at: at(0)) > .seconds(86400))
        #expect(bucket.take(.max, at: at(0)) > .seconds(86400))
    }
}
