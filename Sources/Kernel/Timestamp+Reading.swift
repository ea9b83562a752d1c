// Reads a moment as this program writes it: in UTC, to the millisecond, in exactly one spelling.
// In: `2026-11-23T05:18:00.123Z`.  Out: a Timestamp; nil for every other form.
// Source: RFC 3339; the days by arithmetic on years that begin in March.

extension Timestamp {
    /// - Parameter text: Of `iso8601`; nil for another form, or a moment that no clock shows.
    /// - Complexity: a tenth of a microsecond.
    public init?(iso8601 text: String) {
        var copy = text
        let milliseconds = copy.withUTF8 { bytes -> Int64? in
            guard bytes.count == 24, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"), bytes[10] == UInt8(ascii: "T"),
                bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"), bytes[19] == UInt8(ascii: "."), bytes[23] == UInt8(ascii: "Z")
            else { return nil }
            return UTCDigits(year: bytes[0..<4], month: bytes[5..<7], day: bytes[8..<10], hour: bytes[11..<13], minute: bytes[14..<16],
                second: bytes[17..<19], millisecond: bytes[20..<23])?.milliseconds
        }
        guard let milliseconds else { return nil }
        self.init(milliseconds: milliseconds)
    }

    /// - Parameter text: `20261123T051800.123Z`, as in the names of archives.
    public init?(compact text: ArraySlice<UInt8>) {
        let milliseconds = text.withUnsafeBufferPointer { bytes -> Int64? in
            guard bytes.count == 20, bytes[8] == UInt8(ascii: "T"), bytes[15] == UInt8(ascii: "."), bytes[19] == UInt8(ascii: "Z") else { return nil }
            return UTCDigits(year: bytes[0..<4], month: bytes[4..<6], day: bytes[6..<8], hour: bytes[9..<11], minute: bytes[11..<13],
                second: bytes[13..<15], millisecond: bytes[16..<19])?.milliseconds
        }
        guard let milliseconds else { return nil }
        self.init(milliseconds: milliseconds)
    }
}

/// The digits of a moment, each part within what a clock shows.
private struct UTCDigits {
    /// Since 1970.
    let milliseconds: Int64

    typealias Digits = Slice<UnsafeBufferPointer<UInt8>>

    init?(year: Digits, month: Digits, day: Digits, hour: Digits, minute: Digits, second: Digits, millisecond: Digits) {
        guard let year = UTCDigits.value(year), let month = UTCDigits.value(month), let day = UTCDigits.value(day), let hour = UTCDigits.value(hour),
            let minute = UTCDigits.value(minute), let second = UTCDigits.value(second), let millisecond = UTCDigits.value(millisecond),
            (1...12).contains(month), (1...UTCDigits.daysOfMonth(month, year: year)).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let seconds = UTCDigits.days(year: year, month: month, day: day) * 86_400 + hour * 3600 + minute * 60 + second
        milliseconds = seconds * 1000 + millisecond
    }

    private static func value(_ digits: Digits) -> Int64? {
        var value: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        return value
    }

    private static func daysOfMonth(_ month: Int64, year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01. Years begin in March here, so that the leap day is the last; an era is 400 years.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = (month <= 2 ? year - 1 : year) + 400
        let era = shifted / 400
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era - 1) * 146_097 + dayOfEra - 719_468
    }
}
