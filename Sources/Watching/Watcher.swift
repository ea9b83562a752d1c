// What every way of watching a tree offers, and the words in which it reports.
// In: sources.  Out: Change (Tracking) to a sink, WatchSignal for what no single path can express.
// Invariant: a change that no Change announces is announced by a signal or listed as unwatched; nothing is lost silently.

package import Kernel

/// Watches the sources until it is stopped.
package protocol Watcher: Sendable {
    /// Begins to watch, and returns at once. `WatchSignal.ready` says when every directory is watched.
    func start() throws

    /// Waits until everything that happened in the sources before this call has been given to the sink.
    ///
    /// Also waits for directories that are just being added; after `start` that means all of them. What is listed as
    /// unwatched is not covered. When events were lost on the way, `WatchSignal.overflow` has been given before this returns.
    /// - Throws: `WatchError` with `.synchronization` at the time-out or when the cookie cannot be made; watching goes on.
    func synchronize(timeout: Duration) throws

    func statistics() -> WatchStatistics

    /// Has the thread that drains the kernel's queue make a turn soon, though nothing happened.
    ///
    /// - Returns: Its turns so far: when a later call gives the same, it hangs, or has ended.
    func wake() -> UInt64

    /// Hears of a comparison of everything, and returns at once.
    ///
    /// Directories that changed again and again without being watched may get the watches of directories that rest, and what could
    /// not be watched before is tried again.
    /// - Parameter changed: The directories in which something differed; empty when nothing did, or so much that it tells nothing.
    func compared(changed: [Path])

    /// Whether an event tells when this path changes. A path that is excluded or outside the sources counts as watched.
    func coverage(of path: Path) -> WatchCoverage

    /// Compares what is watched with the directories that are there: for a person who wants to know, not for correctness.
    ///
    /// - Parameter isCancelled: Asked once per directory; what was found until then is given.
    /// - Returns: Nil from a backend that keeps no watch for each directory.
    /// - Throws: `WatchError` with `.synchronization`, or with `.resources` when the kernel's list cannot be read.
    func audit(isCancelled: () -> Bool) throws -> WatchAudit?

    /// Ends watching; after it returns, sink and signal are not called any more. Calling it again does nothing.
    func stop()
}

extension Watcher {
    package func audit(isCancelled: () -> Bool) throws -> WatchAudit? { nil }
}

package struct WatchSettings: Sendable {
    /// Where cookies are made: an absolute path outside all sources. It is created with mode 0700 when it is missing.
    package var privateDirectory: Path
    /// The share of the user's watches that is left to other programs, 0...1.
    package var reserveWatches: Double
    package var fileSystems: FileSystemBoundary
    /// The most directories to watch; nil takes the user's limit less the reserve.
    package var watchLimit: Int?
    /// How many unwatched directories are listed by name; more are only counted.
    package var unwatchedListed: Int
    /// How often the roots of the sources are compared with what is watched.
    package var checkInterval: Duration

    package init(
        privateDirectory: Path, reserveWatches: Double = 0.25, fileSystems: FileSystemBoundary = .stay,
        watchLimit: Int? = nil, unwatchedListed: Int = 1000, checkInterval: Duration = .seconds(30)
    ) {
        self.privateDirectory = privateDirectory
        self.reserveWatches = reserveWatches
        self.fileSystems = fileSystems
        self.watchLimit = watchLimit
        self.unwatchedListed = unwatchedListed
        self.checkInterval = checkInterval
    }
}

/// What happens at a directory on another device than its source's root.
package enum FileSystemBoundary: Sendable {
    /// It is neither watched nor reported as unwatched.
    case stay
    case cross
}

/// What concerns more than one path.
package enum WatchSignal: Hashable, Sendable {
    /// All directories of the sources are watched, or listed as unwatched: a reconcile that begins now misses nothing.
    /// Given after `start`, and again after each overflow.
    case ready
    /// Events were lost. Reconcile everything once the next `ready` comes.
    case overflow
    /// A source is missing, unmounted or unreadable. Nothing in it counts as deleted.
    case unavailable(Path)
    /// A source is watched again, or another directory stands in its place: compare its device and reconcile it.
    case returned(Path)
    /// Something was mounted or unmounted at these paths: inside a source, at it or above it.
    case mountsChanged([Path])
    /// Watching has ended by itself. Only a new watcher helps.
    ///
    /// With `.fileSystemMark` or `.directoryMark`, only one that works in another way.
    case failed(WatchError)
}

