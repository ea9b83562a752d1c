// A moment as a person writes it, for `--at` and `--since`.
// In: words and the present time.  Out: a snapshot number, the latest, or a point in time.

package import Kernel

package enum Moment: Hashable, Sendable {
    case latest
    case number(UInt64)
    case time(Timestamp)

    /// Understands a snapshot number (up to nine digits), `latest`, `now`, ISO 8601 with or without a zone and time of day, a
    /// span before now (`90s`, `1h30m`, `3d`, `2 weeks`, `an hour`, also with ` ago`), `today`, `yesterday` and the names of weekdays, those
    /// with an optional time of day (`yesterday 14:00`), a weekday also with `last` before it, which is never today. A date without a time is
    /// its end; times without a zone are local. A time of day alone is its last one,
    /// today's or yesterday's.
    ///
    /// - Returns: Nil when the words say nothing of it.
    package init?(_ text: String, now: Timestamp, zone: CalendarTime.Zone = .local) {
        let words = text.lowercased().split(separator: " ").map(String.init)
        guard let first = words.first else { return nil }
        if words == ["latest"] || words == ["now"] {
            self = .latest
        } else if words.count == 1, first.count <= 9, first.allSatisfy(\.isASCIIDigit), let number = UInt64(first) {
            self = .number(number)
        } else if let time = Moment.span(words, before: now, zone) {
            self = .time(time)
        } else if let time = Moment.calendarTime(words, now, zone) {
            self = .time(time)
        } else {
            return nil
        }
    }

    // MARK: Spans

    private static let spanUnits: [(names: Set<String>, text: String)] = [
        (["second", "seconds", "sec"], "s"), (["minute", "minutes", "min"], "m"), (["hour", "hours"], "h"), (["day", "days"], "d"),
        (["week", "weeks"], "w"),
    ]

    private static func span(_ words: [String], before now: Timestamp, _ zone: CalendarTime.Zone) -> Timestamp? {
        let words = words.last == "ago" ? words.dropLast() : words[...]
        guard let first = words.first, words.count <= 2 else { return nil }
        if words.count == 1 { return span(first).map { now.adding(.zero - $0) } }
        let number = first == "a" || first == "an" ? "1" : first
        let unit = words[words.startIndex + 1]
        if let months = ["month": 1, "months": 1, "year": 12, "years": 12][unit] {
            guard let count = Int(number), (0...12_000).contains(count) else { return nil }
            return now.before(months: count * months, zone)
        }
        guard let unit = spanUnits.first(where: { $0.names.contains(unit) }) else { return nil }
        return DurationText.parse(number + unit.text).map { now.adding(.zero - $0) }
    }

    /// `90s`, `1h30m`
    private static func span(_ text: String) -> Duration? {
        var rest = text[...]
        var sum = Duration.zero
        repeat {
            let number = rest.prefix { $0.isASCIIDigit || $0 == "." }
            let unit = rest.dropFirst(number.count).prefix { !$0.isASCIIDigit }
            guard unit != "ms", let part = DurationText.parse(String(number + unit)) else { return nil }
            sum += part
            rest = rest.dropFirst(number.count + unit.count)
        } while !rest.isEmpty
        return sum
    }

    // MARK: Days and times

    private static let weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]

    private static func calendarTime(_ words: [String], _ now: Timestamp, _ zone: CalendarTime.Zone) -> Timestamp? {
        var words = words
        if words.count == 1, let split = words[0].firstIndex(of: "t"), words[0][..<split].contains("-") {
            words = [String(words[0][..<split]), String(words[0][words[0].index(after: split)...])]
        }
        let today = CalendarTime(now, in: zone)
        var (year, month, day) = (today.year, today.month, today.day)
        if words.count == 1, words[0].contains(":") {
            guard let time = timeOfDay(words[0], year, month, day, zone) else { return nil }
            // The minute that is now has begun.
            return time.duration(since: now) < .seconds(60) ? time : timeOfDay(words[0], year, month, day - 1, zone)
        }
        let isNeverToday = words.first == "last" && words.count > 1
        if isNeverToday { words.removeFirst() }
        guard (1...2).contains(words.count) else { return nil }
        if words[0] == "yesterday" {
            day -= 1
        } else if let weekday = weekdays.firstIndex(where: { $0 == words[0] || $0.prefix(3) == words[0] }) {
            // The last one that has begun: on a Monday, "monday" is today.
            day -= (today.weekday - weekday + 7) % 7
            if isNeverToday, today.weekday == weekday { day -= 7 }
        } else if isNeverToday {
            return nil
        } else if words[0] != "today" {
            let parts = words[0].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 3, let y = parts[0], let m = parts[1], let d = parts[2], (1900...9999).contains(y), (1...12).contains(m),
                (1...31).contains(d)
            else { return nil }
            (year, month, day) = (y, m, d)
        }
        guard words.count == 2 else {
            // The last millisecond of that day.
            let next = CalendarTime.moment(year: year, month: month, day: day + 1, in: zone)
            return Timestamp(seconds: next.seconds - 1, nanoseconds: 999_000_000)
        }
        return timeOfDay(words[1], year, month, day, zone)
    }

    private static func timeOfDay(_ text: String, _ year: Int, _ month: Int, _ day: Int, _ zone: CalendarTime.Zone) -> Timestamp? {
        var clock = text[...]
        var offset: Int?
        if clock.hasSuffix("z") {
            offset = 0
            clock = clock.dropLast()
        } else if let sign = clock.lastIndex(where: { $0 == "+" || $0 == "-" }) {
            let digits = clock[clock.index(after: sign)...].filter { $0 != ":" }
            guard digits.count == 4 || digits.count == 2, let value = Int(digits) else { return nil }
            let seconds = digits.count == 2 ? value * 3600 : value / 100 * 3600 + value % 100 * 60
            offset = clock[sign] == "-" ? -seconds : seconds
            clock = clock[..<sign]
        }
        var milliseconds = 0
        if let point = clock.firstIndex(of: ".") {
            let digits = clock[clock.index(after: point)...].prefix(3)
            guard let value = Int(digits), digits.allSatisfy(\.isASCIIDigit) else { return nil }
            milliseconds = value * [1, 100, 10, 1][digits.count]
            clock = clock[..<point]
        }
        let parts = clock.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard (2...3).contains(parts.count), let hour = parts[0], let minute = parts[1], let second = parts.count == 3 ? parts[2] : 0,
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        // Without milliseconds or seconds the whole second or minute is meant: its end.
        if !text.contains(".") { milliseconds = 999 }
        let shown = parts.count == 2 ? 59 : second
        var moment = CalendarTime.moment(
            year: year, month: month, day: day, hour: hour, minute: minute, second: shown, in: offset == nil ? zone : .utc)
        moment.seconds -= Int64(offset ?? 0)
        moment.nanoseconds = UInt32(milliseconds) * 1_000_000
        return moment
    }
}

extension Timestamp {
    /// The same day and time of day that many months before; the last day of a month that is shorter.
    fileprivate func before(months: Int, _ zone: CalendarTime.Zone) -> Timestamp {
        let time = CalendarTime(self, in: zone)
        func moment(_ day: Int) -> Timestamp {
            CalendarTime.moment(
                year: time.year, month: time.month - months, day: day, hour: time.hour, minute: time.minute, second: time.second, in: zone)
        }
        var day = time.day
        // The 31st of a shorter month would be a day of the next one.
        while day > 28, CalendarTime(moment(day), in: zone).day != day { day -= 1 }
        var result = moment(day)
        result.nanoseconds = nanoseconds
        return result
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}
