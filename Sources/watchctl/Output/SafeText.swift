// Text for a terminal, out of values: numbers, times, and texts that someone else chose.

internal import Agent
internal import Kernel

enum SafeText {
    /// `text` with everything that could confuse a terminal as `\xNN`. A backslash stays as it is, for a text that has been
    /// made printable before has them already.
    static func cleaned(_ text: String) -> String {
        let backslash = UInt8(ascii: "\\")
        return text.utf8.split(separator: backslash, omittingEmptySubsequences: false).map { printable($0) }.joined(separator: "\\")
    }

    /// `cleaned`, with its line ends.
    static func cleanedLines(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { cleaned(String($0)) }
    }

    /// `16,613`
    static func count(_ value: some BinaryInteger) -> String {
        let digits = String(value)
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3), result != "-" { result.append(",") }
            result.append(digit)
        }
        return result
    }

    /// `1 path`, `2 paths`
    static func count(_ value: some BinaryInteger, _ noun: String, plural: String? = nil) -> String {
        "\(count(value)) \(value == 1 ? noun : plural ?? noun + "s")"
    }

    /// A time of a report as a moment; nil when it is none.
    static func time(_ iso: String?, now: Timestamp) -> Timestamp? {
        guard let iso, case .time(let time)? = Moment(iso, now: now) else { return nil }
        return time
    }

    /// As the clock on the wall shows it; what is no time stays as it is.
    static func localTime(_ iso: String, now: Timestamp) -> String { time(iso, now: now)?.localText ?? cleaned(iso) }

    /// `12m ago`, or `in 12m`
    static func distance(_ time: Timestamp, now: Timestamp) -> String {
        let age = now.duration(since: time)
        return age < .zero ? "in \(DurationText.rough(.zero - age))" : "\(DurationText.rough(age)) ago"
    }

    /// At most `width` characters; what is cut off shows as `...`.
    static func fitted(_ text: String, to width: Int) -> String {
        if text.count <= width { return text }
        return width < 4 ? String(text.prefix(max(0, width))) : text.prefix(width - 3) + "..."
    }
}
