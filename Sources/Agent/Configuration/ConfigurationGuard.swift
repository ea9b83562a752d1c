// Looks over the text of a configuration before the parser of TOML does.
// That one asserts, and so ends the program, on brackets and on times that it cannot make sense of, and takes a NUL for the end: what
// no configuration needs does not reach it.
// In: the text.  Out: nothing, or an error that names the line.
// Invariant: what passes is lines of sections and of keys with values, in the order of TOML's grammar; lists hold texts and words alone.
// Whether a text, a key or a word is a good one is left to the parser. Source: TOML 1.0, "Key/Value Pair", "String", "Array", "Inline Table".

internal import Kernel

struct ConfigurationGuard {
    private let file: Path
    private let bytes: [UInt8]
    private var index = 0
    private var line = 1

    init(_ text: String, file: Path) {
        self.file = file
        bytes = Array(text.utf8)
    }

    mutating func check() throws(ConfigurationError) {
        if let end = bytes.firstIndex(of: 0) {
            line += bytes[..<end].count { $0 == UInt8(ascii: "\n") }
            throw error("a NUL, which is no character of a text")
        }
        while true {
            skipSpace(acrossLines: true)
            if index == bytes.count { return }
            if stands("[") { try header() } else { try pair(mayHoldTable: true) }
            skipSpace(acrossLines: false)
            if index < bytes.count, !stands("#"), !stands("\n") { throw unreadable }
        }
    }

    private func error(_ reason: String) -> ConfigurationError { ConfigurationError(file: file, line: line, reason: reason) }

    private var brackets: ConfigurationError {
        error("brackets that are neither a section, as in [keep], nor a list, as in [\"one\", \"two\"]")
    }

    private var unreadable: ConfigurationError { error("neither a section, as in [keep], nor a key with one value, as in last = 3") }
}

// MARK: Grammar

extension ConfigurationGuard {
    /// `[name]`
    private mutating func header() throws(ConfigurationError) {
        index += 1
        skipSpace(acrossLines: false)
        guard index < bytes.count, isOfName(bytes[index]) else { throw brackets }
        while index < bytes.count, isOfName(bytes[index]) || stands(".") || stands(" ") || stands("\t") { index += 1 }
        guard take("]") else { throw brackets }
    }

    /// Of a key, or a quote around one.
    private func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "\""): true
        default: false
        }
    }

    /// `key = value`; a key may have several parts.
    private mutating func pair(mayHoldTable: Bool) throws(ConfigurationError) {
        let start = index
        while true {
            skipSpace(acrossLines: false)
            if take("=") { break }
            guard try textOrWord() else { throw stands("[") || stands("]") ? brackets : unreadable }
        }
        if bytes[start] == UInt8(ascii: "=") { throw unreadable }
        skipSpace(acrossLines: false)
        if take("[") { return try list() }
        if mayHoldTable, take("{") { return try table() }
        guard try textOrWord() else { throw unreadable }
    }

    private mutating func list() throws(ConfigurationError) {
        while true {
            skipSpace(acrossLines: true)
            if take("]") { return }
            guard try textOrWord() else { throw brackets }
            skipSpace(acrossLines: true)
            if take("]") { return }
            guard take(",") else { throw brackets }
        }
    }

    private mutating func table() throws(ConfigurationError) {
        skipSpace(acrossLines: false)
        if take("}") { return }
        while true {
            skipSpace(acrossLines: false)
            if index == bytes.count { throw unreadable }
            try pair(mayHoldTable: false)
            skipSpace(acrossLines: false)
            if take("}") { return }
            guard take(",") else { throw unreadable }
        }
    }
}

// MARK: Words

extension ConfigurationGuard {
    private func stands(_ byte: Unicode.Scalar, times count: Int = 1) -> Bool {
        bytes.count - index >= count && bytes[index..<index + count].allSatisfy { $0 == UInt8(ascii: byte) }
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        defer { if stands(byte) { index += 1 } }
        return stands(byte)
    }

    private mutating func skipSpace(acrossLines: Bool) {
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): index += 1
            case UInt8(ascii: "\n") where acrossLines:
                line += 1
                index += 1
            case UInt8(ascii: "#") where acrossLines: while index < bytes.count, !stands("\n") { index += 1 }
            default: return
            }
        }
    }

    /// False where neither stands.
    private mutating func textOrWord() throws(ConfigurationError) -> Bool {
        if stands("\"") || stands("'") {
            skipText(stands("\"") ? "\"" : "'")
            return true
        }
        let start = index
        while index < bytes.count, !" \t\r\n#\"'[]=,{}".utf8.contains(bytes[index]) { index += 1 }
        try refuseTime(bytes[start..<index])
        return index > start
    }

    /// A text in one or three quotes, from the first to behind the last.
    private mutating func skipText(_ quote: Unicode.Scalar) {
        let isLong = stands(quote, times: 3)
        index += isLong ? 3 : 1
        while index < bytes.count {
            if stands("\\"), quote == "\"" {
                // What follows does not end the text; a line end is counted below.
                index += 1
                if index < bytes.count, !stands("\n") { index += 1 }
                continue
            }
            if stands("\n") {
                // A short text ends with its line, which the parser then refuses.
                if !isLong { return }
                line += 1
            }
            if stands(quote, times: isLong ? 3 : 1) {
                index += isLong ? 3 : 1
                // Before the three that end a long text, two more may belong to it.
                for _ in 0..<2 where isLong && stands(quote) { index += 1 }
                return
            }
            index += 1
        }
    }

    /// What begins with a digit, a sign before it perhaps, and holds a colon, or a hyphen that is no exponent's.
    private func refuseTime(_ word: ArraySlice<UInt8>) throws(ConfigurationError) {
        let isSigned = word.first == UInt8(ascii: "+") || word.first == UInt8(ascii: "-")
        guard let first = word.dropFirst(isSigned ? 1 : 0).first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return }
        for (place, byte) in word.enumerated() {
            let isHyphen = byte == UInt8(ascii: "-") && place > 0 && word[word.startIndex + place - 1] | 0x20 != UInt8(ascii: "e")
            if byte == UInt8(ascii: ":") || isHyphen {
                throw error("\(printable(word.prefix(40))) is a time, which no key takes: lengths of time are texts, as in \"2h\"")
            }
        }
    }
}
