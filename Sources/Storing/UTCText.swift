// Moments as the repository writes them: in UTC, to the millisecond, in exactly one spelling.
// In: `20261123T051800.123Z` of names, `2026-11-23T05:18:00.123Z` of repository.json.  Out: milliseconds since 1970.
// Source: RFC 3339; the days by arithmetic on years that begin in March.

internal import Kernel

enum UTCText {
    /// Milliseconds since 1970 of `20261123T051800.123Z`; nil for another form, or a moment that no clock shows.
    static func milliseconds(compact text: ArraySlice<UInt8>) -> Int64? {
        guard text.count == 20 else { return nil }
        let start = text.startIndex
        guard text[start + 8] == UInt8(ascii: "T"), text[start + 15] == UInt8(ascii: "."),
            text[start + 19] == UInt8(ascii: "Z"),
            let year = value(text[start..<start + 4]), let month = value(text[start + 4..<start + 6]),
            let day = value(text[start + 6..<start + 8]), let hour = value(text[start + 9..<start + 11]),
            let minute = value(text[start + 11..<start + 13]), let second = value(text[start + 13..<start + 15]),
            let millisecond = value(text[start + 16..<start + 19])
        else { return nil }
        guard (1...12).contains(month), (1...daysOfMonth(month, year: year)).contains(day), hour < 24, minute < 60,
            second < 60
        else { return nil }
        let seconds = days(year: year, month: month, day: day) * 86_400 + hour * 3600 + minute * 60 + second
        return seconds * 1000 + millisecond
    }

    /// `20261123T051800.123Z`. Years outside 0...9999 give a text that no reader accepts.
    static func compact(milliseconds: Int64) -> String {
        Timestamp(milliseconds: milliseconds).iso8601.filter { $0 != "-" && $0 != ":" }
    }

    /// Of `2026-11-23T05:18:00.123Z`; nil for another form.
    static func milliseconds(extended text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 24 else { return nil }
        let marks: [(Int, UInt8)] = [
            (4, UInt8(ascii: "-")), (7, UInt8(ascii: "-")), (13, UInt8(ascii: ":")), (16, UInt8(ascii: ":")),
        ]
        guard marks.allSatisfy({ bytes[$0.0] == $0.1 }) else { return nil }
        let compact = bytes.indices.filter { index in !marks.contains { $0.0 == index } }.map { bytes[$0] }
        return milliseconds(compact: compact[...])
    }

    private static func value(_ digits: ArraySlice<UInt8>) -> Int64? {
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
