// Which mechanism of the kernel watches the sources.
// In: what the configuration asks for.  Out: a watcher, and why it is not the one that was asked for.
// Invariant: where fanotify is not possible there is inotify, so that nothing goes unwatched for want of a permission.

package import Kernel
package import Tracking

package enum WatchBackend: String, CaseIterable, Sendable {
    /// fanotify where a whole file system can be marked, else inotify.
    case auto
    case inotify
    case fanotify
}

/// The ways to watch.
package enum WatchMechanism: CaseIterable, Sendable {
    /// fanotify, one mark for each file system: root.
    case fileSystemMarks
    /// fanotify, one mark for each directory.
    case directoryMarks
    /// One watch for each directory.
    case inotify

    /// What its failure is called.
    fileprivate func isCause(of error: WatchError) -> Bool {
        switch self {
        case .fileSystemMarks: error.code == .fileSystemMark
        case .directoryMarks: error.code == .directoryMark
        case .inotify: error.code == .instance
        }
    }
}

extension WatchBackend {
    /// What is tried, one after the other. Directory marks cost as much as watches and tell less, so that they come after inotify
    /// where nobody asks for them: then they serve when other programs have all of its instances.
    var mechanisms: [WatchMechanism] {
        switch self {
        case .auto: [.fileSystemMarks, .inotify, .directoryMarks]
        case .inotify: [.inotify]
        case .fanotify: [.fileSystemMarks, .directoryMarks, .inotify]
        }
    }

    /// Makes a watcher; it does not watch yet.
    ///
    /// - Parameters:
    ///   - failures: With which earlier watchers have ended: their mechanisms are not tried.
    ///   - settings…signal: As `DirectoryWatcher.init` takes them.
    ///   - refused: Called for each mechanism that was tried and is not possible.
    /// - Throws: `WatchError` with `.instance` or `.resources` when nothing is possible.
    package func makeWatcher(
        after failures: [WatchError] = [], settings: WatchSettings, sources: [Path],
        isExcluded: @escaping @Sendable (Path, FileKind) -> Bool,
        sink: @escaping @Sendable ([Change]) -> Void, signal: @escaping @Sendable (WatchSignal) -> Void,
        refused: (WatchError) -> Void
    ) throws(WatchError) -> any Watcher {
        var failure = WatchError(.resources)
        for mechanism in mechanisms where !failures.contains(where: mechanism.isCause) {
            do throws(WatchError) {
                switch mechanism {
                case .fileSystemMarks:
                    return try FileSystemWatcher(settings: settings, sources: sources, isExcluded: isExcluded, sink: sink, signal: signal)
                case .directoryMarks, .inotify:
                    return try DirectoryWatcher(
                        mechanism, settings: settings, sources: sources, isExcluded: isExcluded, sink: sink, signal: signal)
                }
            } catch {
                // What inotify lacks can be had by the user.
                if mechanism == .inotify { failure = error }
                refused(error)
            }
        }
        throw failure
    }
}
