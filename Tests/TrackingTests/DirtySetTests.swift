// The dirty set on a manual clock: when a path is due, what stands for what, and that a failed snapshot costs nothing.

import Kernel
import Testing
import Tracking

func path(_ text: String) -> Path { Path(unchecked: Array(text.utf8)) }

/// Seconds since the start of the test's clock.
func at(_ seconds: Double) -> BootInstant { BootInstant(nanoseconds: Int64(seconds * 1e9)) }

func entry(_ text: String, settled: Bool = false) -> Change { Change(path: path(text), scope: .entry, settled: settled) }
func children(_ text: String) -> Change { Change(path: path(text), scope: .children) }
func subtree(_ text: String) -> Change { Change(path: path(text), scope: .subtree) }

extension DirtySet {
    /// When the next member is due, asked of a copy.
    var due: BootInstant? {
        var copy = self
        return copy.nextDue()
    }

    /// What is pending, without taking it.
    var pending: [Change] {
        var copy = self
        return copy.takeAll().changes
    }
}

struct DirtySetTests {
    private func set(
        quiet: Duration = .seconds(2), settledQuiet: Duration? = nil, deadline: Duration = .seconds(30), childLimit: Int = 256,
        memberLimit: Int = 8192, depthLimit: Int = 32, sources: [Path] = [path("home/me")]
    ) -> DirtySet {
        DirtySet(settings: DirtySetSettings(
            quiet: quiet, settledQuiet: settledQuiet, deadline: deadline, childLimit: childLimit, memberLimit: memberLimit,
            depthLimit: depthLimit, sources: sources))
    }

    @Test func restingPathIsTakenAfterQuiet() {
        var set = set()
        set.add(entry("home/me/a"), at: at(10))
        #expect(set.due == at(12))
        let batch1 = set.takeSettled(at: at(11.999))
        #expect(batch1.isEmpty)
        #expect(set.count == 1)
        #expect(set.oldest == at(10))
        let batch2 = set.takeSettled(at: at(12))
        #expect(batch2.changes == [entry("home/me/a")])
        #expect(set.isEmpty && set.due == nil && set.oldest == nil)
    }

    @Test func everyChangeBeginsTheQuietPeriodAgain() {
        var set = set()
        for second in 0..<10 { set.add(entry("home/me/a"), at: at(Double(second))) }
        #expect(set.due == at(11))
        let batch3 = set.takeSettled(at: at(10.9))
        #expect(batch3.isEmpty)
        let batch4 = set.takeSettled(at: at(11))
        #expect(batch4.count == 1)
    }

    @Test func deadlineEndsTheWaitOfAPathThatNeverRests() {
        var set = set()
        for second in 0...29 { set.add(entry("home/me/a"), at: at(Double(second))) }
        #expect(set.due == at(30))
        let batch5 = set.takeSettled(at: at(29.9))
        #expect(batch5.isEmpty)
        let batch6 = set.takeSettled(at: at(30))
        #expect(batch6.oldest == at(0))
    }

    @Test func onlySettledPathsAreTaken() {
        var set = set()
        set.add(entry("home/me/b"), at: at(0))
        set.add(entry("home/me/a"), at: at(1))
        set.add(entry("home/me/c"), at: at(3))
        let batch7 = set.takeSettled(at: at(3))
        #expect(batch7.changes == [entry("home/me/a"), entry("home/me/b")])
        #expect(set.pending == [entry("home/me/c")])
    }

    @Test func zeroQuietTakesAtOnce() {
        var set = set(quiet: .zero)
        for round in 0..<20 {
            let now = at(Double(round) * 0.001)
            set.add(entry("home/me/a"), at: now)
            #expect(set.due == now)
            let batch8 = set.takeSettled(at: now)
            #expect(batch8.count == 1)
        }
    }

    @Test func closedFileMayRestShorter() {
        var set = set(settledQuiet: .milliseconds(500))
        set.add(entry("home/me/a"), at: at(0))
        #expect(set.due == at(2))
        set.add(entry("home/me/a", settled: true), at: at(1))
        #expect(set.due == at(1.5))
        set.add(entry("home/me/a"), at: at(1.2))
        #expect(set.due == at(3.2))
    }

    @Test func subtreeAbsorbsEverythingBelow() {
        var set = set()
        for name in ["home/me/d/x", "home/me/d/y/z", "home/me/da", "home/me/d"] { set.add(entry(name), at: at(1)) }
        set.add(children("home/me/d/y"), at: at(0))
        set.add(subtree("home/me/d"), at: at(2))
        #expect(set.pending == [subtree("home/me/d"), entry("home/me/da")])
        #expect(set.count == 2)
        #expect(set.oldest == at(0))
        set.add(entry("home/me/d/x"), at: at(3))
        set.add(children("home/me/d/new/deep"), at: at(3))
        set.add(entry("home/me/d"), at: at(3))
        #expect(set.count == 2)
    }

