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

    /// Makes a watcher; it does not watch yet.
    ///
    /// - Parameters:
    ///   - settings…signal: As `InotifyWatcher.init` takes them.
    ///   - refused: Called when fanotify was tried and is not possible; an inotify watcher is returned then.
    /// - Throws: `WatchError` with `.instance` or `.resources`.
    package func makeWatcher(
        settings: WatchSettings, sources: [Path], isExcluded: @escaping @Sendable (Path, FileKind) -> Bool,
        sink: @escaping @Sendable ([Change]) -> Void, signal: @escaping @Sendable (WatchSignal) -> Void,
        refused: (WatchError) -> Void
    ) throws -> any Watcher {
        if self != .inotify {
            do throws(WatchError) {
                return try FanotifyWatcher(settings: settings, sources: sources, isExcluded: isExcluded, sink: sink, signal: signal)
            } catch {
                refused(error)
            }
        }
        return try InotifyWatcher(settings: settings, sources: sources, isExcluded: isExcluded, sink: sink, signal: signal)
    }
}
