// A wildcard pattern with which a person picks paths of a snapshot.
// In: `*.odt`, `letters/2025-*`, `/home/me/**/notes`.  Out: whether a path matches.
// Without a slash it speaks of names, at every depth; with one of paths: from the root directory when it begins with a slash,
// else at every depth. A slash at its end means directories only.
// Invariant: the wildcards are those of exclude patterns; but nothing is negated and no line is a comment, for names begin with
// "!" and "#" too.

package import Kernel

package struct PathPattern: Sendable {
    /// As it was written.
    package let text: [UInt8]
    /// Everything that matches lies at or below this directory.
    package let beginning: Path
    private let glob: GlobPattern
    private let isOfNames: Bool
    private let onlyDirectories: Bool

    /// Nil for a pattern that can match nothing: an empty one, an open bracket, an unknown `[:class:]`, a backslash at the end.
    package init?(_ text: [UInt8]) {
        self.text = text
        var body = text[...]
        onlyDirectories = body.last == slash
        if onlyDirectories { body = body.dropLast() }
        isOfNames = !body.contains(slash)
        let isAbsolute = body.first == slash
        if isAbsolute { body = body.dropFirst() }
        if body.isEmpty { return nil }
        beginning = isAbsolute ? PathPattern.directory(above: body) : .root
        glob = isAbsolute || isOfNames ? GlobPattern(body) : GlobPattern(Array("**/".utf8) + body)
        if !glob.canMatch { return nil }
    }

    /// The components that are meant literally, but the last.
    private static func directory(above pattern: ArraySlice<UInt8>) -> Path {
        let components = pattern.split(separator: slash)
        let literal = components.dropLast().prefix { component in component.allSatisfy { !ExcludePattern.isSpecial($0) } }
        return Path(validating: Array(literal.joined(separator: [slash]))) ?? .root
    }

    /// - Parameter directory: The path of the directory that holds it, with a slash at its end; empty for the root directory.
    package func matches(_ name: UnsafeRawBufferPointer, in directory: [UInt8], isDirectory: Bool) -> Bool {
        if onlyDirectories && !isDirectory { return false }
        if isOfNames { return name.withMemoryRebound(to: UInt8.self) { glob.matches($0) } }
        return (directory + name).withUnsafeBufferPointer { glob.matches($0) }
    }

    package func matches(_ path: Path, isDirectory: Bool) -> Bool {
        if onlyDirectories && !isDirectory { return false }
        let bytes = isOfNames ? path.name : path.bytes[...]
        return bytes.withUnsafeBufferPointer { glob.matches($0) }
    }
}
