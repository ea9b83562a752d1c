// A scan of changed paths: it looks where it is told, and finds the same as a whole scan would there.

import Archiving
import Kernel
import Testing
import Tracking

@testable import Scanning

struct ScannerChangesTests {
    @Test func onlyThePathsAndTheirParentsAreLookedAt() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/one")
        try fixture.tree.write("src/b/two")
        try fixture.takeFirst()
        try fixture.tree.write("src/a/one", "changed")
        try fixture.tree.write("src/b/two", "changed too")
        let plan = try fixture.plan(("src/a/one", .entry))
        #expect(fixture.upserts(plan) == ["src/a/one"])
    }

    @Test func aNewFileBringsItsDirectoryAlong() throws {
        let fixture = try Fixture()
        try fixture.tree.makeDirectory("src/a")
        try fixture.takeFirst()
        try fixture.tree.write("src/a/new")
        #expect(fixture.upserts(try fixture.plan(("src/a/new", .entry))) == ["src/a", "src/a/new"])
    }

    @Test func aNewDirectoryIsScannedAsAWhole() throws {
        let fixture = try Fixture()
        try fixture.takeFirst()
        try fixture.tree.write("src/new/b/c")
        let whole = ["src", "src/new", "src/new/b", "src/new/b/c"]
        #expect(fixture.upserts(try fixture.plan(("src/new", .entry))) == whole)
        // Only the deepest path was reported: what is above it is new as well.
        #expect(fixture.upserts(try fixture.plan(("src/new/b/c", .entry))) == whole)
    }

    @Test func aPathThatIsGoneTakesEverythingBelowItAlong() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/b/c")
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        let gone = ["src/a", "src/a/b", "src/a/b/c"]
        #expect(fixture.deletions(try fixture.plan(("src/a", .entry))) == gone)
        #expect(fixture.deletions(try fixture.plan(("src/a/b/c", .entry))) == gone)
        #expect(fixture.deletions(try fixture.plan(("src", .children))) == gone)
    }

    @Test func aDirectoryPutInPlaceOfAnotherIsComparedAsAWhole() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/old")
        try fixture.tree.write("src/b/new")
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        try fixture.tree.rename("src/b", to: "src/a")
        let plan = try fixture.plan(("src/a", .entry), ("src/b", .entry))
        #expect(fixture.upserts(plan) == ["src", "src/a", "src/a/new"])
        #expect(fixture.deletions(plan) == ["src/a/old", "src/b", "src/b/new"])
    }

    @Test func childrenComparesAllNamesAndNotWhatIsBelowThem() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/d/a")
        try fixture.tree.write("src/d/b")
        try fixture.tree.write("src/d/sub/c")
        try fixture.takeFirst()
        try fixture.tree.write("src/d/a", "changed")
        try fixture.tree.remove("src/d/b")
        try fixture.tree.write("src/d/sub/c", "changed")
        try fixture.tree.write("src/d/new/e")
        let plan = try fixture.plan(("src/d", .children))
        #expect(fixture.upserts(plan) == ["src/d", "src/d/a", "src/d/new", "src/d/new/e"])
        #expect(fixture.deletions(plan) == ["src/d/b"])
    }

    @Test func subtreeComparesEverythingBelow() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/d/e/f/a")
        try fixture.tree.write("src/x")
        try fixture.takeFirst()
        try fixture.tree.write("src/d/e/f/a", "changed")
        try fixture.tree.write("src/x", "changed")
        #expect(fixture.upserts(try fixture.plan(("src/d", .subtree))) == ["src/d/e/f/a"])
        // Reported above the source: all of it.
        #expect(fixture.upserts(try fixture.plan(("", .subtree))) == ["src/d/e/f/a", "src/x"])
    }

    /// The kernel names a file that got its name by linkat(2) by its inode until it is closed.
    @Test func aTemporaryFileThatWasLinkedIsFoundByItsInode() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/linked", "before")
        try fixture.takeFirst()
        try fixture.tree.write("src/linked", "and after it")
        let inode = try FileStatus(of: fixture.tree.path("src/linked")).inode
        let plan = try fixture.plan(("src/#\(inode)", .entry))
        #expect(fixture.upserts(plan) == ["src/linked"])
        #expect(try fixture.plan(("src/#x", .entry), ("src/#", .entry)).isEmpty)
    }

    @Test func allNamesOfAFileAreRefreshed() throws {
        let fixture = try Fixture(sources: ["src", "other"])
        try fixture.tree.write("src/a/one", "before")
        try fixture.tree.makeDirectory("src/b")
        try fixture.tree.link("src/a/one", as: "src/b/two")
        try fixture.tree.link("src/a/one", as: "other/three")
        try fixture.takeFirst()
        try fixture.tree.write("src/a/one", "after it")
        let plan = try fixture.plan(("src/a/one", .entry))
        #expect(fixture.upserts(plan) == ["other/three", "src/a/one", "src/b/two"])
        #expect(plan.upserts.allSatisfy { $0.reading == .content })
        // One name less is seen in the others' link counts.
        try fixture.take(plan)
        fixture.state.trustEverything()
        try fixture.tree.remove("src/b/two")
        let second = try fixture.plan(("src/b/two", .entry))
        #expect(fixture.upserts(second) == ["other/three", "src/a/one", "src/b"])
        #expect(fixture.deletions(second) == ["src/b/two"])
    }

    @Test func otherNamesAreFoundAfterDeviceNumbersChanged() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/one", "before")
        try fixture.tree.link("src/one", as: "src/two")
        try fixture.takeFirst()
        for path in fixture.state.entries.keys { fixture.state.change(path) { $0.device += 7 } }
        #expect(try fixture.plan().isEmpty)
        try fixture.tree.write("src/one", "after it")
        #expect(fixture.upserts(try fixture.plan(("src/one", .entry))) == ["src/one", "src/two"])
    }

    @Test func pathsOutsideTheSourcesAreNoBusinessOfIt() throws {
        let fixture = try Fixture()
        try fixture.takeFirst()
        try fixture.tree.write("elsewhere/file")
        let plan = try fixture.plan(("elsewhere/file", .entry), ("elsewhere", .subtree), ("srcx", .entry))
        #expect(plan.isEmpty)
        #expect(plan.counts.entries == 0)
    }

    @Test func aChangeOfTheSourceItselfIsSeen() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a")
        try fixture.takeFirst()
        try fixture.tree.setMode("src", 0o700)
        #expect(fixture.upserts(try fixture.plan(("src", .entry))) == ["src"])
    }

    @Test func aChangedIgnoreFileAppliesToEverythingAroundIt() throws {
        let fixture = try Fixture(ExcludeSettings(ignoreFiles: [".backupignore"]))
        try fixture.tree.write("src/d/keep")
        try fixture.tree.write("src/d/sub/drop.o")
        try fixture.takeFirst()
        try fixture.tree.write("src/d/.backupignore", "*.o\n")
        let plan = try fixture.plan(("src/d/.backupignore", .entry))
        #expect(fixture.deletions(plan) == ["src/d/sub/drop.o"])
        #expect(fixture.upserts(plan) == ["src/d", "src/d/.backupignore"])
        try fixture.take(plan)
        try fixture.tree.remove("src/d/.backupignore")
        let second = try fixture.plan(("src/d/.backupignore", .entry))
        #expect(fixture.upserts(second) == ["src/d", "src/d/sub/drop.o"])
    }

    @Test func changesBelowAnExcludedDirectoryAreNotLookedAt() throws {
        let fixture = try Fixture(ExcludeSettings(patterns: ["/out/"]))
        try fixture.tree.write("src/out/a/b")
        try fixture.takeFirst()
        try fixture.tree.write("src/out/a/b", "changed")
        let plan = try fixture.plan(("src/out/a/b", .entry), ("src/out", .subtree))
        #expect(plan.isEmpty)
        #expect(fixture.state.entries.keys.count == 1)
    }
}
