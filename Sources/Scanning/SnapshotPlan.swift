// What the next snapshot has to record, without content.
// In: a scan's findings.  Out: what FileReader reads, what the manifest lists as gone, what a person must be told.
// Invariant: upserts and deletions stand in tree order, each path at most once and in one of the two only.

package import Kernel

package struct SnapshotPlan: Sendable {
    /// New entries and those that differ, in tree order.
    package var upserts = PlannedEntries()
    /// Every path that is gone, those below a directory that is gone included, in tree order.
    package var deletions: [Path] = []
    /// What could not be looked at. The last known content of these stays.
    package var problems: [ScanProblem] = []
    /// What is not there as a whole. The last known content of these stays.
    package var unavailable: [UnavailableSource] = []
    package var counts = ScanCounts()

    package init() {}

    /// True when a snapshot of it would equal the one before.
    package var isEmpty: Bool { upserts.isEmpty && deletions.isEmpty }

    /// The directories in which an entry is new or differs. One in which an entry is gone differs itself.
    ///
    /// - Returns: In tree order; empty when there are more than `limit`.
    package func changedDirectories(limit: Int) -> [Path] {
        var result: Set<Path> = []
        var latest: Path?
        for planned in upserts {
            guard let directory = planned.kind == .directory ? planned.path : planned.path.parent, directory != latest else { continue }
            latest = directory
            result.insert(directory)
            if result.count > limit { return [] }
        }
        return result.sorted()
    }
}

/// An entry to read.
package struct PlannedEntry: Hashable, Sendable {
    package enum Reading: Hashable, Sendable {
        /// A file whose content is to be read.
        case content
        /// No content, or that of the version before.
        case metadataOnly
        /// A file whose metadata cannot tell whether its content is the same: it may turn out equal.
        case compareContent
    }

    package var path: Path
    package var kind: FileKind
    /// Bytes, when it was looked at.
    package var size: UInt64
    package var reading: Reading

    package init(path: Path, status: FileStatus, reading: Reading) {
        self.init(path: path, kind: status.kind, size: status.size, reading: reading)
    }

    init(path: Path, kind: FileKind, size: UInt64, reading: Reading) {
        self.path = path
        self.kind = kind
        self.size = size
        self.reading = reading
    }
}

/// A path that the system did not let the scan see.
package struct ScanProblem: Error, Hashable, Sendable {
    package enum Step: String, Hashable, Sendable {
        case status = "looked at"
        case listing = "listed"
        case reading = "read"
        case attributes = "asked for its extended attributes"
        case flags = "asked for its flags"
        case ignoreFile = "read for its exclude patterns"
    }

    package var path: Path
    package var errno: Errno
    package var step: Step

    package init(path: Path, errno: Errno, step: Step) {
        self.path = path
        self.errno = errno
        self.step = step
    }

    /// It went away, or became something else, between the scan and the reading. Not a failure: the next scan sees it.
    package var isVanished: Bool {
        errno == .noSuchFileOrDirectory || errno == .notDirectory || errno == .tooManySymbolicLinkLevels
    }
}

extension ScanProblem: CustomStringConvertible {
    /// `/home/me/private cannot be listed: Permission denied`
    package var description: String { "\(path) cannot be \(step.rawValue): \(errno)" }
}

/// A source, or a directory below one, that is not what it was as a whole.
package struct UnavailableSource: Hashable, Sendable {
    /// The raw values are the reason codes of the status.
    package enum Reason: String, Hashable, Sendable {
        /// Nothing is there, or no directory, or another one where a file system was mounted before.
        case missing = "source-missing"
        case unreadable = "source-unreadable"
        /// A mount hides a directory that had content.
        case covered = "source-covered"
    }

    package var path: Path
    package var reason: Reason
    /// Of what cannot be read: why.
    package var errno: Errno?

    package init(path: Path, reason: Reason, errno: Errno? = nil) {
        self.path = path
        self.reason = reason
        self.errno = errno
    }
}

extension UnavailableSource {
    /// A source that could not be opened or listed.
    init(path: Path, errno: Errno) {
        let isMissing = ScanProblem(path: path, errno: errno, step: .listing).isVanished
        self.init(path: path, reason: isMissing ? .missing : .unreadable, errno: isMissing ? nil : errno)
    }
}

/// What a scan saw. Of a whole scan: all there is to back up, but for sources that are not available.
package struct ScanCounts: Hashable, Sendable {
    package var entries: UInt64 = 0
    /// Sum of the sizes of files, each name counted.
    package var bytes: UInt64 = 0
    /// Directories that were listed.
    package var directories: UInt64 = 0
    /// Names that a rule excluded; what lies below them is not looked at.
    package var excluded: UInt64 = 0
    /// Files above `ExcludeSettings.largerThan`.
    package var tooLarge: UInt64 = 0
    /// What chattr(1) marks `d`: files, and directories whose content is left out.
    package var noDump: UInt64 = 0

    package init() {}

    mutating func add(_ other: ScanCounts) {
        entries += other.entries
        bytes &+= other.bytes
        directories += other.directories
        excluded += other.excluded
        tooLarge += other.tooLarge
        noDump += other.noDump
    }
}

/// A scan that was told to stop. Nothing has been changed.
package struct ScanCancelled: Error {
    package init() {}
}

// MARK: Putting a plan together

extension SnapshotPlan {
    /// Adds the findings of another part of the same scan.
    mutating func add(_ other: SnapshotPlan) {
        upserts.append(contentsOf: other.upserts)
        deletions += other.deletions
        problems += other.problems
        unavailable += other.unavailable
        counts.add(other.counts)
    }

    /// Brings everything into tree order, each path once. What was seen to be gone counts as gone, for it was seen later.
    mutating func arrange() {
        SnapshotPlan.arrange(&deletions) { $0 }
        SnapshotPlan.arrange(&problems) { $0.path }
        SnapshotPlan.arrange(&unavailable) { $0.path }
        upserts.arrange()
        if !deletions.isEmpty { upserts.remove(Set(deletions)) }
    }

    private static func arrange<Element>(_ elements: inout [Element], by path: (Element) -> Path) {
        if elements.count < 2 { return }
        let isArranged = (1..<elements.count).allSatisfy { path(elements[$0 - 1]) < path(elements[$0]) }
        if isArranged { return }
        elements.sort { path($0) < path($1) }
        var kept = 0
        for index in 1..<elements.count {
            // The sort is stable: of equal paths the last was seen last.
            if path(elements[index]) != path(elements[kept]) { kept += 1 }
            elements.swapAt(kept, index)
        }
        elements.removeLast(elements.count - kept - 1)
    }
}
