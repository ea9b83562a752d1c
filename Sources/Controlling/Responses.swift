// The bodies of the control API's answers, which `watchctl --json` prints as they are.

/// Something that went wrong with one path while the rest went on.
package struct PathProblem: Codable, Hashable, Sendable {
    package var path: String
    package var reason: String

    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }
}

package struct SnapshotResponse: Codable, Hashable, Sendable {
    /// False when nothing had changed, so that none was added, or when it was only asked for.
    package var taken: Bool
    /// The snapshot that now holds the state: the new one, or the latest.
    @Nullable package var number: UInt64?
    @Nullable package var kind: String?
    @Nullable package var time: String?
    package var entriesChanged: UInt64
    package var bytesAdded: UInt64
    package var message: String
    /// Paths whose newest content is not in it.
    package var problems: [PathProblem]

    package init(
        taken: Bool, number: UInt64?, kind: String?, time: String?, entriesChanged: UInt64, bytesAdded: UInt64, message: String,
        problems: [PathProblem]
    ) {
        self.taken = taken
        self.number = number
        self.kind = kind
        self.time = time
        self.entriesChanged = entriesChanged
        self.bytesAdded = bytesAdded
        self.message = message
        self.problems = problems
    }
}

/// One element of `snapshots --json`.
package struct SnapshotListing: Codable, Hashable, Sendable {
    package var number: UInt64
    package var kind: String
    package var time: String
    package var archives: Int
    package var entries: UInt64
    package var entriesChanged: UInt64
    package var bytesSource: UInt64
    package var bytesAdded: UInt64
    package var tags: [String]
    package var pinned: Bool

    package init(
        number: UInt64, kind: String, time: String, archives: Int, entries: UInt64, entriesChanged: UInt64, bytesSource: UInt64,
        bytesAdded: UInt64, tags: [String], pinned: Bool
    ) {
        self.number = number
        self.kind = kind
        self.time = time
        self.archives = archives
        self.entries = entries
        self.entriesChanged = entriesChanged
        self.bytesSource = bytesSource
        self.bytesAdded = bytesAdded
        self.tags = tags
        self.pinned = pinned
    }
}

/// One element of `rotate --json`.
package struct RotationVerdict: Codable, Hashable, Sendable {
    package var number: UInt64
    package var keep: Bool
    package var reasons: [String]

    package init(number: UInt64, keep: Bool, reasons: [String]) {
        self.number = number
        self.keep = keep
        self.reasons = reasons
    }
}

package struct RotateResponse: Codable, Hashable, Sendable {
    package var snapshots: [RotationVerdict]
    package var removedArchives: Int
    /// Below zero when what was written is larger than what went.
    package var freedBytes: Int64
    /// Why nothing, or not everything, was done; empty otherwise.
    package var message: String

    package init(snapshots: [RotationVerdict], removedArchives: Int, freedBytes: Int64, message: String) {
        self.snapshots = snapshots
        self.removedArchives = removedArchives
        self.freedBytes = freedBytes
        self.message = message
    }
}

/// `compact --json`
package struct CompactResponse: Codable, Hashable, Sendable {
    package var rewrittenArchives: Int
    /// Below zero when what was written is larger than what went.
    package var freedBytes: Int64
    /// Why nothing, or not everything, was done; empty otherwise.
    package var message: String

    package init(rewrittenArchives: Int, freedBytes: Int64, message: String) {
        self.rewrittenArchives = rewrittenArchives
        self.freedBytes = freedBytes
        self.message = message
    }
}

/// `repair --json`
package struct RepairResponse: Codable, Hashable, Sendable {
    /// Archives that were written again, or whose content was brought into others, by name.
    package var mended: [String]
    /// Archives of which nothing more could be used, and that were removed.
    package var givenUp: [String]
    /// Chunks that were lost and stand in the repository again, from the sources.
    package var healedChunks: Int
    /// What cannot be restored, each with the snapshots that it concerns; the first of them.
    package var lost: [VerifyFinding.AffectedPath]
    package var lostCount: Int
    /// Snapshots of which nobody knows any more what they held, ascending.
    package var lostSnapshots: [SnapshotRange]
    /// There was a record of pins and tags, and nobody knows what stood in it.
    package var remarksLost: Bool
    package var message: String

    package init(
        mended: [String] = [], givenUp: [String] = [], healedChunks: Int = 0, lost: [VerifyFinding.AffectedPath] = [], lostCount: Int = 0,
        lostSnapshots: [SnapshotRange] = [], remarksLost: Bool = false, message: String = ""
    ) {
        self.mended = mended
        self.givenUp = givenUp
        self.healedChunks = healedChunks
        self.lost = lost
        self.lostCount = lostCount
        self.lostSnapshots = lostSnapshots
        self.remarksLost = remarksLost
        self.message = message
    }

    /// Something is gone for good.
    package var isLosing: Bool { lostCount > 0 || !lostSnapshots.isEmpty || remarksLost }
}

