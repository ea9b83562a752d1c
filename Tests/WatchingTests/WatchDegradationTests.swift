// What the watcher says and keeps doing when something is missing, full or lost.

import Kernel
import Testing
import Tracking
import Watching

struct WatchDegradationTests {
    /// 20,000 new files while nobody reads the queue, which holds 16,384 events.
    @Test(arguments: LiveWatch.mechanisms) func overflowIsSaidOnceAndWatchingRecovers(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        live.isHeld.withLock { $0 = true }
        try live.tree.file("first")
        try live.python(
            "for i in range(20000): os.close(os.open('f%d' % i, os.O_CREAT | os.O_WRONLY))",
            "os.makedirs('lost/deep')")
        live.isHeld.withLock { $0 = false }
        try live.settle()
        #expect(live.watcher.statistics().overflows >= 1)
        #expect(live.signals.filter { $0 == .overflow }.count == Int(live.watcher.statistics().overflows))
        live.wait(for: .ready)
        live.forget()
        // Its creation was among what was lost.
        try live.tree.file("lost/deep/file")
        try live.settle()
        #expect(live.names("lost/deep/file"))
        #expect(live.watches(3))
    }

    @Test(arguments: LiveWatch.mechanisms) func removalsLostInAnOverflowAreForgotten(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("gone/deep") })
        live.isHeld.withLock { $0 = true }
        try live.tree.file("first")
        try live.python("for i in range(20000): os.close(os.open('f%d' % i, os.O_CREAT | os.O_WRONLY))")
        try live.shell("mv gone $outside/")
        live.isHeld.withLock { $0 = false }
        live.wait(for: .ready)
        try live.settle()
        #expect(live.watches(1))
    }

    @Test(arguments: LiveWatch.ofDirectories) func limitLeavesOutTheDeepestAndNamesThem(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(
            mechanism, prepare: { tree in
                for name in ["a", "b", "c"] { try tree.directory("\(name)/1/2") }
            }, adjust: { $0.watchLimit = 5 })
        let statistics = live.watcher.statistics()
        #expect(statistics.directoriesWatched == 5)
        // The root, a, b, c and one of the three below them; of the others, only the topmost are known.
        #expect(statistics.unwatched.count == 3 && statistics.unwatchedCount == 3)
        #expect(statistics.directoriesWanted == 8)
        #expect(statistics.unwatched.allSatisfy { $0.reason == .watchLimit && $0.path.isBelow(live.root) })
        #expect(!statistics.unwatched.contains { $0.path.parent == live.root })
        try live.tree.file("c/file")
        try live.settle()
        #expect(live.names("c/file"), "the others are still watched")
        // Room becomes free: the next new directory is watched.
        try live.shell("rm -r a b; mkdir d")
        try live.settle()
        #expect(live.watcher.statistics().unwatchedCount < 3)
        live.forget()
        try live.tree.file("d/file")
        try live.settle()
        #expect(live.names("d/file"))
    }

    @Test(arguments: LiveWatch.ofDirectories) func listOfTheUnwatchedIsBounded(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(
            mechanism, prepare: { tree in for number in 0..<50 { try tree.directory("\(number)") } },
            adjust: { settings in
                settings.watchLimit = 1
                settings.unwatchedListed = 10
            })
        #expect(live.watcher.statistics().unwatched.count == 10)
        #expect(live.watcher.statistics().unwatchedCount == 50)
    }

    @Test(.enabled(if: ProcessIdentity.uid != 0), arguments: LiveWatch.ofDirectories) func unreadableDirectoryIsNamed(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.directory("closed/deep")
            try tree.directory("open")
        })
        try live.shell("chmod 0 closed; mkdir -m 0 new; mkdir other")
        try live.settle()
        #expect(live.watcher.statistics().unwatched.contains { $0.path == live.path("new") })
        try live.tree.file("other/file")
        try live.settle()
        #expect(live.names("other/file"))
        try live.shell("chmod 700 closed new")
    }

    @Test(arguments: LiveWatch.mechanisms) func missingSourceIsUnavailableAndComesBack(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("a") })
        try live.shell("mv root away", in: live.base)
        live.wait(for: .unavailable(live.root))
        #expect(live.changes.allSatisfy { $0.path == live.root && $0.scope == .entry }, "not a deletion")
        try live.shell("mkdir root", in: live.base)
        live.wait(for: .returned(live.root))
        #expect(live.watches(1))
        live.forget()
        try live.tree.file("new")
        try live.settle()
        #expect(live.names("new"))
    }

    /// While a process has its working directory in it, a removed root reports nothing; its parent does.
    @Test(arguments: LiveWatch.mechanisms) func sourceRecreatedWhileHeldOpenIsWatched(_ mechanism: WatchMechanism) throws {
        // What the parent's event has to tell is not to be found by the clock.
        let live = try LiveWatch(mechanism, adjust: { $0.checkInterval = .seconds(3600) })
        let held = try Descriptor.open(live.root, [.read, .directory])
        try live.shell("rm -r root; mkdir root", in: live.base)
        live.wait(for: .returned(live.root))
        live.forget()
        try live.tree.file("new")
        try live.settle()
        #expect(live.names("new"))
        try held.close()
    }

    /// No watch on the source or its parent tells of this, but the clock.
    @Test(arguments: LiveWatch.ofDirectories) func sourceBelowARenamedDirectoryIsUnavailable(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, adjust: { $0.checkInterval = .milliseconds(50) })
        let (base, away) = (live.base.text, live.base.text + "-away")
        try live.shell("mv \(base) \(away)", in: .root)
        live.wait(for: .unavailable(live.root))
        try live.shell("mv \(away) \(base)", in: .root)
        live.wait(for: .returned(live.root))
        try live.tree.file("new")
        try live.settle()
        #expect(live.names("new"))
    }

    @Test(arguments: LiveWatch.mechanisms) func sourceThatIsMissingAtTheStartIsWatchedWhenItComes(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, starts: false)
        try live.shell("rm -r root", in: live.base)
        try live.watcher.start()
        live.wait(for: .ready)
        #expect(live.signals.contains(.unavailable(live.root)))
        #expect(live.watches(0))
        try live.root.makeDirectories(mode: 0o755)
        live.wait(for: .returned(live.root))
        try live.tree.file("new")
        try live.settle()
        #expect(live.names("new"))
    }

    @Test(.enabled(if: canMount), arguments: LiveWatch.mechanisms) func mountOverADirectoryIsSaidAndNotWatched(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("point/under") })
        try live.shell("mount -t tmpfs none point; mkdir point/above")
        live.wait(for: .mountsChanged([live.path("point")]))
        try live.settle()
        #expect(live.watches(1), "another device, and the boundary says stay")
        live.forget()
        try live.shell("umount point")
        live.wait(for: .mountsChanged([live.path("point")]))
        try live.settle()
        #expect(!live.covers("point/under"), "an unmount is not a change of the source")
        try live.tree.file("point/under/file")
        try live.settle()
        #expect(live.names("point/under/file"))
    }

    @Test(.enabled(if: canMount), arguments: LiveWatch.mechanisms) func sourceThatIsUnmountedIsUnavailable(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, starts: false)
        try live.shell("mount -t tmpfs none root; mkdir root/a", in: live.base)
        try live.watcher.start()
        live.wait(for: .ready)
        live.forget()
        try live.shell("umount root", in: live.base)
        live.wait(for: .unavailable(live.root))
        #expect(live.changes.isEmpty)
    }

    @Test(.enabled(if: canMount), arguments: LiveWatch.ofDirectories) func directoryBelowABindMountIsNamedAsAliased(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.directory("true/deep")
            try tree.directory("alias")
        })
        try live.shell("mount --bind true alias")
        live.wait(for: .mountsChanged([live.path("alias")]))
        try live.settle()
        let unwatched = live.watcher.statistics().unwatched
        #expect(unwatched.map(\.path) == [live.path("alias")])
        #expect(unwatched.map(\.reason) == [.aliased])
        try live.tree.file("true/deep/file")
        try live.settle()
        #expect(live.names("true/deep/file"))
        try live.shell("umount alias")
    }

    /// In the table of mounts both look the same, and what watched the first went with it.
    @Test(.enabled(if: canMount), arguments: LiveWatch.mechanisms) func fileSystemThatIsReplacedAtOnceIsWatchedAnew(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, starts: false)
        try live.shell("mount -t tmpfs none root", in: live.base)
        try live.watcher.start()
        live.wait(for: .ready)
        if mechanism == .fileSystemMarks { live.wait(for: .returned(live.root)) }
        live.forget()
        // The marks of file systems keep a descriptor of it while their reader is held.
        if mechanism != .fileSystemMarks { try live.hold() }
        // Not lazily: no descriptor of the watcher keeps it.
        try live.shell("umount root; mount -t tmpfs none root", in: live.base)
        live.isHeld.withLock { $0 = false }
        live.wait(for: .returned(live.root))
        try live.settle()
        live.forget()
        try live.tree.file("file")
        try live.settle()
        #expect(live.names("file"))
        live.watcher.stop()
        try live.shell("umount root", in: live.base)
    }

    /// Tried with a mount of its own, which a container may forbid even to root.
    static let canMount: Bool = {
        guard let place = Path("/tmp/watching-tests-mount-\(ProcessIdentity.pid)"), (try? place.makeDirectories(mode: 0o700)) != nil
        else { return false }
        let script = "mount -t tmpfs none '\(place.text)' && umount '\(place.text)'"
        let status = try? ProcessIdentity.run("sh", ["-c", script], output: .discarded)
        _ = try? ProcessIdentity.run("rmdir", [place.text])
        return status == 0
    }()
}
