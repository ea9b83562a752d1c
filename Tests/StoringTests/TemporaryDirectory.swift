// A directory that a test has for itself; it is removed at the end.

import Kernel
import Testing

final class TemporaryDirectory: Sendable {
    let path: Path

    init() throws {
        let base = ProcessIdentity.environment("TMPDIR") ?? "/tmp"
        path = try #require(Path("\(base)/storing-tests-\(ProcessIdentity.pid)-\(UInt64.random(in: .min ... .max))"))
        try path.makeDirectories(mode: 0o700)
    }

    deinit {
        _ = try? ProcessIdentity.run("rm", ["-rf", path.text], output: .discarded)
    }

    /// The names in a directory below, sorted.
    func names(_ name: String = "") throws -> [String] {
        let place = name.isEmpty ? path : path.appending(name.utf8)
        return try DirectoryStream.names(in: place).map { String(decoding: $0, as: UTF8.self) }.sorted()
    }

    func write(_ name: String, _ text: String = "") throws {
        try path.appending(name.utf8).replaceFile(with: Array(text.utf8), mode: 0o600)
    }
}

/// Bytes that do not compress, the same for the same seed.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed &* 2 &+ 1
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
}
