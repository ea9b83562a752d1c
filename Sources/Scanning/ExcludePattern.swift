// One line of gitignore(5): what it excludes or takes back.
// In: a line.  Out: whether it speaks of a path.
// Invariant: the same answers as git's, byte for byte; the literal beginning is compared before any wildcard is tried.

final class ExcludePattern: Sendable {
    /// The line as it was written, without closing spaces.
    let text: [UInt8]
    /// It begins with "!": a path that it matches is not excluded.
    let isNegated: Bool
    /// It ends with "/".
    let onlyDirectories: Bool
    let form: Form

    enum Form: Sendable {
        /// No slash: compared with the last component.
        case name([UInt8])
        /// An asterisk and then literal bytes.
        case nameSuffix([UInt8])
        case nameGlob(GlobPattern)
        /// A slash: compared with the path below the base. First the literal prefix, then the rest when there is one.
        case path(prefix: [UInt8], rest: GlobPattern?)
    }

    /// Nil for an empty line and a comment.
    init?(line: some Collection<UInt8>) {
        let line = ExcludePattern.trimmed(Array(line))
        if line.isEmpty || line.first == UInt8(ascii: "#") { return nil }
        text = line
        var pattern = line[...]
        isNegated = pattern.first == UInt8(ascii: "!")
        if isNegated { pattern = pattern.dropFirst() }
        onlyDirectories = pattern.last == slash
        if onlyDirectories { pattern = pattern.dropLast() }
        form = ExcludePattern.form(of: pattern)
    }

    private static func form(of pattern: ArraySlice<UInt8>) -> Form {
        if !pattern.contains(slash) {
            if !pattern.contains(where: isSpecial) { return .name(Array(pattern)) }
            if pattern.first == UInt8(ascii: "*"), !pattern.dropFirst().contains(where: isSpecial) {
                return .nameSuffix(Array(pattern.dropFirst()))
            }
            return .nameGlob(GlobPattern(pattern))
        }
        let anchored = pattern.first == slash ? pattern.dropFirst() : pattern
        let prefix = anchored.prefix { !isSpecial($0) }
        let rest = anchored.dropFirst(prefix.count)
        return .path(prefix: Array(prefix), rest: rest.isEmpty ? nil : GlobPattern(rest))
    }

    static func isSpecial(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "\\")
    }

    /// Spaces at the end count only behind a backslash.
    private static func trimmed(_ line: [UInt8]) -> [UInt8] {
        var end: Int?
        var index = 0
        while index < line.count {
            switch line[index] {
            case UInt8(ascii: " "):
                end = end ?? index
            case UInt8(ascii: "\\"):
                index += 1
                if index == line.count { return line }
                end = nil
            default:
                end = nil
            }
            index += 1
        }
        return end.map { Array(line[..<$0]) } ?? line
    }

    /// What nearly all names fail at once, without a look at the pattern itself.
    struct Sieve: Sendable {
        fileprivate enum Shape {
            case name, suffix, other
        }

        fileprivate let shape: Shape
        fileprivate let count: Int
        /// The first byte of a name, the last one of a suffix.
        fileprivate let edge: UInt8?

        func passes(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
            switch shape {
            case .name: name.count == count && name.first == edge
            case .suffix: name.count >= count && (count == 0 || name.last == edge)
            case .other: true
            }
        }
    }

    var sieve: Sieve {
        switch form {
        case .name(let literal): Sieve(shape: .name, count: literal.count, edge: literal.first)
        case .nameSuffix(let suffix): Sieve(shape: .suffix, count: suffix.count, edge: suffix.last)
        case .nameGlob, .path: Sieve(shape: .other, count: 0, edge: nil)
        }
    }

    /// - Parameters:
    ///   - path: Below the pattern's base, without a leading slash.
    ///   - name: The last component of it.
    func matches(path: UnsafeBufferPointer<UInt8>, name: UnsafeBufferPointer<UInt8>, isDirectory: Bool) -> Bool {
        if onlyDirectories && !isDirectory { return false }
        switch form {
        case .name(let literal): return literal.count == name.count && literal.elementsEqual(name)
        case .nameSuffix(let suffix): return suffix.count <= name.count && suffix.elementsEqual(name[(name.count - suffix.count)...])
        case .nameGlob(let glob): return glob.matches(name)
        case .path(let prefix, let rest):
            guard prefix.count <= path.count, prefix.elementsEqual(path[..<prefix.count]) else { return false }
            guard let rest else { return prefix.count == path.count }
            return rest.matches(UnsafeBufferPointer(rebasing: path[prefix.count...]))
        }
    }

    /// False when nothing below `directory` (a path below the base, with a slash at its end; empty for the base) can match.
    func canMatch(below directory: ArraySlice<UInt8>) -> Bool {
        guard case .path(let prefix, let rest) = form else { return true }
        if prefix.count > directory.count { return prefix.starts(with: directory) }
        return rest != nil && directory.starts(with: prefix)
    }

    /// `path` as a pattern that matches just it: specials behind backslashes.
    static func escaped(_ path: some Sequence<UInt8>) -> [UInt8] {
        path.flatMap { isSpecial($0) ? [UInt8(ascii: "\\"), $0] : [$0] }
    }
}
