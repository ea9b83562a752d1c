// The bytes of a wildcard pattern → tokens. See GlobPattern.
// A class that is never closed, or that names an unknown [:class:], matches nothing, and so does its whole pattern.

struct GlobCompiler {
    let pattern: [UInt8]
    private(set) var tokens: [GlobPattern.Token] = []
    private(set) var sets: [ByteSet] = []
    private var index = 0

    init(pattern: [UInt8]) {
        self.pattern = pattern
    }

    mutating func run() {
        while index < pattern.count {
            let byte = pattern[index]
            switch byte {
            case UInt8(ascii: "\\"):
                // A backslash at the end escapes nothing.
                tokens.append(index + 1 < pattern.count ? .literal(pattern[index + 1]) : .never)
                index += 2
            case UInt8(ascii: "?"):
                tokens.append(.any)
                index += 1
            case UInt8(ascii: "*"):
                addStars()
            case UInt8(ascii: "["):
                index += 1
                if let set = readSet() {
                    tokens.append(.set(sets.count))
                    sets.append(set)
                } else {
                    tokens.append(.never)
                    return
                }
            default:
                tokens.append(.literal(byte))
                index += 1
            }
        }
    }

    /// Two asterisks cross slashes only where they stand alone between slashes; elsewhere they are as one.
    private mutating func addStars() {
        let start = index
        while index < pattern.count, pattern[index] == UInt8(ascii: "*") { index += 1 }
        let standsAlone = start == 0 || pattern[start - 1] == slash
        guard index - start >= 2, standsAlone else { return tokens.append(.star) }
        if index == pattern.count {
            tokens.append(.everything)
        } else if pattern[index] == slash {
            tokens.append(.directories)
            index += 1
        } else if pattern[index] == UInt8(ascii: "\\"), byte(at: index + 1) == slash {
            tokens.append(.everything)
        } else {
            tokens.append(.star)
        }
    }

    private func byte(at index: Int) -> UInt8? {
        index < pattern.count ? pattern[index] : nil
    }

    /// Reads from behind the opening bracket to behind the closing one; nil when it is malformed.
    private mutating func readSet() -> ByteSet? {
        var set = ByteSet()
        let isNegated = byte(at: index) == UInt8(ascii: "!") || byte(at: index) == UInt8(ascii: "^")
        if isNegated { index += 1 }
        var previous: UInt8?
        // A closing bracket that comes first stands for itself.
        var isFirst = true
        while true {
            guard let current = byte(at: index) else { return nil }
            if current == UInt8(ascii: "]"), !isFirst { break }
            isFirst = false
            let next = byte(at: index + 1)
            if current == UInt8(ascii: "\\") {
                guard let next else { return nil }
                set.insert(next)
                previous = next
                index += 2
            } else if current == UInt8(ascii: "-"), let first = previous, let next, next != UInt8(ascii: "]") {
                index += 1
                guard let last = readEndOfRange() else { return nil }
                if first <= last { for byte in first...last { set.insert(byte) } }
                previous = nil
            } else if current == UInt8(ascii: "["), next == UInt8(ascii: ":"), let close = closingBracket(from: index + 2) {
                if close > index + 2, pattern[close - 1] == UInt8(ascii: ":") {
                    guard set.insert(className: pattern[(index + 2)..<(close - 1)]) else { return nil }
                    previous = nil
                    index = close + 1
                } else {
                    // No ":]" follows: an ordinary bracket.
                    set.insert(current)
                    previous = current
                    index += 1
                }
            } else if current == UInt8(ascii: "["), next == UInt8(ascii: ":") {
                return nil
            } else {
                set.insert(current)
                previous = current
                index += 1
            }
        }
        index += 1
        if isNegated { set.invert() }
        return set
    }

    private mutating func readEndOfRange() -> UInt8? {
        if byte(at: index) == UInt8(ascii: "\\") { index += 1 }
        guard let last = byte(at: index) else { return nil }
        index += 1
        return last
    }

    private func closingBracket(from start: Int) -> Int? {
        guard start <= pattern.count else { return nil }
        return pattern[start...].firstIndex(of: UInt8(ascii: "]"))
    }
}

extension ByteSet {
    /// Adds the ASCII members of `[:className:]`; false when there is no such class.
    fileprivate mutating func insert(className: ArraySlice<UInt8>) -> Bool {
        guard let isMember = ByteSet.classes[Array(className)] else { return false }
        for byte in UInt8(0)..<128 where isMember(byte) { insert(byte) }
        return true
    }

    private static let classes: [[UInt8]: @Sendable (UInt8) -> Bool] = [
        Array("alnum".utf8): { isLetter($0) || isDigit($0) },
        Array("alpha".utf8): isLetter,
        Array("blank".utf8): { $0 == 0x20 || $0 == 0x09 },
        Array("cntrl".utf8): { $0 < 0x20 || $0 == 0x7F },
        Array("digit".utf8): isDigit,
        Array("graph".utf8): { (0x21...0x7E).contains($0) },
        Array("lower".utf8): { (0x61...0x7A).contains($0) },
        Array("print".utf8): { (0x20...0x7E).contains($0) },
        Array("punct".utf8): { (0x21...0x7E).contains($0) && !isLetter($0) && !isDigit($0) },
        Array("space".utf8): { $0 == 0x20 || (0x09...0x0D).contains($0) },
        Array("upper".utf8): { (0x41...0x5A).contains($0) },
        Array("xdigit".utf8): { isDigit($0) || (0x41...0x46).contains($0 & 0xDF) },
    ]

    @Sendable private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte & 0xDF) }
    @Sendable private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
