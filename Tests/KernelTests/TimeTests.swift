import Kernel
import Testing

struct TimeTests {
    @Test func millisecondsAreFloored() {
        #expect(Timestamp(seconds: -1, nanoseconds: 999_999_999).milliseconds == -1)
        #expect(Timestamp(milliseconds: -1) == Timestamp(seconds: -1, nanoseconds: 999_000_000))
        #expect(Timestamp(milliseconds: 1500) == Timestamp(seconds: 1, nanoseconds: 500_000_000))
        for value in [Int64.min, -1001, -1000, 0, 999, Int64.max] { #expect(Timestamp(milliseconds: value).milliseconds == value) }
        #expect(Timestamp(seconds: .max).milliseconds == .max)
    }

    @Test func addingCarriesOver() {
        let time = Timestamp(seconds: 10, nanoseconds: 900_000_000)
        #expect(time.adding(.milliseconds(200)) == Timestamp(seconds: 11, nanoseconds: 100_000_000))
        #expect(time.adding(.milliseconds(-950)) == Timestamp(seconds: 9, nanoseconds: 950_000_000))
        #expect(time.adding(.milliseconds(200)).duration(since: time) == .milliseconds(200))
    }

    @Test func isoTextIsUTCWithMilliseconds() {
        #expect(Timestamp(seconds: 1_795_411_080, nanoseconds: 123_456_789).iso8601 == "2026-11-23T05:18:00.123Z")
        #expect(Timestamp(seconds: -1).iso8601 == "1969-12-31T23:59:59.000Z")
    }

    @Test func theAlarmRingsAtItsMomentAndWhenItIsRung() throws {
        let clock = try AlarmClock()
        let due = BootInstant.now() + .milliseconds(20)
        try clock.wait(until: due)
        #expect(BootInstant.now() >= due)
        clock.ring()
        // Would wait for ever without the ring.
        try clock.wait(until: nil)
        try clock.wait(until: BootInstant(nanoseconds: 0))
    }
}
