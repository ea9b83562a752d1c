// A moment as the file system and the clocks give it.
// Signed seconds, so that files from before 1970 and after 2262 keep their times.

internal import CLinux
internal import Glibc

/// Seconds since 1970-01-01T00:00:00Z and 0...999,999,999 nanoseconds after them.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var seconds: Int64
    public var nanoseconds: UInt32

    public init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// Milliseconds since 1970; the nanoseconds are the rest after flooring.
    public init(milliseconds: Int64) {
        let rest = milliseconds % 1000
        let seconds = milliseconds / 1000 - (rest < 0 ? 1 : 0)
        self.init(seconds: seconds, nanoseconds: UInt32(rest < 0 ? rest + 1000 : rest) * 1_000_000)
    }

    /// Floored to milliseconds; saturates at the ends of Int64.
    public var milliseconds: Int64 {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, tooLarge) = product.addingReportingOverflow(Int64(nanoseconds / 1_000_000))
        return tooLarge ? .max : sum
    }

    /// The wall clock, CLOCK_REALTIME. Source: clock_gettime(2).
    public static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// The time from `earlier` to this; negative when this is the earlier one.
    public func duration(since earlier: Timestamp) -> Duration {
        .seconds(seconds &- earlier.seconds) + .nanoseconds(Int64(nanoseconds) - Int64(earlier.nanoseconds))
    }

    public func adding(_ duration: Duration) -> Timestamp {
        let parts = duration.components
        var nanoseconds = Int64(self.nanoseconds) + parts.attoseconds / 1_000_000_000
        var seconds = self.seconds &+ parts.seconds
        if nanoseconds < 0 {
            nanoseconds += 1_000_000_000
            seconds &-= 1
        } else if nanoseconds >= 1_000_000_000 {
            nanoseconds -= 1_000_000_000
            seconds &+= 1
        }
        return Timestamp(seconds: seconds, nanoseconds: UInt32(nanoseconds))
    }
}

/// Time that goes on while the machine sleeps and never jumps, CLOCK_BOOTTIME. Source: clock_gettime(2).
public struct BootInstant: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    public static func now() -> BootInstant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return BootInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// How long the machine has slept since it was started: this clock counts that, CLOCK_MONOTONIC does not.
    /// Source: clock_gettime(2).
    public static func timeAsleep() -> Duration {
        var least: Int64?
        var asleep: Int64 = 0
        // A thread that had to wait between the readings would take that for sleep: the closest readings count.
        for _ in 0..<5 {
            let before = monotonicNanoseconds()
            let boot = now().nanoseconds
            let after = monotonicNanoseconds()
            if let least, least <= after - before { continue }
            least = after - before
            asleep = boot - after
            if after - before < 1_000_000 { break }
        }
        return .nanoseconds(asleep)
    }

    private static func monotonicNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    public static func < (left: BootInstant, right: BootInstant) -> Bool { left.nanoseconds < right.nanoseconds }

    public static func + (left: BootInstant, right: Duration) -> BootInstant {
        BootInstant(nanoseconds: left.nanoseconds + right.nanosecondsClamped)
    }

    public static func - (left: BootInstant, right: BootInstant) -> Duration {
        .nanoseconds(left.nanoseconds - right.nanoseconds)
    }
}

extension Duration {
    /// Whole nanoseconds, held within about 146 years either way so that sums of two cannot overflow.
    public var nanosecondsClamped: Int64 {
        let limit: Int64 = 1 << 62
        let (seconds, attoseconds) = components
        if seconds > limit / 1_000_000_000 - 1 { return limit }
        if seconds < -limit / 1_000_000_000 + 1 { return -limit }
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    public var secondsValue: Double { Double(nanosecondsClamped) / 1e9 }
}

/// A moment as the calendar shows it.
public struct CalendarTime: Hashable, Sendable {
    public var year: Int
    /// 1...12
    public var month: Int
    /// 1...31
    public var day: Int
    public var hour: Int
    public var minute: Int
    /// 0...60
    public var second: Int
    /// 0 (Sunday)...6
    public var weekday: Int
    /// 0...365
    public var dayOfYear: Int
    /// Seconds east of Greenwich.
    public var offsetSeconds: Int

    public enum Zone: Sendable {
        case utc
        /// The time zone of this machine: TZ, or /etc/localtime.
        case local
    }

