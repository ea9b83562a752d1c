// Who has a watch when there are not enough.

import Kernel
import Testing
import Tracking

@testable import Watching

struct WatchExchangeTests {
    static func path(_ text: String) -> Path { Path(unchecked: Array(text.utf8)) }

    /// /s with a (2), a/deep (3), b (4), b/deep (5) and c (6): as many as the limit allows; c/x is not watched.
    private func state(rounds: Int = 5) -> WatchState {
        let source = WatchExchangeTests.path("s")
        var state = WatchState(sources: [source], unwatchedListed: 10, cookiePrefix: [], isExcluded: { _, _ in false })
        _ = state.tree.insertRoot(1, source: 0, identity: 0)
        for (watch, parent, name) in [(2, 1, "a"), (3, 2, "deep"), (4, 1, "b"), (5, 4, "deep"), (6, 1, "c")] as [(Int32, Int32, String)] {
            _ = state.tree.insert(watch, parent, name)
        }
        state.limit = state.tree.count
        state.unwatched.insert(WatchExchangeTests.path("s/c/x"), .watchLimit)
        for _ in 0..<rounds { state.tree.beginRound() }
        return state
    }

    @Test func directoryThatChangesAgainAndAgainTakesTheWatchOfADeepOneThatRests() {
        var state = state()
        let busy = WatchExchangeTests.path("s/c/x/y")
        let first = state.exchange(changed: [busy])
        #expect(first == WatchExchange(), "one change proves nothing")
        let second = state.exchange(changed: [busy])
        #expect(second.beginning.map(\.text) == ["/s/c/x", "/s/c/x/y"], "a directory before those in it")
        #expect(second.ending.count == 2)
        #expect(Set(second.ending) == [3, 5], "the deepest go, never one that the new ones stand in")
        let third = state.exchange(changed: [])
        #expect(third == WatchExchange(), "it is not asked for again")
    }

    @Test func directoryOfWhichAnEventWasHeardKeepsItsWatch() {
        var state = state()
        let busy = [WatchExchangeTests.path("s/c/x")]
        _ = state.exchange(changed: busy)
        for watch in [2, 3, 4, 5, 6] as [Int32] {
            _ = WatchStateTests.apply([(watch, [.modified], 0, "file")], to: &state)
        }
        let none = state.exchange(changed: busy)
        #expect(none == WatchExchange(), "nobody rests")
        _ = WatchStateTests.apply([(3, [.modified], 0, "file")], to: &state)
        let later = state.exchange(changed: busy)
        #expect(later.ending == [5] && later.beginning == busy)
    }

    @Test func roomIsTakenBeforeAnybodysWatch() {
        var state = state()
        state.limit += 1
        _ = state.exchange(changed: [WatchExchangeTests.path("s/c/x")])
        let exchange = state.exchange(changed: [WatchExchangeTests.path("s/c/x")])
        #expect(exchange.ending.isEmpty && exchange.beginning.count == 1)
    }

    @Test func whatNoWatchWouldHelpCostsNobodyHis() {
        var state = state()
        let share = WatchExchangeTests.path("s/share")
        state.unwatched.insert(share, .foreignChanges)
        for _ in 0..<5 {
            let exchange = state.exchange(changed: [share.appending("x".utf8), WatchExchangeTests.path("other/place")])
            #expect(exchange == WatchExchange())
        }
    }

    @Test func withoutShortageNothingChangesHands() {
        var state = state()
        state.unwatched.removeAll()
        for _ in 0..<5 {
            let exchange = state.exchange(changed: [WatchExchangeTests.path("s/new")])
            #expect(exchange == WatchExchange())
        }
    }

    @Test func tallyForgetsAndIsBounded() {
        var tally = ChangeTally()
        let place = WatchExchangeTests.path("s/p")
        tally.note([place])
        tally.note([])
        tally.note([place])
        #expect(tally.busy.isEmpty, "once in a while is not again and again")
        tally.note([place])
        #expect(tally.busy == [place])
        tally.note((0..<2 * ChangeTally.capacity).map { WatchExchangeTests.path("s/\($0)") } + [place])
        tally.note((0..<2 * ChangeTally.capacity).map { WatchExchangeTests.path("s/\($0)") })
        #expect(tally.busy.count <= ChangeTally.capacity)
        #expect(tally.busy.contains(place))
    }

    // MARK: Live

    /// Everything is watched down to the second level but for `busy/deep`, and what is in it.
    private func crowded(_ mechanism: WatchMechanism) throws -> LiveWatch {
        try LiveWatch(
            mechanism, prepare: { tree in
                for name in ["a", "b", "c"] { try tree.directory("\(name)/1") }
                try tree.directory("busy/deep/inner")
            }, adjust: { $0.watchLimit = 8 })
    }

