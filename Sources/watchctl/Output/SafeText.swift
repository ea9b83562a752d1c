// Text for a terminal, out of values: numbers, times, and texts that someone else chose.

internal import Agent
internal import Kernel

enum SafeText {
    /// `text` with everything that could confuse a terminal as `\xNN`. A backslash stays as it is, for a text that has been
    /// made printable before has them already.
    static func cleaned(_ text: String) -> String {
        if text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) { return text }
        let backslash = UInt8(ascii: "\\")
        return text.utf8.split(separator: backslash, omittingEmptySubsequences: false).map { printable($0) }.joined(separator: "\\")
    }

    /// `cleaned`, with its line ends.
    static func cleanedLines(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { cleaned(String($0)) }
    }

    /// `16,613`
    static func count(_ value: some BinaryInteger) -> String {
        let digits = Array(String(value.magnitude).utf8)
        if digits.count < 4 { return String(value) }
        var result: [UInt8] = value < 0 ? [UInt8(ascii: "-")] : []
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { result.append(UInt8(ascii: ",")) }
            result.append(digit)
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// `1 path`, `2 paths`
    static func count(_ value: some BinaryInteger, _ noun: String, plural: String? = nil) -> String {
        "\(count(value)) \(value == 1 ? noun : plural ?? noun + "s")"
    }

    /// A time of a report as a moment; nil when it is none.
    static func time(_ iso: String?, now: Timestamp) -> Timestamp? {
        guard let iso else { return nil }
        if let time = Timestamp(iso8601: iso) { return time }
        guard case .time(let time)? = Moment(iso, now: now) else { return nil }
        return time
    }

    /// As the clock on the wall shows it; what is no time stays as it is.
    static func localTime(_ iso: String, now: Timestamp) -> String { time(iso, now: now)?.localText ?? cleaned(iso) }

    /// `12m ago`, or `in 12m`
    static func distance(_ time: Timestamp, now: Timestamp) -> String {
        let age = now.duration(since: time)
        return age < .zero ? "in \(DurationText.rough(.zero - age))" : "\(DurationText.rough(age)) ago"
    }

    /// `cleaned`, in lines of at most `width` characters that begin with spaces: `first` in the first, `indentation` in the others.
    /// They break at spaces; a word that is longer than a line breaks where the line ends.
    static func wrapped(_ text: String, to width: Int, indentation: Int, first: Int = 0) -> [String] {
        let limit = max(1, width)
        var lines: [String] = []
        for part in cleanedLines(text) {
            var line = String(repeating: " ", count: lines.isEmpty ? min(first, limit - 1) : min(indentation, limit - 1))
            var isEmpty = true
            for word in part.split(separator: " ") {
                var rest = word[...]
                if !isEmpty, line.count + 1 + rest.count > limit {
                    lines.append(line)
                    line = String(repeating: " ", count: min(indentation, limit - 1))
                    isEmpty = true
                }
                if !isEmpty { line += " " }
                while line.count + rest.count > limit {
                    let room = limit - line.count
                    lines.append(line + rest.prefix(room))
                    rest = rest.dropFirst(room)
                    line = String(repeating: " ", count: min(indentation, limit - 1))
                }
                line += rest
                isEmpty = false
            }
            if !isEmpty { lines.append(line) }
        }
        return lines
    }

    /// At most `width` characters; what is cut off shows as `...`.
    static func fitted(_ text: String, to width: Int) -> String {
        if text.count <= width { return text }
        return width < 4 ? String(text.prefix(max(0, width))) : text.prefix(width - 3) + "..."
    }
}
