// A directory that a test has for itself, and the programs that it runs there.

import Encrypting
import Kernel
import Testing

final class Scratch: Sendable {
    let path: Path

    init() throws {
        let base = ProcessIdentity.environment("TMPDIR") ?? "/tmp"
        path = try #require(Path("\(base)/restoring-tests-\(ProcessIdentity.pid)-\(UInt64.random(in: .min ... .max))"))
        try path.makeDirectories(mode: 0o700)
    }

    deinit {
        _ = try? ProcessIdentity.run("chattr", ["-R", "-i", path.text], output: .discarded)
        _ = try? ProcessIdentity.run("rm", ["-rf", path.text], output: .discarded)
    }

    subscript(_ name: String) -> Path { Path(name, relativeTo: path) ?? path }

    /// Runs a bash script in this directory.
    func run(_ script: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let status = try ProcessIdentity.run("bash", ["-c", "set -e -o pipefail; cd '\(path.text)'; \(script)"])
        try #require(status == 0, "the script failed", sourceLocation: sourceLocation)
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try (self[name].parent ?? path).makeDirectories(mode: 0o755)
        try self[name].replaceFile(with: bytes, mode: 0o644)
    }

    func text(_ name: String) throws -> String { String(decoding: try self[name].readFile(), as: UTF8.self) }

    func exists(_ name: String) -> Bool { self[name].exists }

    /// The names in a directory, sorted.
    func names(_ name: String) throws -> [String] {
        try DirectoryStream.names(in: self[name]).map { printable($0) }.sorted()
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

/// A tree with everything that a file system has: the script that makes it in the working directory.
let everyKindOfFile = #"""
    mkdir -p dir/inner dir/empty sticky readonly
    printf hello > dir/hello
    : > dir/nothing
    head -c 700000 /dev/urandom > dir/large
    ln dir/hello dir/inner/second
    ln dir/hello zlast
    ln -s ../hello dir/inner/link
    ln -P dir/inner/link dir/inner/samelink
    ln -s /nowhere/at/all dir/dangling
    mkfifo -m 640 dir/fifo
    mknod dir/null c 1 3
    mknod dir/loop b 7 300
    truncate -s 6M dir/sparse
    printf data | dd of=dir/sparse bs=1 seek=3000000 conv=notrunc status=none
    printf end | dd of=dir/sparse bs=1 seek=5000000 conv=notrunc status=none
    truncate -s 1M dir/hole
    setfattr -n user.note -v 'a value' dir/hello
    setfattr -n user.empty dir/inner
    setfattr -n user.many=signs%x -v x dir/nothing
    setfattr -n trusted.link -v x -h dir/inner/link
    printf '#!' > dir/setuid; chown 1234:5678 dir/setuid; chmod 6755 dir/setuid
    printf p > dir/capable; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 dir/capable
    printf s > dir/secret; chmod 000 dir/secret
    chown -h 77:88 dir/dangling
    chmod 1777 sticky; chmod 2755 dir/empty; chown 9:9 dir/empty
    printf r > readonly/file
    printf n > $'dir/\xff\xfe not utf-8'
    printf n > $'dir/new\nline \\ "quote"'
    printf o > dir/old; touch -d '1969-12-31 23:59:58.123456789 UTC' dir/old
    printf f > dir/future; touch -d '2300-01-01 00:00:00.000000001 UTC' dir/future
    touch -h -d '2001-02-03 04:05:06.789 UTC' dir/inner/link
    touch -d '1960-01-01 00:00:00.5 UTC' dir/inner
    touch -d '2011-11-11 11:11:11.111111111 UTC' dir/empty sticky dir
    chmod 555 readonly; touch -d '2005-05-05 UTC' readonly
    """#
