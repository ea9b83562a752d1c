// What a verification found.

package import Kernel

/// One archive, or one frame of it, that is not as it was written.
package struct VerifyFinding: Sendable {
    package enum Damage: Hashable, Sendable {
        /// The archive is gone.
        case missing
        /// The whole file: its digest, header, trailer or contents.
        case archive
        case frame(UInt32)
        /// A chunk that versions refer to and no archive holds.
        case lostChunks
    }

    /// Empty for lost chunks.
    package var archive: String
    package var damage: Damage
    package var reason: String
    /// What cannot be restored because of it, the first of them.
    package var affected: [AffectedVersion]

    package init(archive: String, damage: Damage, reason: String, affected: [AffectedVersion] = []) {
        self.archive = archive
        self.damage = damage
        self.reason = reason
        self.affected = affected
    }
}

/// A state of a path that needs damaged content.
package struct AffectedVersion: Hashable, Sendable {
    package var path: Path
    /// The kept snapshots that show it, first to last.
    package var snapshots: ClosedRange<UInt64>

    package init(path: Path, snapshots: ClosedRange<UInt64>) {
        self.path = path
        self.snapshots = snapshots
    }
}

package struct VerifyReport: Sendable {
    package var archivesRead = 0
    package var bytesRead: UInt64 = 0
    package var findings: [VerifyFinding] = []
    /// The archives that were read to their ends, whatever was found.
    package var read: [UInt64] = []
    /// Of those, the ones that are as they were written.
    package var sound: [UInt64] = []

    package init() {}
}
