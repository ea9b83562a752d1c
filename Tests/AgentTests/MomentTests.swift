import Agent
import Kernel
import Testing

struct MomentTests {
    // A Wednesday, 12:00 UTC.
    private let now = CalendarTime.moment(year: 2026, month: 11, day: 25, hour: 12, in: .utc)

    private func moment(_ text: String) -> Moment? { Moment(text, now: now, zone: .utc) }

    private func time(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0, _ second: Int = 0, _ ms: Int = 0) -> Moment {
        var time = CalendarTime.moment(year: year, month: month, day: day, hour: hour, minute: minute, second: second, in: .utc)
        time.nanoseconds = UInt32(ms) * 1_000_000
        return .time(time)
    }

    @Test func numbersAndLatest() {
        #expect(moment("42") == .number(42))
        #expect(moment("999999999") == .number(999_999_999))
        #expect(moment("latest") == .latest)
        #expect(moment("NOW") == .latest)
        #expect(moment("1000000000") == nil)
    }

    @Test func spansBeforeNow() {
        #expect(moment("2h") == time(2026, 11, 25, 10))
        #expect(moment("90s") == time(2026, 11, 25, 11, 58, 30))
        #expect(moment("1.5h ago") == time(2026, 11, 25, 10, 30))
        #expect(moment("1w") == time(2026, 11, 18, 12))
    }

    @Test func aDateWithoutTimeIsItsEnd() {
        #expect(moment("2026-11-23") == time(2026, 11, 23, 23, 59, 59, 999))
        #expect(moment("yesterday") == time(2026, 11, 24, 23, 59, 59, 999))
        #expect(moment("today") == time(2026, 11, 25, 23, 59, 59, 999))
    }

    @Test func weekdaysAreTheLastThatHasBegun() {
        #expect(moment("monday 14:00") == time(2026, 11, 23, 14, 0, 59, 999))
        #expect(moment("wednesday") == time(2026, 11, 25, 23, 59, 59, 999))
        #expect(moment("thu 08:30:00.250") == time(2026, 11, 19, 8, 30, 0, 250))
    }

    @Test func isoTimesWithAndWithoutZone() {
        #expect(moment("2026-11-23T05:18:00.123Z") == time(2026, 11, 23, 5, 18, 0, 123))
        #expect(moment("2026-11-23T05:18:00.5+01:00") == time(2026, 11, 23, 4, 18, 0, 500))
        #expect(moment("2026-11-23 05:18") == time(2026, 11, 23, 5, 18, 59, 999))
        #expect(moment("2026-11-23T05:18:07-0230") == time(2026, 11, 23, 7, 48, 7, 999))
    }

    @Test(arguments: [
        "", "soon", "2x", "-1h", "2026-13-01", "2026-11-32", "2026-11-23T25:00", "yesterday 14", "monday tuesday", "12:00", "2026-11-23T05:18:00+1",
        "latest 3", "5ms",
    ])
    func nonsenseIsNoMoment(_ text: String) {
        #expect(moment(text) == nil)
    }
}
