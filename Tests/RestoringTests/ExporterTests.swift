// Snapshots in one file, opened by the programs that everyone has.

import Archiving
import Encrypting
import Kernel
import Testing

@testable import Restoring

struct ExporterTests {
    let scratch: Scratch
    let sample: SampleRepository

    init() throws {
        scratch = try Scratch()
        sample = try SampleRepository(scratch)
    }

    private func export(
        _ format: ExportFormat, to name: String = "out/export", paths: [Path] = [.root], windowLimit: Int = SnapshotExporter.windowLimit,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> ExportReport {
        try scratch["out"].makeDirectories(mode: 0o755)
        let request = ExportRequest(snapshot: 1, paths: paths, format: format, key: sample.key)
        return try sample.exporter(windowLimit: windowLimit).export(request, to: scratch[name], isCancelled: isCancelled)
    }

    /// `tar` with everything that it can restore.
    private func untar(_ how: String) throws {
        try scratch.run("mkdir opened; \(how) tar -x --same-permissions --same-owner --numeric-owner --xattrs --xattrs-include='*' -C opened")
    }

    /// The line of a few words that the design names.
    @Test func pythonAndTarOpenAFernetExport() throws {
        try scratch.run("mkdir source; cd source; \(everyKindOfFile)")
        try scratch.run("cd source; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"dir/socket\")'")
        try sample.snapshot(scratch["source"])
        let report = try export(.fernet)
        #expect(report.isComplete)
        #expect(report.sockets == [Path("dir/socket")])
        #expect(try scratch.names("out") == ["export"])
        #expect(try FileStatus(of: scratch["out/export"]).mode == 0o600)
        try scratch["key"].replaceFile(with: sample.key.textBytes, mode: 0o600)
        try untar(
            "python3 -c 'import sys; from cryptography.fernet import Fernet; sys.stdout.buffer.write(Fernet(open(\"key\").read()).decrypt(open(\"out/export\", \"rb\").read()))' | xz -d |"
        )
        try scratch.run("touch -r source/dir moment; rm source/dir/socket; touch -r moment source/dir")
        try expectSame(scratch["opened"], scratch["source"], except: .socket)
    }

    @Test(arguments: [ExportFormat.tarXZ, .tar]) func tarOpensTheOthers(_ format: ExportFormat) throws {
        try scratch.run("mkdir source; cd source; \(everyKindOfFile)")
        try sample.snapshot(scratch["source"])
        let report = try export(format)
        #expect(report.isComplete)
        try untar(format == .tar ? "cat out/export |" : "xz -d < out/export |")
        try expectSame(scratch["opened"], scratch["source"])
        let lines = try TreeListing(scratch["source"]).lines.values
        #expect(report.files + report.directories + report.others == UInt64(lines.count))
    }

    @Test(arguments: ExportFormat.allCases) func importBringsEverythingBack(_ format: ExportFormat) throws {
        try scratch.run("mkdir source; cd source; \(everyKindOfFile)")
        try sample.snapshot(scratch["source"])
        _ = try export(format)
        let request = ImportRequest(file: scratch["out/export"], keys: [sample.key], target: scratch["opened"])
        let report = try ArchiveImporter(request).run()
        #expect(report.problems == [])
        #expect(report.isComplete)
        try expectSame(scratch["opened"], scratch["source"])
        // The file had its holes as zeros.
        #expect(try FileStatus(of: scratch["opened/dir/sparse"]).blocks * 512 < 1 << 20)
    }

    /// Files that end with a window, begin one, and reach over several.
    @Test func windowsDoNotShow() throws {
        try scratch.run(
            "mkdir source; for i in $(seq 10 40); do head -c $((i * 20000)) /dev/urandom > source/$i; done; head -c 13000000 /dev/urandom > source/large; truncate -s 30M source/sparse; head -c 9000000 /dev/urandom | dd of=source/sparse bs=1M seek=7 conv=notrunc status=none"
        )
        try sample.snapshot(scratch["source"])
        let report = try export(.tar, windowLimit: 4 << 20)
        #expect(report.isComplete)
        try untar("cat out/export |")
        try expectSame(scratch["opened"], scratch["source"])
        #expect(report.bytes == (try TreeListing(scratch["source"])).lines.values.reduce(0) { $0 + $1.size })
    }

    @Test func theRestOfADamagedSnapshotIsThere() throws {
        try scratch.run("mkdir source; head -c 300000 /dev/urandom > source/broken; ln source/broken source/second; printf whole > source/whole")
        try sample.snapshot(scratch["source"], frameLimit: 1)
        try sample.damage("broken", chunk: 3)
        let report = try export(.tar)
        #expect(report.problems.map(\.path) == [Path("broken"), Path("second")])
        #expect(report.problems.allSatisfy { $0.effect == .omitted })
        #expect(!report.isComplete)
        try untar("cat out/export |")
        #expect(try scratch.names("opened") == ["whole"])
    }

    @Test func aDamagedFileLargerThanTheWindowHasZeros() throws {
        try scratch.run("mkdir source; head -c 9000000 /dev/urandom > source/large; printf whole > source/whole")
        try sample.snapshot(scratch["source"], frameLimit: 1)
        // 64 KiB at 100 * 64 KiB, in the second window.
        try sample.damage("large", chunk: 100)
        let report = try export(.tar, windowLimit: 4 << 20)
        #expect(report.problems.map(\.path) == [Path("large")])
        #expect(report.problems.first?.effect == .zeroed)
        try untar("cat out/export |")
        var expected = try scratch["source/large"].readFile()
        expected.replaceSubrange(100 << 16..<101 << 16, with: [UInt8](repeating: 0, count: 1 << 16))
        #expect(try scratch["opened/large"].readFile() == expected)
        #expect(try scratch.text("opened/whole") == "whole")
    }

    @Test func aLostChunkOfALargeFileIsKnownBefore() throws {
        try scratch.run("mkdir source; head -c 9000000 /dev/urandom > source/large; printf whole > source/whole")
        try sample.snapshot(scratch["source"]) { entry in
            var entry = entry
            if entry.path == Path("large") { entry.content.chunks[120].digest = SHA256.digest(of: [1]) }
            return entry
        }
        let report = try export(.tar, windowLimit: 4 << 20)
        #expect(report.problems.map(\.effect) == [.omitted])
        try untar("cat out/export |")
        #expect(try scratch.names("opened") == ["whole"])
    }

    @Test func anExistingFileStays() throws {
        try scratch.run("mkdir source out; printf x > source/file; printf mine > out/export; ln -s nowhere out/link")
        try sample.snapshot(scratch["source"])
        for name in ["out/export", "out/link", "out"] {
            let error = #expect(throws: ExchangeError.self) { try export(.tar, to: name) }
            #expect(error?.code == .fileExists)
        }
        #expect(try scratch.text("out/export") == "mine")
        #expect(try scratch.names("out") == ["export", "link"])
    }

    @Test func nothingStaysAfterCancellingOrAnError() throws {
        try scratch.run("mkdir source; head -c 1000000 /dev/urandom > source/file; printf x > source/small")
        try sample.snapshot(scratch["source"], frameLimit: 1)
        for limit in [0, 1, 4, 9, 18] {
            let asked = Monitor(0)
            let error = #expect(throws: ExchangeError.self) {
                try export(.fernet, isCancelled: { asked.withLock { $0 += 1; return $0 > limit } })
            }
            #expect(error?.code == .cancelled)
        }
        let path = try #require(Path("not/there"))
        #expect(throws: ExchangeError(.notInSnapshot, "snapshot 1 has nothing there", path: path)) { try export(.tar, paths: [path]) }
        #expect(throws: (any Error).self) { try sample.exporter().export(ExportRequest(snapshot: 9, format: .tar), to: scratch["out/export"]) }
        let error = #expect(throws: ExchangeError.self) {
            try sample.exporter().export(ExportRequest(snapshot: 1, format: .fernet), to: scratch["out/export"])
        }
        #expect(error?.code == .keyMissing)
        #expect(try scratch.names("out") == [])
    }

    @Test func pathsAndDescriptors() throws {
        try scratch.run("mkdir -p source/a/b source/c; printf 1 > source/a/b/one; printf 2 > source/a/two; printf 3 > source/c/three")
        try sample.snapshot(scratch["source"])
        let file = try Descriptor.open(scratch["stream"], [.write, .create], mode: 0o600)
        let paths = ["a/b", "c/three"].compactMap { Path($0) }
        _ = try sample.exporter().export(ExportRequest(snapshot: 1, paths: paths, format: .tarXZ), into: file)
        try scratch.run("test \"$(tar -tJf stream | tr '\\n' ' ')\" = 'a/b/ a/b/one c/three '")
    }

    @Test func anEmptySnapshotIsAnEmptyTar() throws {
        try scratch.run("mkdir source")
        try sample.snapshot(scratch["source"])
        for format in ExportFormat.allCases {
            let name = "out/\(format.rawValue)"
            #expect(try export(format, to: name).isComplete)
            let request = ImportRequest(file: scratch[name], keys: [sample.key], target: scratch["opened"])
            #expect(try ArchiveImporter(request).run().isComplete)
        }
        #expect(try scratch.names("opened") == [])
    }
}
