// What happens to what stands at the target already: nothing is ever written through.

import Kernel
import Testing

@testable import Restoring

struct RestorePolicyTests {
    let scratch: Scratch
    let sample: SampleRepository

    init() throws {
        scratch = try Scratch()
        sample = try SampleRepository(scratch)
        try scratch.run("mkdir -p source/dir target/dir outside; printf new > source/file; printf inner > source/dir/inner; printf outer > outside/file")
        try sample.snapshot(scratch["source"])
    }

    @Test func neverKeepsAndNames() throws {
        try scratch.run("printf mine > target/file; chmod 700 target/dir; touch -d 2001-01-01 target/dir")
        let report = try sample.restore(to: scratch["target"], .never)
        #expect(report.skipped == [Path("file")])
        #expect(report.problems == [])
        #expect(!report.isComplete)
        #expect(try scratch.text("target/file") == "mine")
        #expect(try scratch.text("target/dir/inner") == "inner")
        #expect(try FileStatus(of: scratch["target/dir"]).mode == 0o700)
    }

    @Test func changedReplacesOnlyWhatDiffers() throws {
        try scratch.run("printf old > target/file; printf INNER > target/dir/inner; touch -r source/dir/inner target/dir/inner")
        let report = try sample.restore(to: scratch["target"], .changed)
        #expect(report.isComplete)
        #expect(report.files == 1)
        #expect(try scratch.text("target/file") == "new")
        // Same size and time: taken for the same.
        #expect(try scratch.text("target/dir/inner") == "INNER")
    }

    @Test func alwaysReplacesEverything() throws {
        try scratch.run("printf old > target/file; printf INNER > target/dir/inner; touch -r source/dir/inner target/dir/inner")
        let report = try sample.restore(to: scratch["target"], .always)
        #expect(report.isComplete)
        try expectSame(scratch["target"], scratch["source"])
    }

    @Test func symlinksAreReplacedAndNotFollowed() throws {
        try scratch.run("ln -s ../outside/file target/file; rmdir target/dir; ln -s ../outside target/dir")
        let kept = try sample.restore(to: scratch["target"], .never)
        #expect(kept.skipped == [Path("dir"), Path("file")])
        #expect(try scratch.names("outside") == ["file"])
        #expect(try sample.restore(to: scratch["target"], .always).isComplete)
        #expect(try scratch.text("outside/file") == "outer")
        #expect(try scratch.names("outside") == ["file"])
        try expectSame(scratch["target"], scratch["source"])
    }

    @Test func aSymlinkedParentIsRefused() throws {
        try scratch.run("rmdir target/dir; ln -s ../outside target/dir")
        let path = try #require(Path("dir/inner"))
        let request = RestoreRequest(
            snapshot: 1, selections: [.init(path: path, place: path)], target: scratch["target"], overwrite: .always)
        let report = try sample.restorer(request).run()
        #expect(report.problems.map(\.place) == [Path("dir")])
        #expect(report.problems.first?.reason.contains("symlink") == true)
        #expect(try scratch.names("outside") == ["file"])
    }

    @Test func hardLinksAreBroken() throws {
        try scratch.run("ln outside/file target/file")
        #expect(try sample.restore(to: scratch["target"], .always).isComplete)
        #expect(try scratch.text("outside/file") == "outer")
        #expect(try scratch.text("target/file") == "new")
    }

    @Test func fifosAndDevicesAreReplaced() throws {
        try scratch.run("mkfifo target/file; mknod target/dir/inner c 1 3")
        #expect(try sample.restore(to: scratch["target"], .always).isComplete)
        try expectSame(scratch["target"], scratch["source"])
    }

    @Test func aDirectoryIsNotReplacedByAFile() throws {
        try scratch.run("mkdir target/file; printf precious > target/file/precious")
        let report = try sample.restore(to: scratch["target"], .always)
        #expect(report.problems.map(\.place) == [Path("file")])
        #expect(try scratch.text("target/file/precious") == "precious")
        #expect(try scratch.text("target/dir/inner") == "inner")
    }

    @Test func aFileIsReplacedByADirectory() throws {
        try scratch.run("rmdir target/dir; printf x > target/dir")
        #expect(try sample.restore(to: scratch["target"], .changed).isComplete)
        #expect(try scratch.text("target/dir/inner") == "inner")
    }

    /// The first of two names was skipped, and the second one became a link to what stood there.
    @Test func aSecondNameIsNotLinkedToWhatStands() throws {
        try scratch.run("mkdir more; printf shared > more/a; ln more/a more/b; printf mine > target/a")
        let number = try sample.snapshot(scratch["more"])
        let report = try sample.restore(number, to: scratch["target"], .never)
        #expect(report.skipped == [Path("a")])
        #expect(try scratch.text("target/a") == "mine")
        #expect(try scratch.text("target/b") == "shared")
    }

    @Test func linksAndSpecialFilesReplaceFiles() throws {
        try scratch.run(
            "mkdir more; ln -s elsewhere more/link; mkfifo more/pipe; printf s > more/a; ln more/a more/b; for f in link pipe a b; do printf old > target/$f; done")
        let number = try sample.snapshot(scratch["more"])
        try scratch.run("rmdir target/dir")
        #expect(try sample.restore(number, to: scratch["target"], .always).isComplete)
        try expectSame(scratch["target"], scratch["more"])
        // Once more, onto itself.
        #expect(try sample.restore(number, to: scratch["target"], .always).isComplete)
        try expectSame(scratch["target"], scratch["more"])
    }
}
