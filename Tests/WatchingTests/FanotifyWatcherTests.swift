// What only the marks of whole file systems do, and what takes over where they are not possible.
// What they have in common with the others is tested for all: `LiveWatch.mechanisms`.

import Kernel
import Testing
import Tracking
import Watching

struct FanotifyWatcherTests {
    static let isPossible: Comment = "needs root and a kernel that marks file systems"
    static let canMount = WatchDegradationTests.canMount && LiveWatch.mechanisms.contains(.fileSystemMarks)

    @Test(.enabled(if: LiveWatch.mechanisms.contains(.fileSystemMarks), isPossible)) func automaticChoiceIsTheMarkOfTheFileSystem() throws {
        let live = try LiveWatch(backend: .auto, prepare: { try $0.directory("a/b/c") })
        let statistics = live.watcher.statistics()
        #expect(statistics.backend == "fanotify")
        #expect(statistics.directoriesWatched == 1 && statistics.directoriesWanted == 1)
    }

    /// Nothing is listed: each file in it reports for itself.
    @Test(.enabled(if: LiveWatch.mechanisms.contains(.fileSystemMarks), isPossible)) func newDirectoryReportsFromItsFirstMoment() throws {
        let live = try LiveWatch(.fileSystemMarks)
        try live.shell("mkdir -p a/b/c; echo x > a/b/c/file; mv a/b d")
        try live.settle()
        #expect(live.names("d/c/file") || live.names("a/b/c/file"))
        live.forget()
        try live.shell("echo y > d/c/file")
        try live.settle()
        #expect(live.names("d/c/file"))
    }

    @Test(.enabled(if: LiveWatch.mechanisms.contains(.fileSystemMarks), isPossible)) func sourceBehindASymlinkKeepsItsPath() throws {
        let live = try LiveWatch(.fileSystemMarks, prepare: { try $0.directory("far/source/deep") })
        let near = live.base.appending("near".utf8)
        try live.shell("ln -s root/far ../near")
        let source = near.appending("source".utf8)
        let said = Monitor<[Change]>([])
        let watcher = try FileSystemWatcher(
            settings: WatchSettings(privateDirectory: live.base.appending("other".utf8)), sources: [source], isExcluded: { _, _ in false },
            sink: { changes in said.withLock { $0 += changes } }, signal: { _ in })
        try watcher.start()
        defer { watcher.stop() }
        try live.shell("echo x > far/source/deep/file")
        try watcher.synchronize(timeout: .seconds(60))
        #expect(said.withLock { $0.map(\.path) }.contains(source.appending("deep/file".utf8)))
    }

    /// No watch on the source or its parent tells of this.
    @Test(.enabled(if: LiveWatch.mechanisms.contains(.fileSystemMarks), isPossible)) func sourceIsUnavailableWhenADirectoryAboveItIsRenamed() throws {
        let live = try LiveWatch(.fileSystemMarks, adjust: { $0.checkInterval = .milliseconds(50) })
        let (base, away) = (live.base.text, live.base.text + "-away")
        try live.shell("mv \(base) \(away)", in: .root)
        live.wait(for: .unavailable(live.root))
        try live.shell("mv \(away) \(base)", in: .root)
        live.wait(for: .returned(live.root))
        try live.tree.file("new")
        try live.settle()
        #expect(live.names("new"))
    }

    @Test(.enabled(if: LiveWatch.mechanisms.contains(.fileSystemMarks), isPossible)) func deepestDirectoriesAreCoveredFromAbove() throws {
        let live = try LiveWatch(.fileSystemMarks)
        // 40 names of 200 bytes: twice as long as the longest path that the kernel gives.
        try live.python(
            "for i in range(40):", "    os.mkdir('d' * 200)", "    os.chdir('d' * 200)", "open('file', 'w').close()")
        let deep = String(repeating: String(repeating: "d", count: 200) + "/", count: 40)
        try live.settle()
        #expect(live.covers(deep + "file"))
        live.forget()
        try live.python("for i in range(40):", "    os.chdir('d' * 200)", "open('file', 'w').write('more')")
        try live.settle()
        #expect(live.covers(deep + "file"))
        #expect(live.watcher.statistics().overflows == 0)
    }

    @Test(.enabled(if: canMount, isPossible)) func mountsBelowASourceAreWatchedWhenTheyAreToBeCrossed() throws {
        let live = try LiveWatch(
            .fileSystemMarks, prepare: { tree in
                try tree.directory("point")
                try tree.directory("true/deep")
                try tree.directory("alias")
            }, adjust: { $0.fileSystems = .cross })
        try live.shell("mount -t tmpfs none point; mount --bind true alias")
        let points: Set = [live.path("alias"), live.path("point")]
        live.said.wait { said in
            let told = said.signals.flatMap { signal -> [Path] in if case .mountsChanged(let paths) = signal { paths } else { [] } }
            return points.isSubset(of: told) ? () : nil
        }
        try live.settle()
        live.forget()
        try live.shell("echo x > point/file; echo x > alias/deep/file")
        try live.settle()
        #expect(live.names("point/file"))
        #expect(live.names("alias/deep/file") && live.names("true/deep/file"), "it has both paths")
        try live.shell("umount point; umount alias")
    }

    /// ramfs cannot find a directory by its handle.
    @Test(.enabled(if: canMount, isPossible)) func directoriesAreMarkedWhereAFileSystemCannotBe() throws {
        let live = try LiveWatch(.fileSystemMarks, starts: false)
        try live.shell("mount -t ramfs none root", in: live.base)
        defer { try? live.shell("umount root", in: live.base) }
        for (backend, used) in [(WatchBackend.fanotify, WatchBackend.fanotify), (.auto, .inotify)] {
            let refusals = Monitor<[WatchError]>([])
            let other = try backend.makeWatcher(
                settings: WatchSettings(privateDirectory: live.base.appending("other".utf8)), sources: [live.root],
                isExcluded: { _, _ in false }, sink: { _ in }, signal: { _ in }, refused: { error in refusals.withLock { $0.append(error) } })
            let refusal = try #require(refusals.withLock { $0.first })
            #expect(refusal.code == .fileSystemMark && refusal.path == live.root)
            #expect(refusal.description.contains("by handle"), "\(refusal)")
            // Before Linux 6.8 its directories have no handles at all.
            let hasHandles = refusals.withLock { $0.count } == 1
            #expect(other is DirectoryWatcher && other.statistics().backend == (hasHandles ? used : .inotify).rawValue)
        }
        // One that comes while watching ends it, so that another watcher is made.
        try live.watcher.start()
        live.said.wait { said in
            said.signals.contains { if case .failed(let error) = $0 { error.code == .fileSystemMark } else { false } } ? () : nil
        }
    }

    @Test func refusalsSayWhatIsMissing() {
        let path = Path(unchecked: Array("home".utf8))
        let texts = [Errno.notPermitted, .improperLink, .noFunction, .timedOut, .ioError].map {
            WatchError(.fileSystemMark, path: path, errno: $0).description
        }
        #expect(texts.allSatisfy { $0.hasPrefix("fanotify cannot be used at /home: ") })
        #expect(WatchError(.directoryMark, errno: .notPermitted).description.hasPrefix("fanotify cannot be used: only root may"))
        #expect(texts[0].contains("CAP_SYS_ADMIN") && texts[1].contains("subvolumes") && texts[4].contains("\(Errno.ioError)"))
    }
}
