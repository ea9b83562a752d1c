import Archiving
import Compressing
import Encrypting
import Foundation
import Kernel
import Testing

/// What other programs make of our bytes, and we of theirs.
struct InteroperationTests {
    private static let tar = "/usr/bin/tar"
    static let hasTar = FileManager.default.isExecutableFile(atPath: tar)
    static let hasFernet = (try? run(["/usr/bin/env", "python3", "-c", "import cryptography.fernet"]).status) == 0

    /// Runs a program to its end; standard error goes with standard output.
    @discardableResult
    static func run(_ arguments: [String], input: [UInt8] = []) throws -> (status: Int32, output: [UInt8]) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: arguments[0])
        process.arguments = Array(arguments.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C", "TZ": "UTC"]) { $1 }
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        // Files, not pipes: neither side can block the other.
        let source = directory.appendingPathComponent("in")
        let target = directory.appendingPathComponent("out")
        try Data(input).write(to: source)
        try Data().write(to: target)
        process.standardInput = try FileHandle(forReadingFrom: source)
        let output = try FileHandle(forWritingTo: target)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, Array(try Data(contentsOf: target)))
    }

    static func withDirectory(_ body: (URL) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try body(directory)
    }

    @Test(.enabled(if: hasTar)) func tarReadsThePayloadsOfAnArchive() throws {
        var random = SeededGenerator(seed: 81)
        var file: [UInt8] = []
        var whole: [String: [UInt8]] = [:]
        for frame in 0..<3 {
            var payload = DataPayload()
            for index in 0..<5 {
                let bytes = random.bytes(Int.random(in: 1...2000, using: &random))
                let name = "home/\(frame)/" + String(repeating: "deep/", count: index * 20) + "\u{fc}ber \(index)"
                bytes.withUnsafeBytes {
                    payload.append(
                        $0, digest: SHA256.digest(of: $0), path: path(name), chunkOffset: nil, mode: 0o640,
                        modified: Timestamp(seconds: 1_795_411_080), uid: 0, gid: 0)
                }
                whole[name] = bytes
            }
            file += payload.take().payload
        }
        file += [UInt8](repeating: 0, count: 1024)
        let listing = try InteroperationTests.run([InteroperationTests.tar, "-tvf", "-"], input: file)
        #expect(listing.status == 0)
        #expect(listing.output.split(separator: UInt8(ascii: "\n")).count == 15)
        try InteroperationTests.withDirectory { directory in
            let result = try InteroperationTests.run([InteroperationTests.tar, "-xf", "-", "-C", directory.path], input: file)
            #expect(result.status == 0 && result.output.isEmpty)
            for (name, bytes) in whole {
                #expect(Array(try Data(contentsOf: directory.appendingPathComponent(name))) == bytes)
            }
        }
    }

    @Test(.enabled(if: hasTar)) func tarListsEveryFieldThatWeWrite() throws {
        let file = TarTests.archive(TarTests.entries)
        let (status, output) = try InteroperationTests.run(
            [InteroperationTests.tar, "-tvf", "-", "--numeric-owner", "--full-time", "--xattrs", "-v"], input: file)
        let text = String(decoding: output, as: UTF8.self).split(separator: " ").joined(separator: " ")
        #expect(status == 0, "\(text)")
        for line in [
            "-rwsr-xr-x 2097151/0", "2242-03-16 12:56:31 plain.txt", "-rw-r--r--* 2097152/4294967295", "2026-11-23 05:18:00.12 d/d/",
            "x: 4 user.a=b%c", "x: 0 user.empty", "drwxrwxrwt", "\\303\\244lter/", "\\377\\nA -> ../t../t",
            "2242-03-16 12:56:32", "hrw-------", "second link to plain.txt", "crw-rw-rw-", "brw-rw----", "8,1", "p---------",
        ] {
            #expect(text.contains(line), "\(line) in\n\(text)")
        }
    }

    @Test(.enabled(if: hasTar)) func tarExtractsTimesBeforeTheEpoch() throws {
        var bytes: [UInt8] = []
        let time = Timestamp(seconds: -2, nanoseconds: 750_000_000)
        TarWriter.append(header: TarEntry(path: Array("old".utf8), kind: .file, mode: 0o600, modified: time), to: &bytes)
        bytes += [UInt8](repeating: 0, count: TarWriter.endCount)
        try InteroperationTests.withDirectory { directory in
            try InteroperationTests.run([InteroperationTests.tar, "-xf", "-", "-C", directory.path], input: bytes)
            let place = try #require(Path(directory.appendingPathComponent("old").path))
            #expect(try FileStatus(of: place).modified == time)
        }
    }

    /// A global header is valid for all entries behind it, and an entry's own header comes first.
    @Test(.enabled(if: hasTar)) func globalHeadersAreHeeded() throws {
        try InteroperationTests.withDirectory { directory in
            try Data([1]).write(to: directory.appendingPathComponent("a"))
            try Data([2]).write(to: directory.appendingPathComponent("b"))
            let command = ["--format=pax", "--pax-option=uname=everyone,gname:=mine,delete=mtime", "-cf", "-", "-C", directory.path, "a", "b"]
            let (status, output) = try InteroperationTests.run([InteroperationTests.tar] + command)
            #expect(status == 0)
            let (entries, contents) = try TarTests.read(output, pieces: 512)
            #expect(contents == [[1], [2]])
            #expect(entries.map(\.userName) == [Array("everyone".utf8), Array("everyone".utf8)])
            #expect(entries.map(\.groupName) == [Array("mine".utf8), Array("mine".utf8)])
        }
    }

    @Test(.enabled(if: hasTar), arguments: ["gnu", "pax"]) func sparseFilesAreRefusedNotMisread(_ format: String) throws {
        try InteroperationTests.withDirectory { directory in
            let file = directory.appendingPathComponent("sparse")
            try Data([1]).write(to: file)
            try InteroperationTests.run(["/usr/bin/env", "truncate", "-s", "1M", file.path])
            let (status, output) = try InteroperationTests.run(
                [InteroperationTests.tar, "--format=\(format)", "--sparse", "-cf", "-", "-C", directory.path, "sparse"])
            #expect(status == 0)
            #expect(code { try TarTests.read(output, pieces: 4096) } == .malformed)
        }
    }

    /// A tree with what tar formats disagree on.
    private func makeTree(_ root: URL) throws {
        let manager = FileManager.default
        let deep = root.appendingPathComponent(String(repeating: "directory/", count: 14))
        try manager.createDirectory(at: deep, withIntermediateDirectories: true)
        try Data([1, 2, 3]).write(to: deep.appendingPathComponent(String(repeating: "n", count: 90)))
        try Data(count: 1500).write(to: root.appendingPathComponent("\u{e9}t\u{e9}"))
        try manager.createSymbolicLink(atPath: root.appendingPathComponent("link").path, withDestinationPath: "../target")
        try manager.linkItem(at: root.appendingPathComponent("\u{e9}t\u{e9}"), to: root.appendingPathComponent("\u{e9}t\u{e9}-second"))
        try InteroperationTests.run(["/usr/bin/env", "mkfifo", root.appendingPathComponent("pipe").path])
        try InteroperationTests.run(["/usr/bin/env", "touch", "-h", "-d", "1960-01-02 03:04:05.5 UTC", root.appendingPathComponent("link").path])
    }

    @Test(.enabled(if: hasTar), arguments: ["pax", "gnu", "ustar", "v7"]) func whatTarWritesIsRead(_ format: String) throws {
        try InteroperationTests.withDirectory { directory in
            let root = directory.appendingPathComponent("tree")
            try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
            if format == "v7" {
                try Data([1]).write(to: root.appendingPathComponent("file"))
            } else {
                try makeTree(root)
            }
            // ustar knows no negative times.
            var command = [InteroperationTests.tar, "--format=\(format)", "--sort=name", "--owner=:5000000", "--group=staff:7"]
            if format == "ustar" || format == "v7" { command += ["--mtime=2001-02-03 04:05:06Z", "--owner=root:0"] }
            command += ["-cf", directory.appendingPathComponent("x.tar").path, "-C", directory.path, "tree"]
            let made = try InteroperationTests.run(command)
            #expect(made.status == 0, "\(String(decoding: made.output, as: UTF8.self))")
            let file = Array(try Data(contentsOf: directory.appendingPathComponent("x.tar")))
            let (entries, contents) = try TarTests.read(file, pieces: 1000)
            if format == "v7" {
                #expect(entries.map(\.kind) == [.directory, .file])
                #expect(contents[1] == [1])
                return
            }
            #expect(entries.allSatisfy { $0.uid == (format == "ustar" ? 0 : 5_000_000) && $0.gid == 7 })
            #expect(entries.allSatisfy { $0.groupName == Array("staff".utf8) })
            let byKind = Dictionary(grouping: entries, by: \.kind)
            #expect(byKind[.directory]?.count == 15)
            #expect(byKind[.fifo]?.map(\.path) == [Array("tree/pipe".utf8)])
            let link = try #require(byKind[.symlink]?.first)
            #expect(link.target == Array("../target".utf8))
            let seconds: Int64 = format == "ustar" ? 981_173_106 : -315_521_755
            #expect(link.modified == Timestamp(seconds: seconds, nanoseconds: format == "pax" ? 500_000_000 : 0))
            let second = try #require(byKind[.hardLink]?.first)
            #expect(second.target == Array("tree/\u{e9}t\u{e9}".utf8))
            let deep = try #require(zip(entries, contents).first { $0.0.path.count > 200 && $0.0.kind == .file })
            #expect(deep.1 == [1, 2, 3])
            for entry in entries { _ = try entry.snapshotEntry() }
        }
    }

    @Test(.enabled(if: hasFernet)) func aFrameIsAFernetToken() throws {
        let payload = Array("what the frame holds".utf8)
        let frame = try FrameTests.sealed(payload, level: .stored)
        let program = """
            import base64, sys
            from cryptography.fernet import Fernet
            token = base64.urlsafe_b64encode(sys.stdin.buffer.read()[4:])
            sys.stdout.buffer.write(Fernet(b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=").decrypt(token))
            """
        let (status, output) = try InteroperationTests.run(["/usr/bin/env", "python3", "-c", program], input: frame)
        #expect(status == 0)
        #expect(output == Array(UInt8(0)..<16) + [3, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0] + payload)
    }
}
