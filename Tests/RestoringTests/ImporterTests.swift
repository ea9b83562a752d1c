// Archives that other programs made, archives that are not whole, and keys that do not fit.

import Encrypting
import Kernel
import Testing

@testable import Restoring

struct ImporterTests {
    let scratch: Scratch
    let key: SecretKey

    init() throws {
        scratch = try Scratch()
        key = try SecretKey.generate()
        try scratch["key"].replaceFile(with: key.textBytes, mode: 0o600)
    }

    @discardableResult
    private func restore(
        _ name: String, _ overwrite: RestoreRequest.Overwrite = .never, key: SecretKey? = nil,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> RestoreReport {
        let request = ImportRequest(file: scratch[name], keys: [key ?? self.key], target: scratch["target"], overwrite: overwrite)
        return try ArchiveImporter(request, isCancelled: isCancelled).run()
    }

    /// A Fernet token that Python made of a file.
    private func encrypt(_ name: String, as token: String) throws {
        try scratch.run(
            "python3 -c 'import sys; from cryptography.fernet import Fernet; sys.stdout.buffer.write(Fernet(open(\"key\").read()).encrypt(open(\"\(name)\", \"rb\").read()))' > \(token)"
        )
    }

    @Test func everythingThatTarWrites() throws {
        try scratch.run("mkdir source; cd source; \(everyKindOfFile)")
        try scratch.run("tar -cJf a.tar.xz --format=pax --xattrs --xattrs-include='*' -C source .")
        let report = try restore("a.tar.xz")
        #expect(report.problems == [])
        #expect(report.isComplete)
        try expectSame(scratch["target"], scratch["source"])
    }

    @Test(arguments: ["--format=gnu", "--format=ustar", "--format=pax", "--format=v7"]) func otherFormats(_ format: String) throws {
        let long = String(repeating: "n", count: 90)
        try scratch.run("mkdir -p source/\(long); printf 1 > source/\(long)/one; printf 2 > source/two; ln -s two source/link; ln source/two source/hard; touch -d @1000000000 source/two")
        // v7 has no names above 99 bytes.
        if format != "--format=v7" { try scratch.run("mkdir -p source/\(long)/deeper; printf 3 > source/\(long)/deeper/\(long)") }
        try scratch.run("tar -cf a.tar \(format) -C source .")
        #expect(try restore("a.tar").isComplete)
        #expect(try scratch.text("target/\(long)/one") == "1")
        #expect(try scratch.text("target/hard") == "2")
        #expect(try scratch.text("target/link") == "2")
        #expect(try FileStatus(of: scratch["target/two"]).modified.seconds == 1_000_000_000)
        if format != "--format=v7" { #expect(try scratch.text("target/\(long)/deeper/\(long)") == "3") }
    }

    @Test func aTokenThatPythonMade() throws {
        try scratch.run("mkdir source; head -c 3000000 /dev/urandom > source/file; tar -cJf a.tar.xz -C source .")
        try encrypt("a.tar.xz", as: "a.enc")
        #expect(try restore("a.enc").isComplete)
        #expect(try scratch["target/file"].readFile() == scratch["source/file"].readFile())
        let error = #expect(throws: ExchangeError.self) {
            try ArchiveImporter(ImportRequest(file: scratch["a.enc"], target: scratch["other"])).run()
        }
        #expect(error?.code == .keyMissing)
        #expect(!scratch.exists("other"))
    }

    @Test func anotherKeyWritesNothing() throws {
        try scratch.run("mkdir source; printf x > source/file; tar -cJf a.tar.xz -C source .")
        try encrypt("a.tar.xz", as: "a.enc")
        let error = #expect(throws: EncryptionError.self) { try restore("a.enc", key: try SecretKey.generate()) }
        #expect(error?.code == .authentication)
        #expect(!scratch.exists("target"))
    }

    @Test func aChangedTokenWritesNothing() throws {
        try scratch.run("mkdir source; head -c 2000000 /dev/urandom > source/file; tar -cJf a.tar.xz -C source .")
        try encrypt("a.tar.xz", as: "a.enc")
        let token = try scratch["a.enc"].readFile()
        for place in [6, 40, 1 << 20, token.count - 60, token.count - 2] {
            var changed = token
            changed[place] = changed[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            try scratch.write("changed.enc", changed)
            let error = #expect(throws: EncryptionError.self, "at \(place)") { try restore("changed.enc") }
            #expect(error?.code == .authentication || error?.code == .malformed)
        }
        for count in [7, 100, 1 << 20, token.count - 4] {
            try scratch.write("changed.enc", Array(token[..<count]))
            #expect(throws: (any Error).self, "cut at \(count)") { try restore("changed.enc") }
        }
        #expect(!scratch.exists("target"))
    }

    @Test(arguments: ["a.tar", "a.tar.xz"]) func whatCameBeforeTheCutStays(_ name: String) throws {
        try scratch.run("mkdir -p source/dir; for i in 1 2 3 4 5; do head -c 300000 /dev/urandom > source/dir/$i; done; touch -d 2001-01-01 source/dir")
        try scratch.run("tar -cf a.tar --sort=name -C source .; xz -k a.tar")
        let whole = try scratch[name].readFile()
        try scratch.write("cut", Array(whole[..<(whole.count / 2)]))
        let report = try restore("cut")
        #expect(report.cutShort?.code == .truncated)
        #expect(!report.isComplete)
        #expect(try scratch.names("target/dir") == ["1", "2"])
        #expect(report.problems.map(\.place) == [Path("dir/3")])
        for file in ["1", "2"] { #expect(try scratch["target/dir/\(file)"].readFile() == scratch["source/dir/\(file)"].readFile()) }
        // The directory has its metadata all the same.
        #expect(try FileStatus(of: scratch["target/dir"]).modified == FileStatus(of: scratch["source/dir"]).modified)
    }

    @Test func damagedCompressionIsSaid() throws {
        try scratch.run("mkdir source; for i in 1 2 3; do head -c 300000 /dev/urandom > source/$i; done; tar -cJf a.tar.xz --sort=name -C source .")
        var bytes = try scratch["a.tar.xz"].readFile()
        bytes[bytes.count / 2] ^= 1
        try scratch.write("damaged", bytes)
        let report = try restore("damaged")
        #expect(report.cutShort?.code == .damaged)
        #expect(!report.isComplete)
        #expect(try scratch.names("target").allSatisfy { ["1", "2", "3"].contains($0) })
    }

    @Test func whatIsNoArchiveIsRefused() throws {
        try scratch.write("text", Array("just a text".utf8))
        try scratch.write("empty", [])
        try scratch.write("noise", noise(5000, seed: 1))
        try scratch.run("printf x | gzip > gz; mkfifo pipe; tar -cf a.tar text; head -c 20 a.tar > short")
        for name in ["text", "empty", "noise", "gz", "short"] {
            let error = #expect(throws: ExchangeError.self, "\(name)") { try restore(name) }
            #expect(error?.code == .unknownFormat)
        }
        for name in ["missing", "pipe", "."] {
            let error = #expect(throws: ExchangeError.self, "\(name)") { try restore(name) }
            #expect(error?.code == .file)
        }
        #expect(!scratch.exists("target"))
        // An xz file that holds something else.
        try scratch.run("xz < noise > noise.xz")
        let error = #expect(throws: ExchangeError.self) { try restore("noise.xz") }
        #expect(error?.code == .damaged)
    }

    @Test func whatStandsThereIsNeverWrittenThrough() throws {
        try scratch.run("mkdir source; for f in file link hard pipe; do printf new > source/$f; done; tar -cf a.tar --format=pax -C source .")
        try scratch.run("mkdir target outside; printf outer > outside/a; printf outer > outside/b; printf mine > target/file; ln -s ../outside/a target/link; ln outside/b target/hard; mkfifo target/pipe")
        let kept = try restore("a.tar", .never)
        #expect(kept.skipped.sorted() == ["file", "hard", "link", "pipe"].compactMap { Path($0) })
        #expect(try scratch.text("target/file") == "mine")
        #expect(try restore("a.tar", .always).isComplete)
        #expect(try scratch.text("outside/a") == "outer")
        #expect(try scratch.text("outside/b") == "outer")
        try expectSame(scratch["target"], scratch["source"])
        try scratch.run("printf old > target/file; printf NEW > target/hard; touch -r source/hard target/hard")
        let changed = try restore("a.tar", .changed)
        #expect(changed.files == 1)
        #expect(try scratch.text("target/file") == "new")
        #expect(try scratch.text("target/hard") == "NEW")
    }

    @Test func directoriesThatComeAfterTheirContent() throws {
        try scratch.run("mkdir -p source/a/b; printf x > source/a/b/file; chmod 555 source/a; touch -d 2001-01-01 source/a/b source/a")
        try scratch.run("tar -cf a.tar --format=pax --no-recursion -C source a/b/file a/b a")
        #expect(try restore("a.tar").isComplete)
        try expectSame(scratch["target"], scratch["source"])
    }

    @Test func aLaterEntryReplacesAnEarlierOneWhenItMay() throws {
        try scratch.run("printf one > file; tar -cf a.tar file; printf two > file; tar -rf a.tar file")
        #expect(try restore("a.tar", .never).skipped == [Path("file")])
        #expect(try scratch.text("target/file") == "one")
        #expect(try restore("a.tar", .always).isComplete)
        #expect(try scratch.text("target/file") == "two")
    }

    @Test func cancellingLeavesNothingHalfDone() throws {
        try scratch.run("mkdir source; for i in 1 2 3; do head -c 3000000 /dev/urandom > source/$i; done; tar -cf a.tar --sort=name -C source .")
        let asked = Monitor(0)
        let report = try restore("a.tar", isCancelled: { asked.withLock { $0 += 1; return $0 > 5 } })
        #expect(report.cutShort?.code == .cancelled)
        #expect(try scratch.names("target") == ["1"])
    }
}
