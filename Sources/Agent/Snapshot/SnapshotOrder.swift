// What a snapshot is asked to be, and what came of it.

package import Archiving
package import Controlling
package import Kernel
package import Scanning

package struct SnapshotOrder: Sendable {
    package enum Recording: Sendable {
        /// Only what differs; none when nothing does.
        case incremental
        /// A complete manifest, also when nothing differs.
        case full
    }

    /// Where to look. A full snapshot looks everywhere.
    package var scope: ScanScope
    package var recording: Recording
    /// Everything is compared, not only what changed.
    package var looksEverywhere: Bool {
        if case .whole = scope { return true }
        return recording == .full
    }

    /// Read all content again, whatever the metadata says.
    package var rehash: Bool
    /// Store everything anew and reference nothing older.
    package var standalone: Bool

    package init(scope: ScanScope, recording: Recording = .incremental, rehash: Bool = false, standalone: Bool = false) {
        self.scope = scope
        self.recording = recording
        self.rehash = rehash
        self.standalone = standalone
    }
}

package struct SnapshotOutcome: Sendable {
    /// Nil when nothing had changed.
    package var record: SnapshotRecord?
    package var kind: ArchiveKind?
    /// The moment whose state the newest snapshot now holds.
    package var time: Timestamp
    /// What could not be read: the newest known content of these stays.
    package var problems: [PathProblem] = []
    /// Sources that are missing or cannot be read. Nothing in them counts as deleted.
    package var unavailable: [UnavailableSource] = []
    /// Changed while they were read: to be looked at again.
    package var unsettled: [Path] = []
    package var entriesSeen: UInt64 = 0
    /// Names that the exclude rules left out; what is below them was not looked at.
    package var entriesLeftOut: UInt64 = 0
    /// How long it took to find out what differs, and how much that was.
    package var comparison: Duration = .zero
    package var differences = 0
    /// The directories in which something differed; empty when there are so many that it tells nothing.
    package var changedDirectories: [Path] = []
    /// Their content was in no archive any more; where they still stood in the sources, it is again.
    package var healed: Set<Path> = []

    package init(time: Timestamp) {
        self.time = time
    }
}

/// How far a snapshot is.
package struct SnapshotProgress: Sendable {
    package var filesDone: UInt64 = 0
    package var filesTotal: UInt64 = 0
    package var bytesDone: UInt64 = 0
    package var bytesTotal: UInt64 = 0
}

extension UnavailableSource {
    /// Goes on from the path.
    package var text: String {
        switch reason {
        case .missing: "is missing"
        case .unreadable: "cannot be read" + (errno.map { " (\($0))" } ?? "")
        case .covered: "is hidden by a mount"
        }
    }
}