    /// Source: localtime(3). Cost: about a microsecond.
    public init(_ timestamp: Timestamp, in zone: Zone) {
        var seconds = time_t(timestamp.seconds)
        var parts = tm()
        switch zone {
        case .utc: gmtime_r(&seconds, &parts)
        case .local: localtime_r(&seconds, &parts)
        }
        year = Int(parts.tm_year) + 1900
        month = Int(parts.tm_mon) + 1
        day = Int(parts.tm_mday)
        hour = Int(parts.tm_hour)
        minute = Int(parts.tm_min)
        second = Int(parts.tm_sec)
        weekday = Int(parts.tm_wday)
        dayOfYear = Int(parts.tm_yday)
        offsetSeconds = parts.tm_gmtoff
    }

    /// The moment of a date and time of day; parts outside their range carry over, as mktime(3) does it.
    public static func moment(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, in zone: Zone
    ) -> Timestamp {
        var parts = tm()
        parts.tm_year = Int32(clamping: year - 1900)
        parts.tm_mon = Int32(clamping: month - 1)
        parts.tm_mday = Int32(clamping: day)
        parts.tm_hour = Int32(clamping: hour)
        parts.tm_min = Int32(clamping: minute)
        parts.tm_sec = Int32(clamping: second)
        parts.tm_isdst = -1
        return switch zone {
        case .utc: Timestamp(seconds: Int64(timegm(&parts)))
        case .local: Timestamp(seconds: Int64(mktime(&parts)))
        }
    }
}

extension Timestamp {
    /// `2026-11-23T05:18:00.123Z`
    public var iso8601: String {
        let time = CalendarTime(self, in: .utc)
        guard (0...9999).contains(time.year) else {
            return "\(padded(time.year, 4))-\(padded(time.month, 2))-\(padded(time.day, 2))T\(time.clock).\(padded(Int(nanoseconds / 1_000_000), 3))Z"
        }
        return String(unsafeUninitializedCapacity: 24) { text in
            // 24 digits and marks, in ascending places.
            time.write(to: text, between: UInt8(ascii: "T"))
            text[19] = UInt8(ascii: ".")
            CalendarTime.write(Int(nanoseconds / 1_000_000), to: text, at: 20, digits: 3)
            text[23] = UInt8(ascii: "Z")
            return 24
        }
    }

    /// `20261123T051800.123Z`, for names. Years outside 0...9999 give a text that `init(compact:)` refuses.
    public var compact: String { iso8601.filter { $0 != "-" && $0 != ":" } }

    /// `2026-11-23 06:18:00`, as the clock on this machine's wall shows it.
    public var localText: String {
        let time = CalendarTime(self, in: .local)
        guard (0...9999).contains(time.year) else {
            return "\(padded(time.year, 4))-\(padded(time.month, 2))-\(padded(time.day, 2)) \(time.clock)"
        }
        return String(unsafeUninitializedCapacity: 19) { text in
            time.write(to: text, between: UInt8(ascii: " "))
            return 19
        }
    }
}

extension CalendarTime {
    fileprivate var clock: String { "\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))" }

    /// `2026-11-23T05:18:00`: 19 bytes. The year has four digits.
    fileprivate func write(to text: UnsafeMutableBufferPointer<UInt8>, between mark: UInt8) {
        CalendarTime.write(year, to: text, at: 0, digits: 4)
        CalendarTime.write(month, to: text, at: 5, digits: 2)
        CalendarTime.write(day, to: text, at: 8, digits: 2)
        CalendarTime.write(hour, to: text, at: 11, digits: 2)
        CalendarTime.write(minute, to: text, at: 14, digits: 2)
        CalendarTime.write(second, to: text, at: 17, digits: 2)
        for (place, byte) in [(4, UInt8(ascii: "-")), (7, UInt8(ascii: "-")), (10, mark), (13, UInt8(ascii: ":")), (16, UInt8(ascii: ":"))] {
            text[place] = byte
        }
    }

    fileprivate static func write(_ value: Int, to text: UnsafeMutableBufferPointer<UInt8>, at place: Int, digits: Int) {
        var rest = value
        for index in (place..<place + digits).reversed() {
            text[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}

/// `value` in decimal with leading zeros up to `width` digits.
public func padded(_ value: some BinaryInteger, _ width: Int) -> String {
    let digits = String(value.magnitude)
    let zeros = String(repeating: "0", count: max(0, width - digits.count))
    return (value < 0 ? "-" : "") + zeros + digits
}
