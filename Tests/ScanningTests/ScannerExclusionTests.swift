// What the scan leaves out: patterns, caches, sizes, flags, mounts.

import Archiving
import Kernel
import Testing
import Tracking

@testable import Scanning

struct ScannerExclusionTests {
    @Test func whatIsExcludedLaterLeavesTheNextSnapshot() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a.tmp")
        try fixture.tree.write("src/keep")
        try fixture.tree.write("src/out/b/c")
        try fixture.takeFirst()
        fixture.settings.patterns = ["*.tmp", "/out/"]
        let plan = try fixture.plan()
        #expect(plan.upserts.isEmpty)
        #expect(fixture.deletions(plan) == ["src/a.tmp", "src/out", "src/out/b", "src/out/b/c"])
        #expect(plan.counts.excluded == 2)
        // Only one of them is reported: it leaves, too.
        #expect(fixture.deletions(try fixture.plan(("src/out/b/c", .entry))) == ["src/out", "src/out/b", "src/out/b/c"])
    }

    @Test func theProgramsOwnFilesAreNeverInIt() throws {
        let fixture = try Fixture(ExcludeSettings(patterns: ["!repository"]))
        fixture.ownPaths = [fixture.tree.path("src/deep/repository")]
        try fixture.tree.write("src/deep/repository/archives/x")
        try fixture.tree.write("src/deep/other")
        #expect(fixture.upserts(try fixture.plan()) == ["src", "src/deep", "src/deep/other"])
        #expect(fixture.upserts(try fixture.plan(("src/deep/repository/archives/x", .entry))).contains("src/deep/repository") == false)
    }

    @Test func aTaggedCacheKeepsOnlyItsTag() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/cache/data/a")
        try fixture.tree.write("src/cache/b")
        try fixture.tree.write("src/notcache/CACHEDIR.TAG", "something else")
        try fixture.tree.write("src/notcache/c")
        try fixture.takeFirst()
        try fixture.tree.write("src/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n")
        for plan in [try fixture.plan(), try fixture.plan(("src/cache/CACHEDIR.TAG", .entry))] {
            #expect(fixture.upserts(plan) == ["src/cache", "src/cache/CACHEDIR.TAG"])
            #expect(fixture.deletions(plan) == ["src/cache/b", "src/cache/data", "src/cache/data/a"])
        }
        fixture.settings.defaults = false
        #expect(fixture.upserts(try fixture.plan()) == ["src/cache", "src/cache/CACHEDIR.TAG"])
        #expect(try fixture.plan().deletions.isEmpty)
    }

    @Test func filesAboveTheLimitAreLeftOutAndCounted() throws {
        let fixture = try Fixture(ExcludeSettings(largerThan: 10))
        try fixture.tree.write("src/small", "0123456789")
        try fixture.tree.write("src/large", "0123456789x")
        let plan = try fixture.plan()
        #expect(fixture.upserts(plan) == ["src", "src/small"])
        #expect(plan.counts.tooLarge == 1)
        try fixture.take(plan)
        fixture.state.trustEverything()
        try fixture.tree.write("src/small", "it grew beyond it")
        #expect(fixture.deletions(try fixture.plan(("src/small", .entry))) == ["src/small"])
    }

    @Test func whatIsMarkedNotToBeDumpedIsLeftOut() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/file")
        try fixture.tree.write("src/other")
        try fixture.tree.write("src/directory/a")
        let flag: UInt32 = 0x40
        do {
            try Descriptor.open(fixture.tree.path("src/file"), [.read]).setInodeFlags(flag)
            try Descriptor.open(fixture.tree.path("src/directory"), [.read]).setInodeFlags(flag)
        } catch {
            return  // This file system keeps no flags.
        }
        let plan = try fixture.plan()
        #expect(fixture.upserts(plan) == ["src", "src/directory", "src/other"])
        #expect(plan.counts.noDump == 2)
    }

    @Test func ignoreFilesApplyBelowThemAndTheInnerOneWins() throws {
        let fixture = try Fixture(ExcludeSettings(patterns: ["*.log"], ignoreFiles: [".gitignore", ".backupignore"]))
        try fixture.tree.write("src/.gitignore", "*.o\n/top\n")
        try fixture.tree.write("src/a.o")
        try fixture.tree.write("src/top")
        try fixture.tree.write("src/d/top")
        try fixture.tree.write("src/d/.gitignore", "!*.o\n")
        try fixture.tree.write("src/d/.backupignore", "b.o\n!kept.log\n")
        try fixture.tree.write("src/d/a.o")
        try fixture.tree.write("src/d/b.o")
        try fixture.tree.write("src/d/kept.log")
        try fixture.tree.write("src/d/x.log")
        #expect(
            fixture.upserts(try fixture.plan()) == [
                "src", "src/.gitignore", "src/d", "src/d/.backupignore", "src/d/.gitignore", "src/d/a.o", "src/d/kept.log", "src/d/top",
            ])
    }

    @Test func anIgnoreFileThatIsAFIFOIsNotOpened() throws {
        let fixture = try Fixture(ExcludeSettings(ignoreFiles: [".gitignore"]))
        try fixture.tree.makeFIFO("src/.gitignore")
        try fixture.tree.makeFIFO("src/CACHEDIR.TAG")
        try fixture.tree.makeFIFO("src/sub/CACHEDIR.TAG", makingParents: true)
        #expect(try fixture.plan().upserts.count == 5)
    }

    // MARK: Mounts

    @Test func aMountBelowTheSourceIsAnEmptyDirectory() throws {
        let fixture = try Fixture()
        try fixture.tree.makeDirectory("src/mount")
        guard let mount = try TemporaryMount(fixture.tree.path("src/mount")) else { return }
        try fixture.tree.write("src/mount/hidden")
        #expect(fixture.upserts(try fixture.plan()) == ["src", "src/mount"])
        fixture.settings.oneFileSystem = false
        #expect(fixture.upserts(try fixture.plan()) == ["src", "src/mount", "src/mount/hidden"])
        withExtendedLifetime(mount) {}
    }

    @Test func whatAMountHidesKeepsItsContent() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/mount/content")
        try fixture.takeFirst()
        guard let mount = try TemporaryMount(fixture.tree.path("src/mount")) else { return }
        for plan in [try fixture.plan(), try fixture.plan(("src/mount/content", .entry)), try fixture.plan(("src/mount", .subtree))] {
            #expect(plan.isEmpty)
            #expect(plan.unavailable == [UnavailableSource(path: fixture.tree.path("src/mount"), reason: .covered)])
        }
        withExtendedLifetime(mount) {}
    }

    @Test(arguments: [[], ["beneath"]])
    func anUnmountedSourceIsMissing(beneath: [String]) throws {
        let fixture = try Fixture()
        for name in beneath { try fixture.tree.write("src/\(name)") }
        do {
            guard let mount = try TemporaryMount(fixture.sources[0]) else { return }
            try fixture.tree.write("src/a/b")
            try fixture.takeFirst()
            #expect(fixture.state.entries.count == 3)
            withExtendedLifetime(mount) {}
        }
        for _ in 0..<2 {
            let plan = try fixture.plan()
            #expect(plan.isEmpty)
            #expect(plan.unavailable == [UnavailableSource(path: fixture.sources[0], reason: .missing)])
            try fixture.take(plan)
        }
    }

    /// With mounts followed, one that goes away leaves a directory that was not emptied, however often it is looked at.
    @Test(arguments: [[], ["beneath"]])
    func anUnmountedDirectoryKeepsItsContent(beneath: [String]) throws {
        let fixture = try Fixture(ExcludeSettings(oneFileSystem: false))
        try fixture.tree.makeDirectory("src/mount")
        for name in beneath { try fixture.tree.write("src/mount/\(name)") }
        do {
            guard let mount = try TemporaryMount(fixture.tree.path("src/mount")) else { return }
            try fixture.tree.write("src/mount/b")
            try fixture.takeFirst()
            withExtendedLifetime(mount) {}
        }
        for _ in 0..<2 {
            for plan in [try fixture.plan(("src/mount/b", .entry), ("src/mount", .children)), try fixture.plan()] {
                #expect(plan.deletions.isEmpty)
                #expect(plan.unavailable == [UnavailableSource(path: fixture.tree.path("src/mount"), reason: .missing)])
                try fixture.take(plan)
            }
        }
    }
}

/// A tmpfs, until the end of its life. Nil where the tests must not mount.
final class TemporaryMount {
    private let place: Path

    init?(_ place: Path) throws {
        self.place = place
        guard ProcessIdentity.uid == 0 else { return nil }
        let status = try ProcessIdentity.run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", place.text], output: .discarded)
        if status != 0 { return nil }
    }

    deinit {
        _ = try? ProcessIdentity.run("umount", [place.text], output: .discarded)
    }
}