/// Why a directory (and all below it) is only covered by reconciling.
package enum UnwatchedReason: Hashable, Sendable {
    /// The limit of watches is reached: `fs.inotify.max_user_watches` or `fs.fanotify.max_user_marks`, less the reserve.
    case watchLimit
    /// No descriptor or memory for it. Tried again after the next comparison.
    case shortOf(Errno)
    /// Another machine or program may change it unseen: NFS, SMB, FUSE and the like.
    case foreignChanges
    /// The same directory is watched under another path, as with a bind mount.
    case aliased
    /// It cannot be read.
    case unreadable(Errno)
}

/// What the watcher would notice of a path.
package enum WatchCoverage: Hashable, Sendable {
    case watched
    /// This directory, at or above the path, is not watched.
    case unwatched(Path, UnwatchedReason)
}

extension Watcher {
    // Where one mark stands for a whole file system there are no watches to share out.
    package func compared(changed: [Path]) {}

    package func coverage(of path: Path) -> WatchCoverage {
        let above = statistics().unwatched.last { path.isAtOrBelow($0.path) }
        return above.map { .unwatched($0.path, $0.reason) } ?? .watched
    }
}

package struct WatchStatistics: Sendable {
    package var backend: String
    package var directoriesWatched: Int
    /// Those watched and those that should be; what lies below an unwatched directory is not counted.
    package var directoriesWanted: Int
    package var events: UInt64
    package var overflows: UInt64
    /// The first `WatchSettings.unwatchedListed` of them, in tree order.
    package var unwatched: [(path: Path, reason: UnwatchedReason)]
    package var unwatchedCount: Int
    /// Nil where watches are not counted.
    package var budget: WatchBudget?
}

/// What a comparison of the watches with the tree found. Only what a second look confirmed is named.
package struct WatchAudit: Hashable, Sendable {
    /// Directories that are watched where they stand.
    package var directories = 0
    /// Directories that are neither watched nor listed as unwatched; what is below them was not looked at.
    package var blind: [Path] = []
    /// Where the watcher believes a directory to be, and none or another one is.
    package var stale: [Path] = []

    package init() {}
}

/// Why watching could not begin, or not be waited for.
package struct WatchError: Error, Hashable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// No inotify instance: `fs.inotify.max_user_instances` programs already have one.
        case instance
        /// A file system cannot be watched as a whole with fanotify: the kernel, the process's capabilities or the file system
        /// do not allow it.
        case fileSystemMark
        /// Directories cannot be watched with fanotify: the kernel or a file system does not allow it.
        case directoryMark
        /// No thread, descriptor or memory for watching.
        case resources
        /// The cookie could not be made or did not come back.
        case synchronization
    }

    package var code: Code
    package var path: Path?
    package var errno: Errno?

    package init(_ code: Code, path: Path? = nil, errno: Errno? = nil) {
        self.code = code
        self.path = path
        self.errno = errno
    }

    /// Why a file system or a directory cannot be marked, in words. Source: fanotify_init(2), fanotify_mark(2), open_by_handle_at(2).
    private var markReason: String? {
        switch errno {
        case .notPermitted? where code == .directoryMark: "only root may (before Linux 5.13, or by a filter of system calls)"
        case .notPermitted?: "that takes root, with CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH"
        case .invalidArgument?, .noFunction?: "the kernel does not have it (Linux 5.9 or later, CONFIG_FANOTIFY)"
        case .improperLink?: "subvolumes have ids of their own there"
        case .operationNotSupportedByDevice?: "the file system has no id"
        case .notSupported?, .staleNFSFileHandle?, .overflow?: "the file system cannot find directories by handle"
        case .timedOut?: "no event came"
        case .tooManyOpenFiles?: "too many programs watch; raise \(Fanotify.limitOfGroups()?.name ?? "fs.fanotify.max_user_groups") with sysctl"
        default: nil
        }
    }

    package var description: String {
        let cause = errno.map { ": \($0)" } ?? ""
        switch code {
        case .instance:
            return "cannot watch: all inotify instances of this user are taken\(cause)"
        case .fileSystemMark, .directoryMark:
            let place = path.map { " at \($0)" } ?? ""
            return "fanotify cannot be used\(place)\(markReason.map { ": \($0)" } ?? cause)"
        case .resources:
            return "cannot watch\(cause)"
        case .synchronization:
            let place = path.map { " (cookie in \($0))" } ?? ""
            return errno == nil
                ? "the watcher did not catch up in time\(place)" : "cannot ask the watcher to catch up\(place)\(cause)"
        }
    }
}