    @Test func changedListStandsForEntriesDirectlyInIt() {
        var set = set()
        set.add(entry("home/me/d/x"), at: at(0))
        set.add(entry("home/me/d/e/y"), at: at(0))
        set.add(children("home/me/d/e"), at: at(0))
        set.add(children("home/me/d"), at: at(0))
        set.add(entry("home/me/d/z"), at: at(0))
        set.add(entry("home/me/d/e"), at: at(0))
        #expect(set.pending == [children("home/me/d"), children("home/me/d/e")])
    }

    /// The metadata of a directory once stood for a changed file in it.
    @Test func changedMetadataOfADirectoryStandsForNothingInIt() {
        var set = set()
        set.add(children("home/me/d/x"), at: at(0))
        set.add(entry("home/me/d"), at: at(0))
        set.add(entry("home/me/d/x/y/z"), at: at(1))
        set.add(entry("home/me/d/x/y"), at: at(1))
        #expect(set.pending.contains(entry("home/me/d/x/y/z")))
        set.add(entry("home/me/e/x/y"), at: at(1))
        set.add(entry("home/me/e"), at: at(1))
        set.add(entry("home/me/e/x"), at: at(1))
        #expect(set.pending.contains(entry("home/me/e/x")))
    }

    @Test func manyEntriesBecomeTheirDirectory() {
        var set = set(childLimit: 3)
        for index in 0..<3 { set.add(entry("home/me/d/\(index)"), at: at(0)) }
        #expect(set.count == 3)
        set.add(entry("home/me/d/3"), at: at(1))
        #expect(set.pending == [children("home/me/d")])
        #expect(set.oldest == at(0))
        set.add(children("home/me/d/sub"), at: at(1))
        #expect(set.pending == [children("home/me/d"), children("home/me/d/sub")])
    }

    @Test func manyDirectoriesBecomeTheSubtreeAboveThem() {
        var set = set(childLimit: 3)
        for index in 0..<4 { set.add(children("home/me/d/\(index)"), at: at(0)) }
        #expect(set.pending == [subtree("home/me/d")])
    }

    @Test func crowdedSetGathersWhereTheCrowdIs() {
        var set = set(memberLimit: 64)
        set.add(entry("home/me/lonely/file"), at: at(0))
        for index in 0..<70 { set.add(entry("home/me/crowd/\(index)/deep"), at: at(0)) }
        #expect(set.count <= 64)
        #expect(set.pending.contains(entry("home/me/lonely/file")))
        #expect(set.pending.contains(subtree("home/me/crowd")))
    }

    @Test func nothingIsGatheredAboveASource() {
        let sources = (0..<5).map { path("mnt/\($0)") }
        var set = set(childLimit: 2, memberLimit: 2, sources: sources)
        for index in 0..<5 { for file in 0..<3 { set.add(entry("mnt/\(index)/\(file)"), at: at(0)) } }
        #expect(set.pending.map(\.path) == sources)
        #expect(set.pending.allSatisfy { $0.scope == .children })
    }

    @Test func changesOutsideTheSourcesAreNotKept() {
        var set = set(sources: [path("home/me"), path("srv"), path("home/me/inside")])
        let isKept9 = set.add(entry("home/you/a"), at: at(0))
        #expect(!isKept9)
        let isKept10 = set.add(entry("home"), at: at(0))
        #expect(!isKept10)
        let isKept11 = set.add(subtree("var"), at: at(0))
        #expect(!isKept11)
        #expect(set.isEmpty)
        let isKept12 = set.add(subtree("home"), at: at(0))
        #expect(isKept12)
        #expect(set.pending == [subtree("home/me")])
        let isKept13 = set.add(subtree(""), at: at(0))
        #expect(isKept13)
        #expect(set.pending == [subtree("home/me"), subtree("srv")])
    }

    @Test func wholeFileSystemCanBeTheSource() {
        var set = set(sources: [.root])
        set.add(entry("x"), at: at(0))
        set.add(entry("a/b"), at: at(0))
        set.add(entry(""), at: at(0))
        #expect(set.pending == [entry(""), entry("a/b"), entry("x")])
        set.add(subtree(""), at: at(0))
        set.add(entry("y"), at: at(0))
        #expect(set.pending == [subtree("")])
    }

    @Test func veryDeepChangeMarksTheDirectoryAboveIt() {
        var set = set(depthLimit: 3)
        set.add(entry("home/me/1/2/3"), at: at(0))
        set.add(entry("home/me/1/2/4/5/6"), at: at(0))
        #expect(set.pending == [entry("home/me/1/2/3"), subtree("home/me/1/2/4")])
    }

    @Test func batchIsInTreeOrder() {
        var set = set()
        for name in ["b", "a!", "a/z", "a", "a/b/c"] { set.add(entry("home/me/" + name), at: at(0)) }
        let names = set.takeAll().changes.map { $0.path.suffix(below: path("home/me")) }
        #expect(names.map { String(decoding: $0, as: UTF8.self) } == ["a", "a/b/c", "a/z", "a!", "b"])
    }

    @Test func failedSnapshotCostsNoAge() {
        var set = set()
        set.add(entry("home/me/a"), at: at(0))
        set.add(entry("home/me/b"), at: at(1))
        let batch = set.takeSettled(at: at(5))
        set.add(entry("home/me/a"), at: at(6))
        set.giveBack(batch)
        #expect(set.count == 2)
        #expect(set.oldest == at(0))
        #expect(set.due.map { $0 <= at(6) } == true)
        let batch14 = set.takeSettled(at: at(8))
        #expect(batch14.changes == [entry("home/me/a"), entry("home/me/b")])
    }

