// What the fuzzer and the replay test run: for each parser of bytes that others may have written, one function.
// In: any bytes.  Out: nothing; `Broken` when the parser gave a value that breaks its promise.
// Invariant: a parser refuses bytes by its own error, whose type the function names. A trap, a hang, or memory that the bytes
// do not pay for is what the fuzzer looks for by itself.

struct FuzzTarget: Sendable {
    /// Also of its directories in Corpora and Crashes.
    let name: String
    let run: @Sendable (UnsafeRawBufferPointer) throws -> Void

    static let all: [FuzzTarget] = [
        FuzzTarget(name: "answer", run: readAnswer),
        FuzzTarget(name: "archive", run: readArchive),
        FuzzTarget(name: "archive-name", run: readArchiveName),
        FuzzTarget(name: "archive-sealed", run: readSealedArchive),
        FuzzTarget(name: "compressed", run: readCompressed),
        FuzzTarget(name: "configuration", run: readConfiguration),
        FuzzTarget(name: "contents", run: readContents),
        FuzzTarget(name: "control-json", run: readControlJSON),
        FuzzTarget(name: "exclude", run: readExcludeRules),
        FuzzTarget(name: "fanotify", run: readFanotify),
        FuzzTarget(name: "fernet", run: readFernet),
        FuzzTarget(name: "frame", run: readFrame),
        FuzzTarget(name: "history", run: readHistory),
        FuzzTarget(name: "inotify", run: readInotify),
        FuzzTarget(name: "key", run: readKey),
        FuzzTarget(name: "manifest", run: readManifest),
        FuzzTarget(name: "moment", run: readMoment),
        FuzzTarget(name: "mounts", run: readMounts),
        FuzzTarget(name: "repository", run: readRepositoryDescription),
        FuzzTarget(name: "request", run: readRequest),
        FuzzTarget(name: "tar", run: readTar),
    ]
}

/// A parser's promise that does not hold.
struct Broken: Error, CustomStringConvertible {
    let description: String
}

func require(_ condition: Bool, _ promise: @autoclosure () -> String) throws(Broken) {
    if !condition { throw Broken(description: promise()) }
}

/// Takes an input apart: the parts that one function needs of one run of bytes.
struct InputReader {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    /// 0 at the end.
    mutating func byte() -> UInt8 {
        guard let byte = rest.first else { return 0 }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        return byte
    }

    /// Little-endian.
    mutating func short() -> Int { Int(byte()) | Int(byte()) << 8 }

    /// `count` bytes, fewer at the end.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count)) }
        return Array(rest.prefix(count))
    }

    mutating func remaining() -> [UInt8] { bytes(rest.count) }
}
