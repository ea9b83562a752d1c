// What events mean, without a kernel: the orders that are too rare to bring about.

import Kernel
import Testing
import Tracking

@testable import Watching

struct WatchStateTests {
    /// /s with the directories a (2), a/deep (3) and b (4).
    static func state() -> WatchState {
        let source = Path(unchecked: Array("s".utf8))
        var state = WatchState(
            sources: [source], unwatchedListed: 10, cookiePrefix: Array("cookie-".utf8),
            isExcluded: { path, _ in path.name.elementsEqual("cache".utf8) })
        state.cookieWatch = 100
        state.guards[200] = [0]
        _ = state.tree.insertRoot(1, source: 0, identity: 0)
        _ = state.tree.insert(2, 1, "a")
        _ = state.tree.insert(3, 2, "deep")
        _ = state.tree.insert(4, 1, "b")
        return state
    }

    static func apply(
        _ events: [(watch: Int32, kinds: Inotify.Events, cookie: UInt32, name: String)], to state: inout WatchState
    ) -> EventOutcome {
        var outcome = EventOutcome()
        for event in events {
            Array(event.name.utf8).withUnsafeBytes { name in
                state.apply(
                    InotifyEvent(watch: event.watch, kinds: event.kinds, cookie: event.cookie, name: name), to: &outcome)
            }
        }
        return outcome
    }

    static func attached(_ outcome: EventOutcome) -> [String] {
        outcome.jobs.compactMap { job in
            if case .attach(let parent, let name, _) = job { return "\(parent)/\(String(decoding: name, as: UTF8.self))" }
            return nil
        }
    }

    @Test func otherEventsBetweenTheHalvesOfARenameDoNotHurt() {
        var state = WatchStateTests.state()
        let outcome = WatchStateTests.apply(
            [
                (1, [.movedFrom, .isDirectory], 7, "a"), (3, [.modified], 0, "file"), (1, [.created, .isDirectory], 0, "a"),
                (4, [.movedTo, .isDirectory], 7, "new"),
            ], to: &state)
        #expect(state.tree.path(of: 3)?.text == "/s/b/new/deep")
        #expect(outcome.forgotten.isEmpty)
        #expect(WatchStateTests.attached(outcome) == ["1/a", "4/new"])
        let changes = outcome.batch.changes
        #expect(changes.contains(Change(path: Path(unchecked: Array("s/b/new".utf8)), scope: .subtree, settled: true)))
        #expect(changes.contains { $0.path.text == "/s/a" && $0.scope == .subtree })
        #expect(changes.contains { $0.path.text == "/s/a/deep/file" && $0.scope == .entry })
    }

    @Test func exchangeKeepsBothSubtrees() {
        var state = WatchStateTests.state()
        let outcome = WatchStateTests.apply(
            [
                (1, [.movedFrom, .isDirectory], 7, "a"), (1, [.movedTo, .isDirectory], 7, "b"),
                (1, [.movedFrom, .isDirectory], 8, "b"), (1, [.movedTo, .isDirectory], 8, "a"),
            ], to: &state)
        #expect(outcome.forgotten.isEmpty)
        #expect(state.tree.path(of: 3)?.text == "/s/b/deep")
        #expect(state.tree.path(of: 4)?.text == "/s/a")
    }

    @Test func cookieSettlesRenamesWithoutASecondHalf() {
        var state = WatchStateTests.state()
        let outcome = WatchStateTests.apply(
            [(1, [.movedFrom, .isDirectory], 7, "a"), (100, [.created], 0, "cookie-31")], to: &state)
        #expect(outcome.cookies == [31])
        #expect(Set(outcome.forgotten) == [2, 3])
        #expect(state.tree.count == 2)
    }

    @Test func cookiesOfOthersAreNotOurs() {
        var state = WatchStateTests.state()
        let outcome = WatchStateTests.apply(
            [(100, [.created], 0, "other-31"), (100, [.created], 0, "cookie-x"), (4, [.created], 0, "cookie-5")], to: &state)
        #expect(outcome.cookies.isEmpty)
    }

