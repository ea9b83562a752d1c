// A watcher on a temporary tree, and what it said.
// Removed with all its files when the test ends.

import Kernel
import Testing
import Tracking

@testable import Watching

final class LiveWatch: Sendable {
    struct Said {
        var changes: [Change] = []
        var signals: [WatchSignal] = []
    }

    /// A file system of its own where one is marked as a whole: otherwise what all other tests do comes into the same queue.
    private let place: Path
    let base: Path
    /// The source; its neighbour `outside` is not watched.
    let root: Path
    let outside: Path
    let said = Monitor(Said())
    /// The sink waits while this is true.
    let isHeld = Monitor(false)
    let watcher: any Watcher

    /// Waits until the tree is watched, and forgets what was said until then.
    ///
    /// - Parameters:
    ///   - backend: Nil for the one that makes a watcher of this mechanism.
    ///   - queue: In place of the mechanism's own.
    init(
        _ mechanism: WatchMechanism = .inotify, backend: WatchBackend? = nil, queue: (any DirectoryQueue)? = nil, starts: Bool = true,
        isExcluded: @escaping @Sendable (Path, FileKind) -> Bool = { _, _ in false },
        prepare: (LiveWatch.Tree) throws -> Void = { _ in }, adjust: (inout WatchSettings) -> Void = { _ in }
    ) throws {
        let number = UInt64.random(in: 0 ... .max)
        place = try #require(Path("/tmp/watching-tests-\(ProcessIdentity.pid)-\(number)"))
        base = place.appending("base".utf8)
        try place.makeDirectories(mode: 0o755)
        if mechanism == .fileSystemMarks && WatchDegradationTests.canMount {
            #expect(try ProcessIdentity.run("mount", ["-t", "tmpfs", "none", place.text]) == 0)
        }
        root = base.appending("root".utf8)
        outside = base.appending("outside".utf8)
        try root.makeDirectories(mode: 0o755)
        try outside.makeDirectories(mode: 0o755)
        try prepare(Tree(root: root))
        var settings = WatchSettings(privateDirectory: base.appending("private".utf8))
        adjust(&settings)
        let (said, isHeld) = (self.said, self.isHeld)
        let sink: @Sendable ([Change]) -> Void = { changes in
            isHeld.wait { $0 ? nil : () }
            said.withLock { $0.changes += changes }
        }
        let signal: @Sendable (WatchSignal) -> Void = { signal in said.withLock { $0.signals.append(signal) } }
        if let queue {
            watcher = try DirectoryWatcher(queue, settings: settings, sources: [root], isExcluded: isExcluded, sink: sink, signal: signal)
        } else {
            watcher = try (backend ?? (mechanism == .inotify ? .inotify : .fanotify)).makeWatcher(
                after: mechanism == .directoryMarks ? [WatchError(.fileSystemMark)] : [], settings: settings, sources: [root],
                isExcluded: isExcluded, sink: sink, signal: signal, refused: { Issue.record($0) })
        }
        if !starts { return }
        try watcher.start()
        try settle()
        forget()
    }

    deinit {
        isHeld.withLock { $0 = false }
        watcher.stop()
        _ = try? ProcessIdentity.run("sh", ["-c", "umount -l \"$0\" 2> /dev/null; rm -rf --one-file-system \"$0\"", place.text])
    }

    struct Tree {
        let root: Path

        func path(_ name: String) -> Path { Path(name, relativeTo: root) ?? root }

        func directory(_ name: String) throws { try path(name).makeDirectories(mode: 0o755) }

        /// Another process writes it: a descriptor of ours may be open until a child that another test has just forked executes its program.
        func file(_ name: String, _ content: String = "x") throws {
            #expect(try ProcessIdentity.run("sh", ["-c", "printf %s \"$1\" > \"$0\"", path(name).text, content]) == 0, "\(name)")
        }
    }

    var tree: Tree { Tree(root: root) }

    func path(_ name: String) -> Path { tree.path(name) }

    /// The ways of watching that this machine allows.
    static let mechanisms = WatchMechanism.allCases.filter(isPossible)

    /// Those that watch one directory at a time.
    static let ofDirectories = mechanisms.filter { $0 != .fileSystemMarks }

    private static func isPossible(_ mechanism: WatchMechanism) -> Bool {
        guard let place = Path("/tmp/watching-tests-\(ProcessIdentity.pid)-\(mechanism)") else { return false }
        defer { _ = try? ProcessIdentity.run("rm", ["-rf", place.text]) }
        let source = place.appending("root".utf8)
        let settings = WatchSettings(privateDirectory: place.appending("private".utf8))
        do {
            try source.makeDirectories(mode: 0o755)
            if mechanism == .fileSystemMarks {
                _ = try FileSystemWatcher(settings: settings, sources: [source], isExcluded: { _, _ in false }, sink: { _ in }, signal: { _ in })
            } else {
                _ = try DirectoryWatcher(
                    mechanism, settings: settings, sources: [source], isExcluded: { _, _ in false }, sink: { _ in }, signal: { _ in })
            }
            return true
        } catch { return false }
    }

    /// True when so many directories are watched. The mark of a file system is one for all of a source.
    func watches(_ directories: Int) -> Bool {
        watcher.statistics().directoriesWatched == (watcher is FileSystemWatcher ? min(directories, 1) : directories)
    }

    func settle() throws { try watcher.synchronize(timeout: .seconds(60)) }

    /// The reader waits in the sink until `isHeld` is false again: what happens now, it meets all at once.
    func hold() throws {
        let events = watcher.statistics().events
        isHeld.withLock { $0 = true }
        try tree.file("held")
        while watcher.statistics().events == events {}
    }

    func forget() { said.withLock { $0 = Said() } }

    var changes: [Change] { said.withLock { $0.changes } }
    var signals: [WatchSignal] { said.withLock { $0.signals } }

    /// True when the path itself was named.
    func names(_ name: String) -> Bool {
        let path = path(name)
        return changes.contains { $0.path == path }
    }

    func names(_ name: String, _ scope: Change.Scope) -> Bool {
        let path = path(name)
        return changes.contains { $0.path == path && $0.scope == scope }
    }

    func hasSettled(_ name: String) -> Bool {
        let path = path(name)
        return changes.contains { $0.path == path && $0.settled }
    }

    /// True when a reconcile of what was said would look at the path.
    func covers(_ name: String) -> Bool {
        let path = path(name)
        return changes.contains { $0.path == path || $0.scope == .subtree && path.isAtOrBelow($0.path) }
    }

    /// Runs a shell script in the source; `$outside` is the directory beside it.
    ///
    /// `umount` waits while the file system is busy: what the watcher has closed may be open in a child that another test has just forked.
    func shell(_ script: String, in directory: Path? = nil) throws {
        let place = (directory ?? root).text
        let unmount = "umount() { for try in $(seq 1000); do command umount \"$@\" 2> /dev/null && return; sleep 0.01; done; command umount \"$@\"; }"
        let status = try ProcessIdentity.run("sh", ["-ec", "\(unmount); cd '\(place)'; outside='\(outside.text)'; \(script)"])
        #expect(status == 0, "\(script)")
    }

    /// Runs Python in the source.
    func python(_ lines: String...) throws {
        let script = "import os, mmap, ctypes, socket\nos.chdir('\(root.text)')\n" + lines.joined(separator: "\n")
        let status = try ProcessIdentity.run("python3", ["-c", script])
        #expect(status == 0, "\(script)")
    }

    /// Waits for a signal that no event of a watched directory stands for.
    func wait(for signal: WatchSignal) {
        said.wait { $0.signals.contains(signal) ? () : nil }
    }
}