    @Test(arguments: LiveWatch.ofDirectories) func busyDirectoryIsWatchedInPlaceOfARestingOne(_ mechanism: WatchMechanism) throws {
        let live = try crowded(mechanism)
        #expect(live.watcher.coverage(of: live.path("busy/deep/inner/file")) == .unwatched(live.path("busy/deep"), .watchLimit))
        for _ in 0..<3 {
            live.watcher.compared(changed: [live.path("busy/deep/inner")])
            try live.settle()
        }
        #expect(live.watcher.statistics().directoriesWatched == 8)
        #expect(live.watcher.coverage(of: live.path("busy/deep/inner/file")) == .watched)
        #expect(live.names("busy/deep/inner", .children), "its changes were not seen until now")
        live.forget()
        try live.tree.file("busy/deep/inner/file")
        try live.settle()
        #expect(live.names("busy/deep/inner/file"))
        // Two gave theirs up, and are named.
        let unwatched = live.watcher.statistics().unwatched
        #expect(unwatched.count == 2 && unwatched.allSatisfy { $0.reason == .watchLimit && $0.path.name.elementsEqual("1".utf8) })
        #expect(live.watcher.statistics().directoriesWanted == 10)
    }

    @Test(arguments: LiveWatch.ofDirectories) func whatADirectorySaidBeforeItsWatchEndedIsHeard(_ mechanism: WatchMechanism) throws {
        let live = try crowded(mechanism)
        live.watcher.compared(changed: [live.path("busy/deep")])
        live.watcher.compared(changed: [])
        live.watcher.compared(changed: [live.path("busy/deep")])
        try live.settle()
        live.forget()
        try live.hold()
        for name in ["a", "b", "c"] { try live.tree.file("\(name)/1/file") }
        let session = try #require(live.watcher as? DirectoryWatcher).session
        let round = session.work.withLock { $0.requestedRound }
        live.watcher.compared(changed: [live.path("busy/deep")])
        // Then the watches are ended, and the reader is waited for.
        while session.work.withLock({ $0.requestedRound }) == round {}
        live.isHeld.withLock { $0 = false }
        try live.settle()
        for name in ["a", "b", "c"] { #expect(live.names("\(name)/1/file")) }
    }

    /// Watches that become free are given to whoever waits, with the next comparison, and what happened there is looked at.
    @Test(arguments: LiveWatch.ofDirectories) func freedWatchesAreGivenAway(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(
            mechanism, prepare: { tree in
                for name in ["a", "b", "z"] { try tree.directory("\(name)/1") }
            }, adjust: { $0.watchLimit = 5 })
        #expect(live.watcher.statistics().unwatchedCount == 2)
        try live.shell("rm -r a b")
        try live.settle()
        live.forget()
        live.watcher.compared(changed: [])
        try live.settle()
        #expect(live.watcher.statistics().unwatchedCount == 0)
        #expect(live.watcher.statistics().directoriesWatched == 3)
        #expect(live.covers("z/1/file"), "no event told of what happened there until now")
        try live.tree.file("z/1/new")
        try live.settle()
        #expect(live.names("z/1/new"))
    }

    /// A directory that could not be read is watched as soon as it can be.
    @Test(.enabled(if: ProcessIdentity.uid != 0), arguments: LiveWatch.ofDirectories) func directoryThatBecomesReadableIsWatched(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("closed/deep") })
        try live.shell("chmod 0 closed")
        try live.settle()
        try live.shell("mkdir -m 0 later")
        try live.settle()
        #expect(live.watcher.statistics().unwatchedCount == 1)
        try live.shell("chmod 700 later; mkdir later/in")
        try live.settle()
        #expect(live.watcher.statistics().unwatchedCount == 0)
        live.forget()
        try live.tree.file("later/in/file")
        try live.settle()
        #expect(live.names("later/in/file"))
    }

    // MARK: Budget

    @Test func reserveIsOfWhatOthersLeave() {
        let limit = KernelLimit(name: "fs.inotify.max_user_watches", value: 1000)
        #expect(WatchBudget(limit: limit, usedByOthers: 0, reserve: 0.25).directories == 750)
        #expect(WatchBudget(limit: limit, usedByOthers: 600, reserve: 0.25).directories == 300)
        #expect(WatchBudget(limit: limit, usedByOthers: 2000, reserve: 0.25).directories == 0)
        #expect(WatchBudget(limit: limit, usedByOthers: 0, reserve: 0).directories == 1000)
    }

    @Test func limitsOfTheKernelHaveNames() throws {
        let watches = try #require(Inotify.limit(of: .watches))
        #expect(watches.value > 0 && ["fs.inotify.max_user_watches", "user.max_inotify_watches"].contains(watches.name))
        let instances = try #require(Inotify.limit(of: .instances))
        #expect(instances.name.hasSuffix("_instances"))
        #expect(Inotify.watchesOfOthers() >= 0)
    }
}
