// How a person writes an amount: "2s", "512MiB", "25%".
// Reading and writing are inverse: what `description` gives, `init` takes.

internal import Kernel

/// A length of time in the configuration's form: a number and `ms`, `s`, `m`, `h`, `d` or `w`.
package enum DurationText {
    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000),
    ]

    package static let form = "a number and ms, s, m, h, d or w, as in \"90s\" or \"1.5h\""

    /// Nil unless the text is a number of at least 0 and a unit; at most 1,000 years.
    package static func parse(_ text: String) -> Duration? {
        let number = text.prefix { $0.isNumber || $0 == "." }
        guard let unit = units.first(where: { $0.suffix == text.dropFirst(number.count) }), let value = Double(number),
            value * Double(unit.milliseconds) <= 3.2e13
        else { return nil }
        return .milliseconds(Int64((value * Double(unit.milliseconds)).rounded()))
    }

    /// The largest unit that gives a whole number.
    package static func describe(_ duration: Duration) -> String {
        let parts = duration.components
        // All that `parse` gives is far within: 1,000 years are below 2^45 milliseconds.
        let seconds = min(max(parts.seconds, -1 << 50), 1 << 50)
        let milliseconds = seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000
        if milliseconds == 0 { return "0s" }
        let unit = units.last { milliseconds % $0.milliseconds == 0 } ?? units[0]
        return "\(milliseconds / unit.milliseconds)\(unit.suffix)"
    }

    /// Rounded for a person: `3s`, `12m`, `5h`, `4d`.
    package static func rough(_ duration: Duration) -> String {
        let seconds = max(0, duration.secondsValue)
        return switch seconds {
        case ..<10: "\(Double(Int(seconds * 10)) / 10)s"
        case ..<120: "\(Int(seconds))s"
        case ..<7200: "\(Int(seconds / 60))m"
        case ..<172_800: "\(Int(seconds / 3600))h"
        default: "\(Int(seconds / 86400))d"
        }
    }

    /// The same of a count that another process gave, whatever it is.
    package static func rough(seconds: Double) -> String { rough(.seconds(seconds > 0 ? min(seconds, 1e9) : 0)) }
}

/// A count of bytes in the configuration's form: a number and `B`, `KiB`, `MiB`, `GiB`, `TiB` or `kB`, `MB`, `GB`, `TB`.
package enum ByteText {
    private static let units: [(suffix: String, bytes: Double)] = [
        ("B", 1), ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776),
        ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12),
    ]

    package static let form = "a number and B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, as in \"512MiB\""

    package static func parse(_ text: String) -> UInt64? {
        let number = text.prefix { $0.isNumber || $0 == "." }
        guard let unit = units.first(where: { $0.suffix == text.dropFirst(number.count) }), let value = Double(number),
            value * unit.bytes < 9e18
        else { return nil }
        return UInt64((value * unit.bytes).rounded())
    }

    /// In the configuration's form, with the largest binary unit that gives a whole number: `512MiB`.
    package static func exact(_ bytes: UInt64) -> String {
        let binary = units[...4].last { bytes != 0 && bytes.isMultiple(of: UInt64($0.bytes)) } ?? units[0]
        return "\(bytes / UInt64(binary.bytes))\(binary.suffix)"
    }

    /// Three significant digits: `1.23 MiB`.
    package static func describe(_ bytes: UInt64) -> String {
        if bytes < 1024 { return "\(bytes) B" }
        var value = Double(bytes)
        var name = "B"
        for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] where value >= 1024 {
            value /= 1024
            name = unit
        }
        let digits = value < 10 ? 100.0 : value < 100 ? 10.0 : 1.0
        let rounded = (value * digits).rounded() / digits
        return rounded == rounded.rounded() ? "\(Int(rounded)) \(name)" : "\(rounded) \(name)"
    }
}

/// A share in the configuration's form: `25%`.
package enum ShareText {
    package static let form = "a percentage, as in \"25%\""

    /// 0...1
    package static func parse(_ text: String) -> Double? {
        guard text.hasSuffix("%"), let value = Double(text.dropLast()), (0...100).contains(value) else { return nil }
        return value / 100
    }
}
