// One remark about one path: what a watcher saw, a reconcile found, or a failed reading wants again.
// In: inotify events (Watching), differences (Scanning).  Out: members of the dirty set.
// A change is a hint where to look. It never says what happened; a scan finds that out by comparing with the catalog.

package import Kernel

/// What a watcher (or a reconcile, or a retry) says of one path.
package struct Change: Hashable, Sendable {
    package enum Scope: UInt8, Sendable {
        /// This one entry: its metadata or content may differ, or it may be gone.
        case entry
        /// This directory's own list of names may differ, and so may the directory entry itself. Whoever scans it compares
        /// the metadata of every name in it with the catalog, for `DirtySet` lets it stand for the entries directly in it.
        case children
        /// Everything at and below may differ: reconcile it.
        case subtree
    }

    package var path: Path
    package var scope: Scope
    /// The writer has closed the file (CLOSE_WRITE, MOVED_TO): a shorter quiet period may do.
    package var settled: Bool

    package init(path: Path, scope: Scope, settled: Bool = false) {
        self.path = path
        self.scope = scope
        self.settled = settled
    }

    /// True when a scan of this change looks at everything that a scan of `other` would look at.
    package func covers(_ other: Change) -> Bool {
        if path == other.path { return scope.rawValue >= other.scope.rawValue }
        switch scope {
        case .entry: return false
        case .children: return other.scope == .entry && other.path.parent == path
        case .subtree: return other.path.isBelow(path)
        }
    }
}
