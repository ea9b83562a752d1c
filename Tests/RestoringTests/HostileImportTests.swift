// Archives that are made to write where they must not.

import Kernel
import Testing

@testable import Restoring

struct HostileImportTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        try scratch.run("mkdir outside; printf outer > outside/file")
    }

    /// Imports a tar whose members Python writes: `put(name, type, content or link target)`.
    private func restore(_ members: String, _ overwrite: RestoreRequest.Overwrite = .never) throws -> RestoreReport {
        let script = """
            import io, sys, tarfile
            tar = tarfile.open("a.tar", "w", format=tarfile.PAX_FORMAT)
            def put(name, type=tarfile.REGTYPE, what="evil"):
                info = tarfile.TarInfo(name)
                info.type = type
                info.mode = 0o755
                if type == tarfile.REGTYPE:
                    info.size = len(what)
                    return tar.addfile(info, io.BytesIO(what.encode()))
                info.linkname = what
                tar.addfile(info)
            FILE, LINK, HARD, DIR, FIFO = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE
            outside = "\(scratch["outside"].text)"
            \(members)
            put("good", FILE, "good")
            tar.close()
            """
        try scratch.write("make.py", Array(script.utf8))
        try scratch.run("python3 make.py")
        return try ArchiveImporter(ImportRequest(file: scratch["a.tar"], target: scratch["deep/target"], overwrite: overwrite)).run()
    }

    /// Nothing but what a test wants is there, and the rest of the archive is restored all the same.
    private func expectHarmless(_ names: [String] = [], sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try scratch.text("deep/target/good") == "good", sourceLocation: sourceLocation)
        #expect(try scratch.names("deep/target") == (names + ["good"]).sorted(), sourceLocation: sourceLocation)
        #expect(try scratch.names("deep") == ["target"], sourceLocation: sourceLocation)
        #expect(try scratch.names("outside") == ["file"], sourceLocation: sourceLocation)
        #expect(try scratch.text("outside/file") == "outer", sourceLocation: sourceLocation)
        #expect(try FileStatus(of: scratch["outside/file"]).links == 1, sourceLocation: sourceLocation)
        #expect(!scratch.exists("evil"), sourceLocation: sourceLocation)
    }

    @Test(arguments: ["/evil", "../evil", "a/../../evil", "..", "a//evil", "a/..", "./../evil"])
    func namesThatLeadOut(_ name: String) throws {
        let report = try restore("put(\"\(name)\")")
        #expect(!report.problems.isEmpty)
        #expect(report.files == 1)
        try expectHarmless()
    }

    @Test func absoluteNamesOfTheOutside() throws {
        let report = try restore("put(outside + '/evil'); put(outside + '/file'); put('../../outside/file')", .always)
        #expect(report.problems.count == 3)
        #expect(report.problems.allSatisfy { $0.isLoss && $0.reason.contains("no path that can be restored") })
        try expectHarmless()
    }

    @Test(arguments: RestoreRequest.Overwrite.allCases) func aSymlinkAndThenAFileThroughIt(_ overwrite: RestoreRequest.Overwrite) throws {
        let report = try restore("put('link', LINK, outside); put('link/evil'); put('link/file'); put('link/dir', DIR, '')", overwrite)
        #expect(report.problems.contains { $0.place == Path("link") && $0.isLoss })
        try expectHarmless(["link"])
    }

    @Test func aSymlinkThatBecomesADirectory() throws {
        _ = try restore("put('link', LINK, outside); put('link', DIR, ''); put('link/evil')", .always)
        try expectHarmless(["link"])
        #expect(try FileStatus(of: scratch["deep/target/link"]).kind == .directory)
    }

    @Test(arguments: RestoreRequest.Overwrite.allCases) func aSymlinkAndThenAFileOverIt(_ overwrite: RestoreRequest.Overwrite) throws {
        _ = try restore("put('link', LINK, outside + '/file'); put('link')", overwrite)
        try expectHarmless(["link"])
    }

    @Test func hardLinksToTheOutside() throws {
        try scratch.run("mkdir -p deep/target; ln -s ../../outside deep/target/way")
        let report = try restore(
            """
            put('a', HARD, outside + '/file'); put('b', HARD, '../../outside/file'); put('c', HARD, 'way/file')
            put('d', LINK, outside); put('e', HARD, 'd/file'); put('f', HARD, 'nothing'); put('g', HARD, '')
            """, .always)
        #expect(report.problems.count == 6)
        try expectHarmless(["d", "way"])
    }

    /// The link is to the symlink itself; what is written to it replaces it.
    @Test func aHardLinkToASymlinkIsNotAWayOut() throws {
        let report = try restore("put('link', LINK, outside + '/file'); put('hard', HARD, 'link'); put('hard')", .always)
        #expect(report.isComplete)
        try expectHarmless(["hard", "link"])
        #expect(try scratch.text("deep/target/hard") == "evil")
    }

    @Test func aSymlinkInTheTargetIsNotFollowed() throws {
        try scratch.run("mkdir -p deep/target; ln -s ../../outside deep/target/way")
        let report = try restore("put('way/evil'); put('way/file'); put('way/deeper/evil')", .always)
        #expect(report.problems.map(\.place) == [Path("way")])
        #expect(report.problems.first?.reason.contains("symlink") == true)
        try expectHarmless(["way"])
    }

    /// Opening a FIFO would wait for ever.
    @Test func fifosAreMadeAndNeverOpened() throws {
        let report = try restore("put('fifo', FIFO, ''); put('fifo'); put('fifo/evil'); put('pipe', FIFO, '')", .always)
        #expect(report.problems.map(\.place) == [Path("fifo")])
        try expectHarmless(["fifo", "pipe"])
        #expect(try FileStatus(of: scratch["deep/target/fifo"]).kind == .file)
        #expect(try FileStatus(of: scratch["deep/target/pipe"]).kind == .fifo)
    }

    @Test func theTargetItselfStays() throws {
        let report = try restore("put('.', LINK, outside); put('./', DIR, ''); put('.'); put('')", .always)
        #expect(!report.problems.isEmpty)
        #expect(try FileStatus(of: scratch["deep/target"]).kind == .directory)
        try expectHarmless()
    }
}
