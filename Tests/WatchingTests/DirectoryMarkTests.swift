// What is different when a fanotify group marks directories one by one.
// What it has in common with inotify is tested for both: `LiveWatch.ofDirectories`.

import Kernel
import Testing
import Tracking

@testable import Watching

struct DirectoryMarkTests {
    static let isPossible = LiveWatch.mechanisms.contains(.directoryMarks)
    static let needsLinux: Comment = "needs Linux 5.13"

    private static func queue(_ live: LiveWatch) throws -> MarkQueue {
        let watcher = try #require(live.watcher as? DirectoryWatcher)
        return try #require(watcher.session.queue as? MarkQueue)
    }

    @Test func directoryMarksAreTheSecondChoiceOfWhoeverWantsFanotify() {
        #expect(WatchBackend.fanotify.mechanisms == [.fileSystemMarks, .directoryMarks, .inotify])
        #expect(WatchBackend.auto.mechanisms == [.fileSystemMarks, .inotify, .directoryMarks])
        #expect(WatchBackend.inotify.mechanisms == [.inotify])
    }

    @Test(.enabled(if: isPossible, needsLinux)) func whatEndedIsNotTriedAgain() throws {
        let live = try LiveWatch(starts: false)
        func used(_ backend: WatchBackend, after codes: WatchError.Code...) throws -> any Watcher {
            try backend.makeWatcher(
                after: codes.map { WatchError($0) }, settings: WatchSettings(privateDirectory: live.base.appending("other".utf8)),
                sources: [live.root], isExcluded: { _, _ in false }, sink: { _ in }, signal: { _ in }, refused: { _ in })
        }
        let marks = try used(.fanotify, after: .fileSystemMark)
        #expect(marks is DirectoryWatcher && marks.statistics().backend == "fanotify")
        #expect(try used(.fanotify, after: .fileSystemMark, .directoryMark).statistics().backend == "inotify")
        #expect(try used(.auto, after: .fileSystemMark).statistics().backend == "inotify")
    }

    /// Before Linux 5.17 nothing joins the two halves of a rename.
    @Test(.enabled(if: isPossible, needsLinux), arguments: 0..<3) func renamesInTwoHalvesLeaveTheTreeRight(round: UInt64) throws {
        let live = try LiveWatch(queue: MarkQueue(renames: .apart), prepare: { try $0.directory("a/deep/deeper") })
        try live.shell("mkdir b; mv a b/c; mv b/c/deep d; mv d $outside/; mv $outside/d e")
        try live.settle()
        live.forget()
        for name in ["b/c", "e/deeper"] { try live.tree.file("\(name)/file") }
        try live.settle()
        #expect(live.names("b/c/file") && live.names("e/deeper/file"))
        #expect(live.watches(5))
        try live.shell("rm -r b e")
        try DirectoryMoveTests.operateAtRandom(live, seed: UInt64.random(in: 0 ... .max) &+ round)
    }

