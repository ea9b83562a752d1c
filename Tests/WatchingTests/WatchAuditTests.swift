// A comparison of the watches with the tree finds what is blind and what is stale, and nothing else.

import Kernel
import Testing

@testable import Watching

struct WatchAuditTests {
    private func audit(_ live: LiveWatch) throws -> WatchAudit {
        try #require(try live.watcher.audit(isCancelled: { false }))
    }

    @Test(arguments: LiveWatch.ofDirectories) func treeThatIsWatchedHasNoFault(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(
            mechanism, isExcluded: { path, _ in path.name.elementsEqual("cache".utf8) },
            prepare: { tree in
                try tree.directory("a/b/c")
                try tree.directory("cache/deep")
            })
        try live.shell("mv a moved; mkdir -p new/deep; ln -s moved link")
        let audit = try audit(live)
        #expect(audit.blind.isEmpty && audit.stale.isEmpty)
        #expect(audit.directories == 6)
    }

    @Test(arguments: LiveWatch.ofDirectories) func directoryWithoutAWatchIsBlind(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("a/b/c") })
        let session = try #require(live.watcher as? DirectoryWatcher).session
        let watch = try #require(session.state.withLock { $0.tree.find(live.path("a/b")) })
        session.queue.unwatch(watch, at: live.path("a/b"))
        let audit = try audit(live)
        #expect(audit.blind == [live.path("a/b")], "of a branch, the topmost")
        #expect(audit.directories == 2)
    }

    /// The tree says that it is watched, and the kernel does not know of it.
    @Test(arguments: LiveWatch.ofDirectories) func watchThatTheKernelDoesNotHaveIsBlindAndStale(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("a") })
        try live.shell("mkdir $outside/far; mkdir late")
        try live.settle()
        try #require(live.watcher as? DirectoryWatcher).session.state.withLock { state in
            for name in ["late", "ghost"] {
                guard let root = state.tree.root(0) else { return }
                _ = Array(name.utf8).withUnsafeBytes {
                    state.tree.insert(Int32.max - Int32(name.utf8.count), parent: root, name: $0, identity: 7)
                }
            }
        }
        let audit = try audit(live)
        #expect(audit.blind == [live.path("late")])
        #expect(Set(audit.stale) == [live.path("late"), live.path("ghost")])
    }

    @Test(arguments: LiveWatch.ofDirectories) func whatIsNamedAsUnwatchedIsNoFault(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(
            mechanism, prepare: { tree in for name in ["a", "b", "c"] { try tree.directory("\(name)/deep") } },
            adjust: { settings in
                settings.watchLimit = 2
                settings.unwatchedListed = 1
            })
        let audit = try audit(live)
        #expect(audit.blind.isEmpty && audit.stale.isEmpty)
    }

    /// Its watches go on: nobody can look below it, which is a problem of the snapshot and no fault of the watcher.
    @Test(.enabled(if: ProcessIdentity.uid != 0)) func directoryThatBecomesUnreadableIsNotWatchedInVain() throws {
        let live = try LiveWatch(prepare: { try $0.directory("closed/deep/deeper") })
        try live.shell("chmod 0 closed")
        let audit = try audit(live)
        try live.shell("chmod 700 closed")
        #expect(audit.blind.isEmpty && audit.stale.isEmpty)
    }

    /// Directories come, move and go while they are walked over.
    @Test(arguments: LiveWatch.ofDirectories) func changingTreeIsAcquitted(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in for number in 0..<30 { try tree.directory("\(number)/a/b") } })
        let isDone = Monitor(false)
        let churn = try Thread(name: "churn", priority: .normal) {
            _ = try? live.shell("for i in $(seq 40); do mkdir -p n$i/x/y; mv $((i % 30)) m$i; mv n$i/x z$i; rm -r n$i; mv m$i $((i % 30)); done")
            isDone.withLock { $0 = true }
        }
        var looks = 0
        while !isDone.withLock({ $0 }) {
            let audit = try audit(live)
            #expect(audit.blind.isEmpty && audit.stale.isEmpty)
            looks += 1
        }
        churn.join()
        #expect(looks > 0)
    }
}
