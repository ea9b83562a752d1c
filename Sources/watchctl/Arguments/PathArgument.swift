// A path as a person types it: any bytes, relative to the working directory or absolute.
// "." and ".." are resolved by their letters. What we print escaped (`\x9f`) is not read back: a backslash is a backslash.

internal import Agent
internal import ArgumentParser
internal import Kernel

struct PathArgument: ExpressibleByArgument, Hashable, Sendable {
    let bytes: [UInt8]

    /// Nil for an empty argument, which is an unset variable of a script more often than the working directory.
    init?(argument: String) {
        bytes = ArgumentText.decode(argument)
        if bytes.isEmpty { return nil }
    }

    static var defaultCompletionKind: CompletionKind { .file() }

    /// - Throws: `AgentError.usage` for a name over 255 bytes or a path over 1 MiB; `AgentError.failed` when the path is relative
    ///   and the working directory is gone.
    func resolved() throws -> Path {
        if bytes.first == UInt8(ascii: "/") { return try resolved(against: .root) }
        let base: Path
        do throws(Errno) {
            base = try Path.workingDirectory()
        } catch {
            throw AgentError.failed("the working directory cannot be found (\(error)); give an absolute path")
        }
        return try resolved(against: base)
    }

    func resolved(against base: Path) throws(AgentError) -> Path {
        let slash = UInt8(ascii: "/")
        var parts: [ArraySlice<UInt8>] = bytes.first == slash ? [] : base.components
        for part in bytes.split(separator: slash) {
            if part.elementsEqual(".".utf8) { continue }
            if part.elementsEqual("..".utf8) { _ = parts.popLast() } else { parts.append(part) }
        }
        guard let path = Path(validating: Array(parts.joined(separator: [slash]))) else {
            throw AgentError.usage("\(printable(bytes)) cannot be a path: a name has at most 255 bytes")
        }
        return path
    }
}

/// A wildcard pattern for names or paths, in any bytes.
struct PatternArgument: ExpressibleByArgument, Hashable, Sendable {
    let bytes: [UInt8]

    init?(argument: String) {
        bytes = ArgumentText.decode(argument)
        if bytes.isEmpty { return nil }
    }

    static let help = "* ? [a-z] in a name; with a slash it speaks of paths: from the root with one in front, else at any depth; ** is any number of directories."
}

/// The working directory; the root directory where it is gone.
func workingDirectory() -> Path { (try? Path.workingDirectory()) ?? .root }
