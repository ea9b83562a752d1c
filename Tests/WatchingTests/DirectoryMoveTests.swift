// Directories that are renamed, exchanged, moved in and out, removed and made again.

import Kernel
import Testing
import Tracking

@testable import Watching

struct DirectoryMoveTests {
    @Test(arguments: LiveWatch.mechanisms) func renamedDirectoryReportsUnderItsNewName(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.directory("old/deep/deeper")
            try tree.directory("target")
        })
        try live.shell("mv old target/new")
        try live.settle()
        #expect(live.names("old") && live.names("target/new", .subtree))
        live.forget()
        try live.tree.file("target/new/deep/deeper/file")
        try live.settle()
        #expect(live.names("target/new/deep/deeper/file"))
        #expect(live.watches(5))
    }

    @Test(arguments: LiveWatch.mechanisms) func directoryMovedInIsReportedAndWatched(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism)
        try live.shell("mkdir -p $outside/in/deep; echo x > $outside/in/deep/file; mv $outside/in .")
        try live.settle()
        #expect(live.names("in", .subtree))
        live.forget()
        try live.tree.file("in/deep/other")
        try live.settle()
        #expect(live.names("in/deep/other"))
    }

    /// A watch follows the inode, so that a directory outside would go on reporting.
    @Test(arguments: LiveWatch.mechanisms) func directoryMovedOutIsSilent(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("out/deep") })
        try live.shell("mv out $outside/")
        try live.settle()
        #expect(live.names("out"))
        try live.settle()
        live.forget()
        try live.shell("echo x > $outside/out/deep/file")
        try live.settle()
        #expect(live.changes.isEmpty)
        #expect(live.watches(1))
    }

    @Test(arguments: LiveWatch.mechanisms) func directoryMovedOutAndInAgainIsWatched(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("a/deep") })
        for _ in 0..<20 { try live.shell("mv a $outside/b; mv $outside/b a") }
        try live.settle()
        live.forget()
        try live.tree.file("a/deep/file")
        try live.settle()
        #expect(live.names("a/deep/file"))
        #expect(live.watches(3))
    }

    @Test(arguments: LiveWatch.mechanisms) func exchangedDirectoriesReportUnderTheirNewNames(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.directory("a/of-a")
            try tree.directory("b/of-b")
        })
        // renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE)
        try live.python("assert ctypes.CDLL(None).renameat2(-100, b'a', -100, b'b', 2) == 0")
        try live.settle()
        #expect(live.names("a", .subtree) && live.names("b", .subtree))
        live.forget()
        try live.tree.file("a/of-b/file")
        try live.tree.file("b/of-a/file")
        try live.settle()
        #expect(live.names("a/of-b/file") && live.names("b/of-a/file"))
        #expect(live.watches(5))
    }

    @Test(arguments: LiveWatch.mechanisms) func directoryThatReplacesAnEmptyOneIsWatched(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.directory("new/deep")
            try tree.directory("place")
        })
        try live.python("os.rename('new', 'place')")
        try live.settle()
        live.forget()
        try live.tree.file("place/deep/file")
        try live.settle()
        #expect(live.names("place/deep/file"))
        #expect(live.watches(3))
    }

    @Test(arguments: LiveWatch.mechanisms) func renameIntoAnExcludedNameEndsWatching(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(
            mechanism, isExcluded: { path, _ in path.name.elementsEqual("cache".utf8) },
            prepare: { try $0.directory("data/deep") })
        try live.shell("mv data cache")
        try live.settle()
        try live.settle()
        #expect(live.names("data") && !live.names("cache"))
        #expect(live.watches(1))
        try live.shell("mv cache data")
        try live.settle()
        #expect(live.names("data", .subtree))
        #expect(live.watches(3))
    }

    @Test(arguments: LiveWatch.mechanisms) func removedTreeIsReportedAndForgotten(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.directory("a/b/c")
            try tree.file("a/b/c/file")
        })
        try live.shell("rm -r a")
        try live.settle()
        // A directory that is gone by the time that its event is read has no path any more: then the one above it covers it.
        #expect(live.names("a", .subtree) && live.covers("a/b/c/file"))
        #expect(live.watches(1))
    }

    /// While a process holds a removed directory open, neither it nor the kernel reports its end, and a
    /// directory of the same name was blind from then on.
    @Test(arguments: LiveWatch.mechanisms) func directoryRecreatedWhileHeldOpenIsWatched(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            try tree.directory("held/deep")
            try tree.file("held/deep/file")
        })
        let held = try Descriptor.open(live.path("held"), [.read, .directory])
        let deep = try Descriptor.open(live.path("held/deep"), [.read, .directory])
        try live.shell("rm -r held")
        try live.settle()
        #expect(live.watches(1), "it is not waited for its end")
        try live.shell("mkdir -p held/deep")
        try live.settle()
        live.forget()
        try live.tree.file("held/deep/new")
        try live.settle()
        #expect(live.names("held/deep/new"))
        #expect(live.watches(3))
        try held.close()
        try deep.close()
        try live.settle()
        #expect(live.watches(3))
    }

    /// The event of what is in a directory is read when that one has left, and another has come to its place.
    @Test(arguments: LiveWatch.ofDirectories) func whatIsInTheNextDirectoryOfThatNameIsNotTakenForItsOwn(_ mechanism: WatchMechanism) throws {
        let live = try LiveWatch(mechanism, prepare: { try $0.directory("a") })
        let session = try #require(live.watcher as? DirectoryWatcher).session
        try live.hold()
        try live.shell("mv a $outside/; mkdir -p a/inner")
        let watch = try #require(session.state.withLock { $0.tree.find(live.path("a")) })
        // Of a mount nothing is announced: the sink is held for this thread as well.
        session.attach(watch, Array("inner".utf8), .mounted)
        #expect(session.state.withLock { $0.tree.children(of: watch) } == [])
        live.isHeld.withLock { $0 = false }
        try live.settle()
        #expect(live.watches(3))
    }

    /// Whatever happened to the tree, afterwards every directory reports under the path that it has.
    @Test(arguments: LiveWatch.mechanisms, 0..<6) func afterRandomOperationsEveryDirectoryReports(_ mechanism: WatchMechanism, round: UInt64) throws {
        let live = try LiveWatch(mechanism, prepare: { tree in
            for number in 0..<6 { try tree.directory("\(number)/0/0") }
        })
        try DirectoryMoveTests.operateAtRandom(live, seed: UInt64.random(in: 0 ... .max) &+ round)
    }

    static func operateAtRandom(_ live: LiveWatch, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var script = "import os, shutil, ctypes, random\nc = ctypes.CDLL(None)\nrandom.seed(\(random.next()))\nout = 0\n"
        script += """
            def some():
                place = '.'
                for _ in range(random.randrange(4)):
                    names = [n for n in os.listdir(place)]
                    if not names: break
                    place = place + '/' + random.choice(names)
                return place
            for step in range(400):
                a, b, n = some(), some(), random.randrange(8)
                try:
                    r = random.randrange(8)
                    if r < 2: os.makedirs('%s/%d/%d/%d' % (a, n, random.randrange(3), random.randrange(3)))
                    elif r < 4: os.rename(a, '%s/%d' % (b, n))
                    elif r == 4: c.renameat2(-100, a.encode(), -100, b.encode(), 2)
                    elif r == 5 and a != '.': shutil.rmtree(a)
                    elif r == 6 and a != '.': os.rename(a, '../outside/%d' % out); out += 1
                    elif out > 0: out -= 1; os.rename('../outside/%d' % out, '%s/%d' % (b, n))
                except OSError: pass
            """
        try live.python(script)
        try live.settle()
        try live.settle()
        live.forget()
        try live.shell("find . -type d -exec touch {}/probe \\;")
        try live.settle()
        let probes = try live.directories().map { $0.appending("probe".utf8) }
        let named = Set(live.changes.map(\.path))
        for probe in probes { #expect(named.contains(probe), "seed \(seed): \(probe)") }
        #expect(live.watches(probes.count), "seed \(seed)")
        #expect(live.watcher.statistics().unwatchedCount == 0, "seed \(seed)")
    }
}

extension LiveWatch {
    /// The source and all directories in it.
    func directories() throws -> [Path] {
        var result = [root]
        var index = 0
        while index < result.count {
            for name in try DirectoryStream.names(in: result[index]) {
                let path = result[index].appending(name)
                if try FileStatus(of: path).kind == .directory { result.append(path) }
            }
            index += 1
        }
        return result
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
