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
        #expect(moment("1h30m") == time(2026, 11, 25, 10, 30))
        #expect(moment("2d12h ago") == time(2026, 11, 23))
    }

    @Test func spansInWords() {
        #expect(moment("2 hours ago") == time(2026, 11, 25, 10))
        #expect(moment("an hour ago") == time(2026, 11, 25, 11))
        #expect(moment("30 minutes") == time(2026, 11, 25, 11, 30))
        #expect(moment("a week ago") == time(2026, 11, 18, 12))
        #expect(moment("1.5 days ago") == time(2026, 11, 24))
        #expect(moment("9 months ago") == time(2026, 2, 25, 12))
        #expect(moment("1 year ago") == time(2025, 11, 25, 12))
    }

    @Test func aShorterMonthHasNoThirtyFirst() {
        let end = CalendarTime.moment(year: 2026, month: 3, day: 31, hour: 8, in: .utc)
        #expect(Moment("1 month ago", now: end, zone: .utc) == time(2026, 2, 28, 8))
        #expect(Moment("25 months ago", now: end, zone: .utc) == time(2024, 2, 29, 8))
    }

    @Test func aDateWithoutTimeIsItsEnd() {
        #expect(moment("2026-11-23") == time(2026, 11, 23, 23, 59, 59, 999))
        #expect(moment("yesterday") == time(2026, 11, 24, 23, 59, 59, 999))
        #expect(moment("today") == time(2026, 11, 25, 23, 59, 59, 999))
    }

    @Test func weekdaysAreTheLastThatHasBegun() {
        #expect(moment("monday 14:00") == time(2026, 11, 23, 14, 0, 59, 999))
        #expect(moment("last monday") == time(2026, 11, 23, 23, 59, 59, 999))
        #expect(moment("last wednesday 08:00") == time(2026, 11, 18, 8, 0, 59, 999))
        #expect(moment("wednesday") == time(2026, 11, 25, 23, 59, 59, 999))
        #expect(moment("thu 08:30:00.250") == time(2026, 11, 19, 8, 30, 0, 250))
    }

    @Test func aTimeOfDayAloneIsTheLastOne() {
        #expect(moment("09:30") == time(2026, 11, 25, 9, 30, 59, 999))
        #expect(moment("11:59:07") == time(2026, 11, 25, 11, 59, 7, 999))
        #expect(moment("12:00") == time(2026, 11, 25, 12, 0, 59, 999))
        #expect(moment("12:01") == time(2026, 11, 24, 12, 1, 59, 999))
        #expect(moment("23:30") == time(2026, 11, 24, 23, 30, 59, 999))
        #expect(moment("08:30z") == time(2026, 11, 25, 8, 30, 59, 999))
    }

    @Test func isoTimesWithAndWithoutZone() {
        #expect(moment("2026-11-23T05:18:00.123Z") == time(2026, 11, 23, 5, 18, 0, 123))
        #expect(moment("2026-11-23T05:18:00.5+01:00") == time(2026, 11, 23, 4, 18, 0, 500))
        #expect(moment("2026-11-23 05:18") == time(2026, 11, 23, 5, 18, 59, 999))
        #expect(moment("2026-11-23T05:18:07-0230") == time(2026, 11, 23, 7, 48, 7, 999))
    }

    @Test(arguments: [
        "", "soon", "2x", "-1h", "2026-13-01", "2026-11-32", "2026-11-23T25:00", "yesterday 14", "monday tuesday", "24:00", "9:5:1:0", "last", "last today", "last 2026-11-23",
        "ago", "a fortnight ago", "2 hours later", "h", "1h30", "-2 days ago", "1.5 months ago", "2026-11-23T05:18:00+1",
        "latest 3", "5ms",
    ])
    func nonsenseIsNoMoment(_ text: String) {
        #expect(moment(text) == nil)
    }
}
