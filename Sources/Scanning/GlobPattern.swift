// One wildcard pattern of gitignore(5), compiled to tokens.
// In: the pattern's bytes.  Out: whether a path or a name matches as a whole.
// Invariant: matching takes O(tokens × text) at worst, whatever the pattern; one that cannot match compiles to `never`.
// Source: gitignore(5), "PATTERN FORMAT"; glob(7); fnmatch(3) with FNM_PATHNAME.

struct GlobPattern: Sendable {
    enum Token: Sendable {
        case literal(UInt8)
        /// Any byte but the slash.
        case any
        /// Index into `sets`.
        case set(Int)
        /// Any run of bytes without a slash.
        case star
        /// Any run of bytes.
        case everything
        /// Nothing, or any run that ends with a slash.
        case directories
        case never
    }

    let tokens: [Token]
    let sets: [ByteSet]

    init(_ pattern: ArraySlice<UInt8>) {
        var compiler = GlobCompiler(pattern: Array(pattern))
        compiler.run()
        tokens = compiler.tokens
        sets = compiler.sets
    }

    /// False for one that is malformed, and so matches nothing.
    var canMatch: Bool {
        !tokens.contains {
            if case .never = $0 { true } else { false }
        }
    }

    /// True when all of `text` matches.
    ///
    /// Only the latest star and the latest run across slashes are tried again: what stands before a run is best matched
    /// as early as it can be.
    func matches(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        tokens.withUnsafeBufferPointer { tokens in
            var token = 0
            var place = 0
            var star: (token: Int, place: Int)?
            var run: (token: Int, place: Int, isDirectories: Bool)?
            while true {
                if token == tokens.count {
                    if place == text.count { return true }
                } else {
                    switch tokens[token] {
                    case .star:
                        token += 1
                        star = (token, place)
                        continue
                    case .everything:
                        token += 1
                        run = (token, place, false)
                        star = nil
                        continue
                    case .directories:
                        token += 1
                        run = (token, place, true)
                        star = nil
                        continue
                    case .never:
                        return false
                    case .literal, .any, .set:
                        if place < text.count, accepts(tokens[token], text[place]) {
                            token += 1
                            place += 1
                            continue
                        }
                    }
                }
                if let last = star, last.place < text.count, text[last.place] != slash {
                    star = (last.token, last.place + 1)
                    (token, place) = (last.token, last.place + 1)
                } else if let last = run, let next = GlobPattern.advanced(last.place, last.isDirectories, text) {
                    run = (last.token, next, last.isDirectories)
                    star = nil
                    (token, place) = (last.token, next)
                } else {
                    return false
                }
            }
        }
    }

    private func accepts(_ token: Token, _ byte: UInt8) -> Bool {
        switch token {
        case .literal(let expected): byte == expected
        case .any: byte != slash
        case .set(let index): byte != slash && sets[index].contains(byte)
        case .star, .everything, .directories, .never: false
        }
    }

    /// The next place to which a run may reach; nil when there is none.
    private static func advanced(_ place: Int, _ isDirectories: Bool, _ text: UnsafeBufferPointer<UInt8>) -> Int? {
        guard isDirectories else { return place < text.count ? place + 1 : nil }
        var place = place
        while place < text.count {
            place += 1
            if text[place - 1] == slash { return place }
        }
        return nil
    }
}

let slash = UInt8(ascii: "/")

/// A set of bytes, as `[a-z]` names it.
struct ByteSet: Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    func contains(_ byte: UInt8) -> Bool {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: return words.0 & bit != 0
        case 1: return words.1 & bit != 0
        case 2: return words.2 & bit != 0
        default: return words.3 & bit != 0
        }
    }

    mutating func insert(_ byte: UInt8) {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    mutating func invert() {
        words = (~words.0, ~words.1, ~words.2, ~words.3)
    }
}
