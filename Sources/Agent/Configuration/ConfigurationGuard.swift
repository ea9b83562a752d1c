// Looks over the text of a configuration before the parser of TOML does.
// That one asserts, and so ends the program, on brackets and on times that it cannot make sense of: what no configuration needs
// does not reach it.
// In: the text.  Out: nothing, or an error that names the line.
// Invariant: what stands in quotes and in comments is passed over, as TOML delimits it. Source: TOML 1.0, "String", "Array", "Table".

internal import Kernel

struct ConfigurationGuard {
    private let file: Path
    private let bytes: [UInt8]
    private var index = 0
    private var line = 1
    private var isInList = false
    /// The last byte that means something; a line end where a key or a section can begin.
    private var previous = UInt8(ascii: "\n")

    init(_ text: String, file: Path) {
        self.file = file
        bytes = Array(text.utf8)
    }

    mutating func check() throws(ConfigurationError) {
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\n"):
                line += 1
                index += 1
                if !isInList { previous = byte }
                continue
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
                index += 1
                continue
            case UInt8(ascii: "#"):
                skip { $0 != UInt8(ascii: "\n") }
                continue
            case UInt8(ascii: "\""), UInt8(ascii: "'"): skipText(byte)
            case UInt8(ascii: "["):
                if !isInList, previous == UInt8(ascii: "\n") {
                    try skipHeader()
                } else if !isInList, previous == UInt8(ascii: "=") {
                    isInList = true
                    index += 1
                } else {
                    throw brackets
                }
            case UInt8(ascii: "]"):
                if !isInList { throw brackets }
                isInList = false
                index += 1
            case UInt8(ascii: "="), UInt8(ascii: ","), UInt8(ascii: "{"), UInt8(ascii: "}"): index += 1
            default: try skipWord()
            }
            previous = byte
        }
    }

    private var brackets: ConfigurationError {
        error("brackets that are neither a section, as in [keep], nor a list, as in [\"one\", \"two\"]")
    }

    private func error(_ reason: String) -> ConfigurationError { ConfigurationError(file: file, line: line, reason: reason) }

    private mutating func skip(while isPart: (UInt8) -> Bool) {
        while index < bytes.count, isPart(bytes[index]) { index += 1 }
    }

    private func stands(_ quote: UInt8, times count: Int) -> Bool {
        bytes.count - index >= count && bytes[index..<index + count].allSatisfy { $0 == quote }
    }

    /// A text in one or three quotes, from the first to behind the last.
    private mutating func skipText(_ quote: UInt8) {
        let isLong = stands(quote, times: 3)
        index += isLong ? 3 : 1
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                // What follows does not end the text; a line end is counted below.
                index += 1
                if index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
                continue
            }
            if byte == UInt8(ascii: "\n") {
                // A short text ends with its line, which the parser then refuses.
                if !isLong { return }
                line += 1
            }
            if byte == quote, !isLong || stands(quote, times: 3) {
                index += isLong ? 3 : 1
                // Before the three that end a long text, two more may belong to it.
                if isLong { for _ in 0..<2 where stands(quote, times: 1) { index += 1 } }
                return
            }
            index += 1
        }
    }

    /// `[name]` and nothing behind it but a comment.
    private mutating func skipHeader() throws(ConfigurationError) {
        index += 1
        skip { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\""): true
            default: false
            }
        }
        guard stands(UInt8(ascii: "]"), times: 1) else { throw brackets }
        index += 1
        skip { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
        if index < bytes.count, bytes[index] != UInt8(ascii: "#"), bytes[index] != UInt8(ascii: "\n") { throw brackets }
    }

    /// A key, a number, true or false. What begins with a digit and holds a colon, or a hyphen that is no exponent's, is a time.
    private mutating func skipWord() throws(ConfigurationError) {
        let start = index
        skip { !" \t\r\n#\"'[]=,{}".utf8.contains($0) }
        let word = bytes[start..<index]
        let isSigned = word.first == UInt8(ascii: "+") || word.first == UInt8(ascii: "-")
        guard let first = word.dropFirst(isSigned ? 1 : 0).first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return }
        for (place, byte) in word.enumerated() {
            let isHyphen = byte == UInt8(ascii: "-") && place > 0 && word[start + place - 1] | 0x20 != UInt8(ascii: "e")
            if byte == UInt8(ascii: ":") || isHyphen {
                throw error("\(printable(word.prefix(40))) is a time, which no key takes: lengths of time are texts, as in \"2h\"")
            }
        }
    }
}