/// Consecutive snapshot numbers.
package struct SnapshotRange: Codable, Hashable, Sendable {
    package var first: UInt64
    package var last: UInt64

    package init(first: UInt64, last: UInt64) {
        self.first = first
        self.last = last
    }
}

/// One damaged or missing piece of the repository.
package struct VerifyFinding: Codable, Hashable, Sendable {
    package var archive: String
    @Nullable package var frame: Int?
    package var reason: String
    /// What cannot be restored because of it, each with the snapshots that it concerns.
    package var affected: [AffectedPath]

    package struct AffectedPath: Codable, Hashable, Sendable {
        package var path: String
        package var firstSnapshot: UInt64
        package var lastSnapshot: UInt64

        package init(path: String, firstSnapshot: UInt64, lastSnapshot: UInt64) {
            self.path = path
            self.firstSnapshot = firstSnapshot
            self.lastSnapshot = lastSnapshot
        }
    }

    package init(archive: String, frame: Int?, reason: String, affected: [AffectedPath]) {
        self.archive = archive
        self.frame = frame
        self.reason = reason
        self.affected = affected
    }
}

package struct VerifyResponse: Codable, Hashable, Sendable {
    package var depth: String
    package var archivesRead: Int
    package var bytesRead: UInt64
    package var findings: [VerifyFinding]
    /// Every archive of the repository, by ascending number.
    package var archives: [ArchiveReading]
    /// When the archive that was read longest ago was read; null when one was never read, or there is none.
    @Nullable package var coveredSince: String?

    package struct ArchiveReading: Codable, Hashable, Sendable {
        package var archive: String
        /// When it was last read in full, whatever was found; null when that is not known.
        @Nullable package var verified: String?

        package init(archive: String, verified: String?) {
            self.archive = archive
            self.verified = verified
        }
    }

    package init(
        depth: String, archivesRead: Int, bytesRead: UInt64, findings: [VerifyFinding], archives: [ArchiveReading] = [],
        coveredSince: String? = nil
    ) {
        self.depth = depth
        self.archivesRead = archivesRead
        self.bytesRead = bytesRead
        self.findings = findings
        self.archives = archives
        self.coveredSince = coveredSince
    }
}

/// Where the sources and the agent's knowledge of them disagree. Zero is the only good answer.
package struct DoctorResponse: Codable, Hashable, Sendable {
    package static let shown = 100

    package var entries: UInt64
    /// Paths whose present state is not in the newest snapshot, and of which nothing here knows; the first of them.
    package var different: [String]
    package var differentCount: Int
    /// Paths that differ as well, and that the daemon knows of: the next snapshot has them. No fault.
    package var waitingCount: Int
    /// What could not be looked at.
    package var problems: [String]
    /// Nil without a daemon, and where no directory has a watch of its own.
    @Nullable package var watch: Watch?

    package struct Watch: Codable, Hashable, Sendable {
        /// Watched where they stand.
        package var directories: Int
        /// In sources, but neither watched nor named by the status as unwatched; the first of them.
        package var blind: [String]
        package var blindCount: Int
        /// Watched under a path where no directory, or another one, stands; the first of them.
        package var stale: [String]
        package var staleCount: Int

        package init(directories: Int, blind: [String], stale: [String]) {
            self.directories = directories
            self.blind = Array(blind.prefix(DoctorResponse.shown))
            blindCount = blind.count
            self.stale = Array(stale.prefix(DoctorResponse.shown))
            staleCount = stale.count
        }
    }

    package init(entries: UInt64, different: [String], waitingCount: Int, problems: [String], watch: Watch?) {
        self.entries = entries
        self.different = Array(different.prefix(DoctorResponse.shown))
        differentCount = different.count
        self.waitingCount = waitingCount
        self.problems = problems
        self.watch = watch
    }

    package var isHealthy: Bool {
        differentCount == 0 && problems.isEmpty && (watch.map { $0.blindCount == 0 && $0.staleCount == 0 } ?? true)
    }
}

/// The answer of what has nothing more to say.
package struct MessageResponse: Codable, Hashable, Sendable {
    package var message: String

    package init(message: String) {
        self.message = message
    }
}

/// RFC 9457, `application/problem+json`.
package struct Problem: Codable, Error, Hashable, Sendable {
    package var title: String
    /// The HTTP status.
    package var status: Int
    package var detail: String
    /// What `watchctl` exits with.
    package var exitStatus: Int32

    package init(title: String, status: Int, detail: String, exitStatus: Int32) {
        self.title = title
        self.status = status
        self.detail = detail
        self.exitStatus = exitStatus
    }
}

extension Problem: CustomStringConvertible {
    package var description: String { detail }
}
