// What a change to a watched tree leads to.

import Kernel
import Testing
import Tracking
import Watching

struct InotifyWatcherTests {
    @Test(arguments: LiveWatch.mechanisms) func writtenFileIsDirtyAndSettled(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        try live.tree.file("a")
        try live.settle()
        #expect(live.names("a"))
        #expect(live.hasSettled("a"))
        #expect(live.names("", .entry), "the times of the directory are others now")
    }

    @Test(arguments: LiveWatch.mechanisms) func openFileIsDirtyButNotSettled(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.file("log") })
        let file = try Descriptor.open(live.path("log"), [.write, .append])
        try file.write(Array("more".utf8))
        try live.settle()
        #expect(live.names("log"))
        #expect(!live.hasSettled("log"))
    }

    @Test(arguments: LiveWatch.mechanisms) func nothingIsSaidOfAnUntouchedTree(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.directory("a/b")
            try tree.file("a/b/c")
        })
        try live.settle()
        #expect(live.changes.isEmpty)
        #expect(live.signals.isEmpty)
        #expect(live.watches(3))
    }

    @Test(arguments: LiveWatch.mechanisms) func readyComesAfterStart(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, starts: false, prepare: { try $0.directory("a/b/c") })
        try live.watcher.start()
        live.wait(for: .ready)
        #expect(live.watches(4))
    }

    /// Of `mkdir -p a/b/c` inotify reports only `a`.
    @Test(arguments: LiveWatch.mechanisms) func chainOfNewDirectoriesIsWatchedToTheEnd(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        let chains = 50
        for number in 0..<chains {
            try live.tree.directory("top\(number)/b/c/d/e")
            try live.tree.file("top\(number)/b/c/d/e/f")
        }
        try live.settle()
        #expect((0..<chains).allSatisfy { live.covers("top\($0)/b/c/d/e/f") })
        #expect(live.watches(1 + chains * 5))
        live.forget()
        for number in 0..<chains { try live.tree.file("top\(number)/b/c/d/e/g") }
        try live.settle()
        #expect((0..<chains).allSatisfy { live.names("top\($0)/b/c/d/e/g") })
    }

    /// The first time by its event: whoever takes that one before the directory is watched would miss what comes in between.
    @Test(arguments: LiveWatch.ofDirectories) func newDirectoryIsNamedOnceMoreWhenItIsWatched(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        try live.shell("mkdir new")
        try live.settle()
        #expect(live.changes.count { $0 == Change(path: live.path("new"), scope: .subtree, settled: $0.settled) } == 2)
    }

    @Test(arguments: LiveWatch.mechanisms) func manyFilesInNewDirectoriesAreAllCovered(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        try live.shell("for d in $(seq 40); do mkdir -p n/$d/x; for f in $(seq 20); do echo > n/$d/x/$f; done; done")
        try live.settle()
        for directory in 1...40 {
            for file in 1...20 { #expect(live.covers("n/\(directory)/x/\(file)")) }
        }
    }

    @Test(arguments: LiveWatch.mechanisms) func editorSavingThroughARenameSettlesTheName(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.file("text") })
        try live.shell("echo new > .text.swp; mv .text.swp text")
        try live.settle()
        #expect(live.hasSettled("text"))
    }

    @Test(arguments: LiveWatch.mechanisms) func namesThatAreNotTextAreKept(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        let name: [UInt8] = [0xFF, 0xFE, 0x0A, 0x20]
        try live.root.appending(name).makeDirectories(mode: 0o755)
        try live.settle()
        _ = try Descriptor.open(live.root.appending(name).appending([0x80]), [.write, .create], mode: 0o644)
        try live.settle()
        #expect(live.changes.contains { $0.path == live.root.appending(name).appending([0x80]) })
    }

    @Test(arguments: LiveWatch.mechanisms) func attributesAreDirty(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.file("mode")
            try tree.file("time")
            try tree.directory("directory")
        })
        try live.shell("chmod 600 mode; touch -d 2001-01-01 time; chmod 700 directory")
        try live.settle()
        #expect(live.names("mode") && live.names("time") && live.names("directory"))
        #expect(!live.hasSettled("mode"))
    }

    @Test(arguments: LiveWatch.mechanisms) func truncationIsDirty(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.file("a", "content") })
        try live.python("os.truncate('a', 1)")
        try live.settle()
        #expect(live.names("a"))
    }

    /// A store into a mapping reports nothing; its end is a CLOSE_WRITE.
    @Test(arguments: LiveWatch.mechanisms) func writingThroughAMappingIsDirtyAtItsEnd(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.file("a", String(repeating: "x", count: 4096)) })
        try live.python(
            "f = os.open('a', os.O_RDWR)", "m = mmap.mmap(f, 4096)", "os.close(f)", "m[0] = 65", "m.flush()", "m.close()")
        try live.settle()
        #expect(live.hasSettled("a"))
    }

    @Test(arguments: LiveWatch.mechanisms) func linkedTemporaryFileIsDirty(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        try live.python(
            "f = os.open('.', os.O_TMPFILE | os.O_RDWR)", "os.write(f, b'x')",
            "place = b'/proc/self/fd/%d' % f",
            // linkat(AT_FDCWD, place, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW)
            "assert ctypes.CDLL(None).linkat(-100, place, -100, b'linked', 0x400) == 0")
        try live.settle()
        #expect(live.names("linked"))
    }

    /// As long as it stays open, the kernel does not call it by its new name.
    @Test(arguments: LiveWatch.mechanisms) func linkedTemporaryFileThatIsWrittenLaterIsNamedByItsInode(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        try live.python(
            "f = os.open('.', os.O_TMPFILE | os.O_RDWR)",
            "place = b'/proc/self/fd/%d' % f",
            "assert ctypes.CDLL(None).linkat(-100, place, -100, b'linked', 0x400) == 0",
            "os.write(f, b'x')")
        try live.settle()
        #expect(live.names("#\(try FileStatus(of: live.path("linked")).inode)"))
    }

    /// Whoever writes to it changes nothing that could be backed up: a name that is gone is no error, and nothing else is dirty.
    @Test(arguments: LiveWatch.ofDirectories) func fileWithoutANameConcernsNoOther(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.file("a") })
        let file = try Descriptor.open(live.path("a"), [.write])
        try live.shell("rm a")
        try live.settle()
        live.forget()
        for _ in 0..<100 { try file.write(Array("more".utf8)) }
        try live.settle()
        #expect(Set(live.changes.map(\.path)).count <= 1)
        #expect(live.changes.allSatisfy { $0.scope == .entry })
    }

    @Test(arguments: LiveWatch.ofDirectories) func directoriesAboveTheKernelsLimitOfPathsAreWatched(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        let deep = String(repeating: String(repeating: "d", count: 200) + "/", count: 40)
        try live.python("for i in range(40):", "    os.mkdir('d' * 200)", "    os.chdir('d' * 200)")
        try live.settle()
        #expect(live.watches(41))
        live.forget()
        try live.python("for i in range(40):", "    os.chdir('d' * 200)", "open('file', 'w').close()")
        try live.settle()
        #expect(live.names(deep + "file"))
        #expect(try live.watcher.audit(isCancelled: { false })?.blind == [])
    }

    @Test(arguments: LiveWatch.mechanisms) func everyKindOfEntryIsReported(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        try live.shell("ln -s nowhere link; mkfifo pipe; echo x > a; ln a hard; rm a")
        try live.settle()
        #expect(["link", "pipe", "a", "hard"].allSatisfy { live.names($0) })
    }

    @Test(arguments: LiveWatch.mechanisms) func symlinkToADirectoryIsNotFollowed(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        // The second one is met in a listing.
        try live.shell("mkdir $outside/far $outside/in; ln -s $outside/far near; ln -s $outside/far $outside/in/near; mv $outside/in .")
        try live.settle()
        live.forget()
        try live.shell("echo x > $outside/far/file")
        try live.settle()
        #expect(live.watches(2))
        #expect(live.changes.isEmpty)
    }

    @Test(arguments: LiveWatch.mechanisms) func excludedDirectoryIsNeitherWatchedNorReported(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(
            mechanism, isExcluded: { path, _ in path.name.elementsEqual("cache".utf8) },
            prepare: { try $0.directory("cache/deep") })
        try live.shell("echo x > cache/deep/a; mkdir -p new/cache/deep; echo x > cache/b; chmod 700 cache")
        try live.settle()
        #expect(!live.names("cache") && !live.names("new/cache") && !live.names("cache/b") && !live.names("cache/deep/a"))
        #expect(live.watches(2))
    }

    @Test(arguments: LiveWatch.mechanisms) func manyWritesToOneFileAreOneChange(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.file("a")
            try tree.file("b")
        })
        live.isHeld.withLock { $0 = true }
        try live.tree.file("first")
        try live.shell("for i in $(seq 500); do echo x >> a; echo x >> b; done")
        live.isHeld.withLock { $0 = false }
        try live.settle()
        #expect(live.changes.count < 20)
        #expect(live.hasSettled("a") && live.hasSettled("b"))
    }

    @Test(arguments: LiveWatch.mechanisms) func stopEndsAllReports(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        live.watcher.stop()
        try live.tree.file("late")
        live.watcher.stop()
        #expect(live.changes.isEmpty)
    }

    @Test(arguments: LiveWatch.mechanisms) func synchronizingAStoppedWatcherSaysSo(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        live.watcher.stop()
        let error = #expect(throws: WatchError.self) { try live.watcher.synchronize(timeout: .milliseconds(50)) }
        #expect(error?.code == .synchronization)
        #expect(error?.description.contains("did not catch up") == true)
    }

    @Test(arguments: LiveWatch.mechanisms) func privateDirectoryMayVanish(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        try live.shell("rm -r ../private")
        try live.tree.file("a")
        try live.settle()
        #expect(live.names("a"))
        #expect(try DirectoryStream.names(in: live.base.appending("private".utf8)).isEmpty, "no cookie is left behind")
    }
}
