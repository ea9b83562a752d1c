// A whole scan: what differs gets into the plan, what could not be seen stays as it is known.

import Archiving
import Kernel
import Testing
import Tracking

@testable import Scanning

struct ScannerTests {
    @Test func firstScanPlansEverythingInTreeOrder() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/deep/file")
        try fixture.tree.write("src/a.b")
        try fixture.tree.write("src/a/x")
        try fixture.tree.makeSymlink("src/link", to: "a")
        let plan = try fixture.plan()
        #expect(fixture.upserts(plan) == ["src", "src/a", "src/a/deep", "src/a/deep/file", "src/a/x", "src/a.b", "src/link"])
        #expect(plan.deletions.isEmpty && plan.problems.isEmpty && plan.unavailable.isEmpty)
        #expect(plan.counts.entries == 7)
        #expect(plan.counts.bytes == 21)
    }

    @Test func nothingDiffersAfterASnapshot() throws {
        let fixture = try Fixture()
        for index in 0..<300 { try fixture.tree.write("src/d\(index)/file") }
        try fixture.takeFirst()
        let plan = try fixture.plan()
        #expect(plan.isEmpty)
        #expect(plan.counts.entries == 601)
    }

    @Test func aChangedFileIsReadAndItsNeighboursAreNot() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a", "one")
        try fixture.tree.write("src/b", "one")
        try fixture.takeFirst()
        try fixture.tree.write("src/a", "three")
        let plan = try fixture.plan()
        #expect(fixture.upserts(plan) == ["src/a"])
        #expect(plan.upserts.first?.reading == .content)
    }

    @Test func aNewModeIsComparedAndTurnsOutAsTheSameContent() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a", "one")
        try fixture.takeFirst()
        try fixture.tree.setMode("src/a", 0o600)
        let plan = try fixture.plan()
        #expect(plan.upserts.map(\.reading) == [.compareContent])
        let reading = try FileReader(state: fixture.state, sources: fixture.sources).read(plan.upserts[0]) { _, _, _, _ in }
        #expect(!reading.isUnchanged)
        #expect(reading.entry.mode == 0o600)
        #expect(reading.entry.content == fixture.state.entries[plan.upserts[0].path]?.content)
    }

    /// The first name was looked at already when the second is made, and no event names it.
    @Test func aLinkThatIsMadeWhileTheScanRunsIsSeenUnderBothNames() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/one")
        try fixture.tree.makeDirectory("src/a/z")
        try fixture.tree.makeDirectory("src/b")
        try fixture.takeFirst()
        fixture.state.trustEverything()
        let tree = fixture.tree
        fixture.state.whenListed = { path in
            if path == tree.path("src/a/z") { try tree.link("src/a/one", as: "src/b/two") }
        }
        let plan = try fixture.plan()
        #expect(fixture.upserts(plan).filter { $0 != "src/b" } == ["src/a/one", "src/b/two"])
        #expect(plan.counts.entries == 6)
    }

    /// A write whose mtime is set back leaves its trace in ctime only.
    @Test func aWriteBehindTheBackOfMtimeIsFound() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a", "one")
        let time = Timestamp(seconds: 1_000_000_000, nanoseconds: 5)
        try fixture.tree.setModified("src/a", time)
        try fixture.takeFirst()
        fixture.state.change(fixture.tree.path("src/a")) { $0.changed = Timestamp(seconds: 1_000_000_001) }
        try fixture.tree.write("src/a", "two")
        try fixture.tree.setModified("src/a", time)
        let plan = try fixture.plan()
        #expect(plan.upserts.map(\.reading) == [.compareContent])
        let entry = try #require(try fixture.take(plan).first)
        #expect(entry.content.chunks.first?.digest == digest("two"))
    }

    @Test func whatIsGoneIsDeletedWithAllBelowIt() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/b/c")
        try fixture.tree.write("src/a/d")
        try fixture.tree.write("src/e")
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        let plan = try fixture.plan()
        #expect(fixture.deletions(plan) == ["src/a", "src/a/b", "src/a/b/c", "src/a/d"])
        #expect(fixture.upserts(plan) == ["src"])
    }

    @Test func aDirectoryThatBecomesAFileIsOneUpsertAndItsContentIsDeleted() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/b/c")
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        try fixture.tree.write("src/a", "file")
        let plan = try fixture.plan()
        #expect(fixture.upserts(plan) == ["src", "src/a"])
        #expect(fixture.deletions(plan) == ["src/a/b", "src/a/b/c"])
    }

    @Test func aFileThatBecomesADirectoryIsOneUpsertAndItsContentIsNew() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a", "file")
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        try fixture.tree.write("src/a/b/c")
        let plan = try fixture.plan()
        #expect(fixture.upserts(plan) == ["src", "src/a", "src/a/b", "src/a/b/c"])
        #expect(plan.deletions.isEmpty)
    }

    @Test func aRenamedDirectoryIsGoneHereAndNewThere() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/old/b/c")
        try fixture.takeFirst()
        try fixture.tree.rename("src/old", to: "src/new")
        let plan = try fixture.plan()
        #expect(fixture.upserts(plan) == ["src", "src/new", "src/new/b", "src/new/b/c"])
        #expect(fixture.deletions(plan) == ["src/old", "src/old/b", "src/old/b/c"])
    }

    @Test(arguments: ["removed", "replaced by a file", "replaced by a symlink"])
    func aMissingSourceIsNotAnEmptySource(how: String) throws {
        let fixture = try Fixture(sources: ["src", "other"])
        try fixture.tree.write("src/a/b")
        try fixture.tree.write("other/x")
        try fixture.takeFirst()
        try fixture.tree.remove("src")
        if how == "replaced by a file" { try fixture.tree.write("src", "file") }
        if how == "replaced by a symlink" { try fixture.tree.makeSymlink("src", to: "other") }
        try fixture.tree.write("other/x", "changed")
        for plan in [try fixture.plan(), try fixture.plan(("src/a/b", .entry), ("src", .children), ("other/x", .entry))] {
            #expect(plan.deletions.isEmpty)
            #expect(plan.unavailable == [UnavailableSource(path: fixture.sources[0], reason: .missing)])
            #expect(plan.unavailable.first?.reason.rawValue == "source-missing")
            #expect(fixture.upserts(plan) == ["other/x"])
        }
    }

    /// What an unmounted source leaves behind: an empty directory on another file system.
    @Test func anEmptyMountPointIsAMissingSource() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/b")
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        fixture.state.change(fixture.sources[0]) {
            $0.inode += 1
            $0.device += 1
        }
        for plan in [try fixture.plan(), try fixture.plan(("src/a/b", .entry))] {
            #expect(plan.isEmpty)
            #expect(plan.unavailable == [UnavailableSource(path: fixture.sources[0], reason: .missing)])
        }
    }

    /// What was copied to another disk has other numbers, and its names.
    @Test func aSourceOnAnotherFileSystemThatHasTheKnownNamesIsTheSource() throws {
        let fixture = try Fixture()
        for name in ["a", "b", "c"] { try fixture.tree.write("src/\(name)") }
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        fixture.state.change(fixture.sources[0]) {
            $0.inode += 1
            $0.device += 1
        }
        let plan = try fixture.plan()
        #expect(plan.unavailable.isEmpty)
        #expect(fixture.deletions(plan) == ["src/a"])
    }

    /// Numbers of devices change when the computer is started anew, and directories are made again: one of both says nothing.
    @Test(arguments: [true, false])
    func aPlainSourceWithOneNewNumberIsTheSource(isMadeAgain: Bool) throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a")
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        try fixture.tree.write("src/b")
        fixture.state.change(fixture.sources[0]) { if isMadeAgain { $0.inode += 1 } else { $0.device += 1 } }
        let plan = try fixture.plan()
        #expect(plan.unavailable.isEmpty)
        #expect(fixture.deletions(plan) == ["src/a"])
    }

    @Test func anEmptiedSourceIsEmpty() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a/b")
        try fixture.takeFirst()
        try fixture.tree.remove("src/a")
        let plan = try fixture.plan()
        #expect(fixture.deletions(plan) == ["src/a", "src/a/b"])
        #expect(plan.unavailable.isEmpty)
    }

    @Test func whatCannotBeListedKeepsItsContentAndIsNamed() throws {
        let fixture = try Fixture()
        fixture.workers = 1
        try fixture.tree.write("src/closed/a")
        try fixture.tree.write("src/open/b")
        try fixture.takeFirst()
        try fixture.tree.write("src/open/b", "changed")
        try fixture.tree.setMode("src/closed", 0)
        let plan = try asNobody { try fixture.plan() }
        // An event tells of the mode alone.
        let change = try asNobody { try fixture.plan(("src/closed", .entry)) }
        try fixture.tree.setMode("src/closed", 0o755)
        #expect(change.problems == plan.problems)
        #expect(plan.deletions.isEmpty)
        #expect(plan.problems.map(\.path) == [fixture.tree.path("src/closed")])
        #expect(plan.problems.first?.step == .listing)
        #expect(plan.problems.first?.errno == .permissionDenied)
        #expect(fixture.upserts(plan) == ["src/closed", "src/open/b"])
    }

    @Test func aSourceThatCannotBeListedIsUnreadable() throws {
        let fixture = try Fixture()
        fixture.workers = 1
        try fixture.tree.write("src/a")
        try fixture.takeFirst()
        try fixture.tree.setMode("src", 0)
        let plan = try asNobody { try fixture.plan() }
        try fixture.tree.setMode("src", 0o755)
        #expect(plan.deletions.isEmpty)
        #expect(plan.unavailable == [UnavailableSource(path: fixture.sources[0], reason: .unreadable, errno: .permissionDenied)])
    }

    @Test func aDoubtfulFileIsComparedUntilItWasReadLater() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a", "one")
        try fixture.take(try fixture.plan())
        // The test is faster than the clock: the file was as new as its reading.
        #expect(fixture.state.entries[fixture.tree.path("src/a")]?.marks == .racy)
        // The same length within the same tick.
        let before = try #require(fixture.state.entries[fixture.tree.path("src/a")])
        try fixture.tree.write("src/a", "two")
        let status = try FileStatus(of: fixture.tree.path("src/a"))
        fixture.state.change(before.path) {
            $0.modified = status.modified
            $0.changed = status.changed
        }
        let plan = try fixture.plan()
        #expect(plan.upserts.map(\.reading) == [.compareContent])
        let reading = try FileReader(state: fixture.state, sources: fixture.sources).read(plan.upserts[0]) { _, _, _, _ in }
        #expect(!reading.isUnchanged)
        #expect(reading.entry.content.chunks.first?.digest == digest("two"))
    }

    @Test func aFileThatChangedWhileItWasReadIsReadAgain() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/a", "one")
        try fixture.takeFirst()
        fixture.state.change(fixture.tree.path("src/a")) { $0.marks = .changedWhileRead }
        #expect(try fixture.plan().upserts.map(\.reading) == [.content])
    }

    @Test func rehashComparesTheContentOfEveryFile() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/d/a", "one")
        try fixture.tree.write("src/d/b", "two")
        try fixture.takeFirst()
        let plan = try fixture.plan(.whole, .everything)
        #expect(fixture.upserts(plan) == ["src/d/a", "src/d/b"])
        #expect(plan.upserts.allSatisfy { $0.reading == .compareContent })
    }

    @Test func aSourceTakenOutOfTheConfigurationLeaves() throws {
        let fixture = try Fixture(sources: ["one", "two/inner", "two/other"])
        try fixture.tree.write("one/a")
        try fixture.tree.write("two/inner/b")
        try fixture.tree.write("two/other/c")
        try fixture.takeFirst()
        fixture.sources = [fixture.tree.path("two/inner")]
        let plan = try fixture.plan()
        #expect(fixture.deletions(plan) == ["one", "one/a", "two/other", "two/other/c"])
        #expect(plan.upserts.isEmpty)
    }

    @Test func aSourceAboveAnEarlierOneKnowsWhatIsGoneThere() throws {
        let fixture = try Fixture(sources: ["one/two/inner"])
        try fixture.tree.write("one/two/inner/a")
        try fixture.tree.write("one/two/inner/b")
        try fixture.takeFirst()
        try fixture.tree.remove("one/two/inner/b")
        fixture.sources = [fixture.tree.path("one")]
        let plan = try fixture.plan()
        #expect(fixture.deletions(plan) == ["one/two/inner/b"])
        #expect(fixture.upserts(plan) == ["one", "one/two", "one/two/inner"])
    }

    @Test func aSourceBelowAnEarlierOneKeepsOnlyItsOwn() throws {
        let fixture = try Fixture(sources: ["one"])
        try fixture.tree.write("one/two/inner/a")
        try fixture.tree.write("one/b")
        try fixture.takeFirst()
        fixture.sources = [fixture.tree.path("one/two/inner")]
        #expect(fixture.deletions(try fixture.plan()) == ["one", "one/b", "one/two"])
    }

    @Test func pathsAboveTheKernelsLimitAreScannedAndRead() throws {
        let fixture = try Fixture()
        let name = String(repeating: "n", count: 200)
        let deep = "src/" + Array(repeating: name, count: 30).joined(separator: "/")
        try fixture.tree.write(deep + "/file", "deep")
        let plan = try fixture.plan()
        #expect(plan.upserts.count == 32)
        #expect(plan.problems.isEmpty)
        let entries = try fixture.take(plan)
        #expect(entries.last?.content.chunks.first?.digest == digest("deep"))
        fixture.state.trustEverything()
        #expect(try fixture.plan().isEmpty)
        #expect(try fixture.plan((deep + "/file", .entry)).isEmpty)
    }

    @Test func namesThatAreNotTextAreKeptAsTheyAre() throws {
        let fixture = try Fixture()
        let name: [UInt8] = [0xFF, 0xFE, 0x0A, 0x80]
        let directory = try Descriptor.open(fixture.sources[0], [.path, .directory])
        try directory.makeDirectory(name[...].terminated, mode: 0o755)
        let plan = try fixture.plan()
        #expect(plan.upserts.map(\.path) == [fixture.sources[0], fixture.sources[0].appending(name)])
    }

    @Test func aCancelledScanEndsWithoutAPlan() throws {
        let fixture = try Fixture()
        for index in 0..<200 { try fixture.tree.write("src/d\(index)/file") }
        let scanner = Scanner(state: fixture.state, rules: fixture.rules, workers: 3, priority: .normal)
        #expect(throws: ScanCancelled.self) { try scanner.plan(.whole, isCancelled: { true }) }
        let visits = Monitor(0)
        #expect(throws: ScanCancelled.self) {
            try scanner.plan(.whole) {
                visits.withLock {
                    $0 += 1
                    return $0 > 100
                }
            }
        }
    }

    /// Between the listing of its parent and its own: neither a failure nor, yet, a deletion.
    @Test func aDirectoryThatVanishesDuringTheScanIsLeftToTheNextOne() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/known/a")
        try fixture.takeFirst()
        try fixture.tree.write("src/new/b")
        let tree = fixture.tree
        let visits = Monitor(0)
        let plan = try Scanner(state: fixture.state, rules: fixture.rules, workers: 1, priority: .normal).plan(.whole) { [root = tree.root] in
            // The source is the first directory, what is in it comes later.
            if visits.withLock({ $0 += 1; return $0 }) == 2 {
                for name in ["known", "new"] {
                    _ = try? ProcessIdentity.run("rm", ["-rf", root.appending(Array("src/\(name)".utf8)).text])
                }
            }
            return false
        }
        #expect(plan.problems.isEmpty && plan.unavailable.isEmpty && plan.deletions.isEmpty)
        #expect(fixture.upserts(plan) == ["src", "src/new"])
        let reader = FileReader(state: fixture.state, sources: fixture.sources)
        let problem = #expect(throws: ScanProblem.self) { try reader.read(plan.upserts[1]) { _, _, _, _ in } }
        #expect(problem?.isVanished == true)
        #expect(fixture.deletions(try fixture.plan()) == ["src/known", "src/known/a"])
    }

    @Test func anErrorOfTheCatalogEndsTheScan() throws {
        let fixture = try Fixture()
        for index in 0..<200 { try fixture.tree.write("src/d\(index)/file") }
        try fixture.takeFirst()
        let state = FailingState(state: fixture.state, allowed: Monitor(120))
        let scanner = Scanner(state: state, rules: fixture.rules, workers: 3, priority: .normal)
        #expect(throws: FailingState.Failure.self) { try scanner.plan(.whole) }
    }
}