    @Test func givenBackChangesJoinWhatStandsForThem() {
        var set = set()
        set.add(entry("home/me/d/a"), at: at(0))
        let batch = set.takeAll()
        set.add(subtree("home/me/d"), at: at(9))
        set.giveBack(batch)
        #expect(set.pending == [subtree("home/me/d")])
        #expect(set.oldest == at(0))
    }

    @Test func repeatedFailureDoesNotHeatAPath() {
        var set = set()
        set.add(entry("home/me/a"), at: at(0))
        for second in 0..<20 {
            let batch = set.takeSettled(at: at(2 + Double(second)))
            #expect(batch.count == 1)
            set.giveBack(batch)
        }
        _ = set.takeSettled(at: at(30))
        set.add(entry("home/me/a"), at: at(100))
        #expect(set.due == at(102))
    }

    @Test func hotPathIsTakenLessAndLess() throws {
        var set = set()
        var taken: [Double] = []
        for second in 0..<7200 {
            let now = Double(second)
            set.add(entry("home/me/log"), at: at(now))
            if !set.takeSettled(at: at(now)).isEmpty { taken.append(now) }
        }
        let gaps = zip(taken.dropFirst(), taken).map { $0 - $1 }
        #expect(taken.first == 30)
        #expect(zip(gaps, gaps.dropFirst()).allSatisfy { $0 <= $1 })
        // 900 seconds of backoff, and one until its next change begins to count.
        #expect(gaps.max().map { $0 <= 901 } == true)
        #expect(gaps.last.map { $0 >= 900 } == true)
        // After a calm it is as any other path.
        let end = try #require(set.due)
        _ = set.takeSettled(at: end)
        let later = end + .seconds(1000)
        set.add(entry("home/me/log"), at: later)
        #expect(set.due == later + .seconds(2))
    }

    @Test func occasionalSavesStayFast() {
        var set = set()
        for save in 0..<100 {
            let now = Double(save) * 20
            set.add(entry("home/me/letter"), at: at(now))
            let batch15 = set.takeSettled(at: at(now + 2))
            #expect(batch15.count == 1)
        }
    }

    @Test func hotPathDoesNotHoldBackOthers() {
        var set = set()
        for second in 0..<400 {
            set.add(entry("home/me/log"), at: at(Double(second)))
            _ = set.takeSettled(at: at(Double(second)))
        }
        set.add(entry("home/me/letter"), at: at(400))
        let batch16 = set.takeSettled(at: at(402))
        #expect(batch16.changes == [entry("home/me/letter")])
    }

    @Test func hotPathsAreNamed() throws {
        var set = set()
        for second in 0..<200 {
            set.add(entry("home/me/log"), at: at(Double(second)))
            if second % 20 == 0 { set.add(entry("home/me/calm"), at: at(Double(second))) }
            _ = set.takeSettled(at: at(Double(second)))
        }
        set.add(entry("home/me/letter"), at: at(199))
        let hot = set.hot(at: at(200), limit: 10)
        #expect(hot.map(\.path) == [path("home/me/log")])
        // 30 s, then 4, 8, 16, 32, 64: the doubled quiet periods that are longer than the deadline.
        #expect(hot.first?.rest == .seconds(64))
        #expect(hot.first?.due == set.pending(at: path("home/me/log"))?.due)
        #expect(set.pending(at: path("home/me/log"))?.rest == .seconds(64))
        #expect(set.hot(path("home/me/log"), at: at(200)) == hot.first)
        #expect(set.hot(path("home/me/letter"), at: at(200)) == nil && set.pending(at: path("home/me/letter"))?.rest == nil)
        #expect(set.hot(at: at(200), limit: 0).isEmpty)
        // Taken, it is still hot until it has been calm.
        let due = try #require(hot.first?.due)
        _ = set.takeSettled(at: due)
        #expect(set.hot(at: due, limit: 10).map(\.path) == [path("home/me/log")])
        #expect(set.hot(at: due, limit: 10).first?.due == nil)
        #expect(set.hot(at: due + .seconds(3600), limit: 10).isEmpty)
    }

    @Test func explainsWhatStandsForAPath() {
        var set = set()
        set.add(subtree("home/me/d"), at: at(1))
        set.add(children("home/me/e"), at: at(2))
        #expect(set.pending(at: path("home/me/d/x/y"))?.change == subtree("home/me/d"))
        #expect(set.pending(at: path("home/me/e/x"))?.due == at(4))
        #expect(set.pending(at: path("home/me/e/x/y")) == nil)
        #expect(set.pending(at: path("home/me")) == nil)
        #expect(set.pending(at: path("var")) == nil)
    }

    @Test func copyIsIndependent() {
        var set = set()
        set.add(entry("home/me/a"), at: at(0))
        var copy = set
        _ = copy.takeAll()
        #expect(set.count == 1 && copy.isEmpty)
    }
}