    @Test func unmountedRootIsSaidOnceAndChangesNothing() {
        var state = WatchStateTests.state()
        let outcome = WatchStateTests.apply(
            [
                (3, [.unmounted], 0, ""), (3, [.ignored], 0, ""), (1, [.unmounted], 0, ""), (1, [.ignored], 0, ""),
                (2, [.unmounted], 0, ""), (2, [.ignored], 0, ""),
            ], to: &state)
        #expect(outcome.signals == [.unavailable(Path(unchecked: Array("s".utf8)))])
        #expect(outcome.batch.changes.isEmpty)
        #expect(state.tree.count == 0)
    }

    @Test func onlyTheNamesOfRootsCountInTheirParents() {
        var state = WatchStateTests.state()
        let other = WatchStateTests.apply([(200, [.created, .isDirectory], 0, "other")], to: &state)
        #expect(other.jobs.isEmpty && other.batch.changes.isEmpty)
        let root = WatchStateTests.apply([(200, [.deleted, .isDirectory], 0, "s")], to: &state)
        #expect(root.jobs.count == 1 && root.batch.changes.isEmpty)
    }

    @Test func manyRenamesWithoutSecondHalvesStayBounded() {
        var state = WatchStateTests.state()
        for number in 0..<200 { _ = state.tree.insert(Int32(1000 + number), 4, "d\(number)") }
        let outcome = WatchStateTests.apply(
            (0..<200).map { (4, [.movedFrom, .isDirectory], UInt32($0 + 1), "d\($0)") }, to: &state)
        #expect(outcome.forgotten.count == 200 - PendingMoves.capacity)
    }

    @Test func laterWriteUnsettlesAndAttributesDoNot() {
        var state = WatchStateTests.state()
        let outcome = WatchStateTests.apply(
            [
                (4, [.closedAfterWriting], 0, "x"), (4, [.modified], 0, "x"), (4, [.closedAfterWriting], 0, "y"),
                (4, [.attributes], 0, "y"),
            ], to: &state)
        let settled = outcome.batch.changes.map { "\($0.path.text) \($0.settled)" }
        #expect(settled == ["/s/b/x false", "/s/b/y true"])
    }

    @Test func randomEventsNeverTrapAndKeepTheTreeWhole() {
        let seed = UInt64.random(in: 0 ... .max)
        print("WatchStateTests seed \(seed)")
        var random = SeededRandom(seed: seed)
        var state = WatchStateTests.state()
        for round in 0..<4000 {
            let watch = Int32.random(in: -1...20, using: &random)
            let mask = UInt32(1) << UInt32.random(in: 0...15, using: &random)
            let kinds = Inotify.Events(rawValue: mask | (Bool.random(using: &random) ? 0x4000_0000 : 0))
            let name = ["", "a", "b", "deep", "cache", String(repeating: "n", count: 300)].randomElement(using: &random) ?? ""
            let outcome = WatchStateTests.apply([(watch, kinds, UInt32.random(in: 0...3, using: &random), name)], to: &state)
            #expect(outcome.forgotten.allSatisfy { !state.tree.contains($0) }, "seed \(seed)")
            if state.tree.root(0) == nil { _ = state.tree.insertRoot(1, source: 0, identity: 0) }
            let parent = Int32.random(in: 1...20, using: &random)
            let new = Int32(round % 17 + 2)
            if !state.tree.contains(new) { _ = state.tree.insert(new, parent, "d\(random.next() % 4)") }
        }
        let count = state.tree.count
        let removed = state.tree.remove(1)
        #expect(removed.count == count && state.tree.count == 0, "seed \(seed): every node hangs below the root")
    }

    @Test func overflowsInARowWaitLongerAndLonger() {
        var timers = ReaderTimers(now: BootInstant(nanoseconds: 0), checkInterval: .seconds(30))
        var now = BootInstant(nanoseconds: 0)
        var waits: [Duration] = []
        for _ in 0..<12 {
            let begin = now
            timers.noteOverflow(now: now)
            while !timers.takeVerification(now: now) { now = now + .milliseconds(50) }
            waits.append(now - begin)
        }
        #expect(waits.prefix(5) == [.zero, .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800)])
        #expect(waits.last == .seconds(30))
        now = now + .seconds(120)
        timers.noteOverflow(now: now)
        let isTaken = timers.takeVerification(now: now)
        #expect(isTaken, "calm has returned")
    }
}