    @Test(.enabled(if: isPossible, needsLinux)) func marksAreEndedThatOthersShallHave() throws {
        let live = try LiveWatch(
            .directoryMarks,
            prepare: { tree in
                for name in ["a", "b", "c"] { try tree.directory("\(name)/1") }
                try tree.directory("busy/deep")
            }, adjust: { $0.watchLimit = 8 })
        // Those of the directory above the source and of the private one are not of the tree.
        #expect(try DirectoryMarkTests.queue(live).listed().count == 8 + 2)
        for _ in 0..<3 {
            live.watcher.compared(changed: [live.path("busy/deep")])
            try live.settle()
        }
        #expect(live.watcher.coverage(of: live.path("busy/deep/file")) == .watched)
        let (session, queue) = (try #require(live.watcher as? DirectoryWatcher).session, try DirectoryMarkTests.queue(live))
        let watched = Set(session.state.withLock { $0.tree.watches })
        #expect(watched.count == 8)
        #expect(queue.count == 8 + 2, "nor have they a number")
        #expect(try queue.listed().count == 8 + 2 && queue.watches().isSuperset(of: watched))
    }

    /// Where it is nobody can tell, so that it stays marked.
    @Test(.enabled(if: isPossible, needsLinux)) func directoryThatWasMovedOutAndIsBackHasOneMark() throws {
        let live = try LiveWatch(.directoryMarks, prepare: { try $0.directory("a/deep") })
        for _ in 0..<5 {
            try live.shell("mv a $outside/")
            try live.settle()
            #expect(live.watches(1))
            try live.shell("mv $outside/a .")
            try live.settle()
            #expect(live.watches(3))
        }
        #expect(try DirectoryMarkTests.queue(live).listed().count == 3 + 2 && DirectoryMarkTests.queue(live).count == 3 + 2)
    }

    @Test(.enabled(if: isPossible, needsLinux)) func numberOfAnUnwatchedDirectoryEndsWithIt() throws {
        let live = try LiveWatch(.directoryMarks)
        for _ in 0..<5 {
            try live.shell("mkdir -p a/b/c; mkdir x; mv x a/")
            try live.settle()
            try live.shell("rm -r a ../private")
            try live.settle()
        }
        #expect(try DirectoryMarkTests.queue(live).count == 1 + 2)
    }

    /// A file system that is mounted again has the same handles, and no marks.
    @Test(.enabled(if: isPossible && WatchDegradationTests.canMount, needsLinux)) func fileSystemThatIsBackIsMarkedAnew() throws {
        let live = try LiveWatch(.directoryMarks, starts: false)
        let image = live.base.appending("image".utf8).text
        // Neither every kernel nor every container has loop devices.
        let isMounted = try ProcessIdentity.run(
            "sh", ["-c", "truncate -s 4M \(image) && mkfs.ext4 -q \(image) && mount -o loop \(image) \(live.root.text)"], output: .discarded)
        if isMounted != 0 { return }
        defer { try? live.shell("umount root", in: live.base) }
        try live.shell("mkdir -p a/b")
        try live.watcher.start()
        live.wait(for: .ready)
        live.forget()
        try live.hold()
        try live.shell("umount root; mount -o loop image root", in: live.base)
        live.isHeld.withLock { $0 = false }
        live.wait(for: .returned(live.root))
        try live.settle()
        #expect(live.watcher.statistics().directoriesWatched == 4, "lost+found, too")
        live.forget()
        try live.tree.file("a/b/file")
        try live.settle()
        #expect(live.names("a/b/file"))
        live.watcher.stop()
    }

    @Test(.enabled(if: isPossible, needsLinux)) func fileSystemThatCannotBeMarkedCallsForAnother() throws {
        let live = try LiveWatch(queue: Refusing(), starts: false, prepare: { try $0.directory("a/foreign") })
        try live.watcher.start()
        let error = WatchError(.directoryMark, path: live.path("a/foreign"), errno: .improperLink)
        live.wait(for: .failed(error))
        #expect(live.signals.count { $0 == .failed(error) } == 1)
    }

    /// Cannot mark directories that are called `foreign`.
    private final class Refusing: DirectoryQueue {
        private let queue: MarkQueue

        init() throws { queue = try MarkQueue() }

        func watch(
            _ directory: borrowing Descriptor, for events: Inotify.Events, existing: Inotify.Existing
        ) throws(Errno) -> Int32 {
            if try directory.place()?.name.elementsEqual("foreign".utf8) == true { throw .improperLink }
            return try queue.watch(directory, for: events, existing: existing)
        }

        var backend: WatchBackend { queue.backend }
        var capacity: Int { queue.capacity }
        func tryOut(_ directories: [Path]) throws(WatchError) { try queue.tryOut(directories) }
        func unwatch(_ watch: Int32, at place: Path?) { queue.unwatch(watch, at: place) }
        func holds(_ directory: borrowing Descriptor) -> Bool { queue.holds(directory) }
        func isRefusal(_ error: Errno) -> Bool { queue.isRefusal(error) }
        func watches() throws(Errno) -> Set<Int32> { try queue.watches() }
        func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int { try queue.read(into: buffer) }
        func decode(_ bytes: UnsafeRawBufferPointer, _ body: (InotifyEvent) -> Void) { queue.decode(bytes, body) }
        func add(to poller: inout Poller) -> Int { queue.add(to: &poller) }
        func limit() -> KernelLimit? { queue.limit() }
        func watchesOfOthers() -> Int { queue.watchesOfOthers() }
    }
}
