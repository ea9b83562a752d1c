// What an archive says of the snapshot that it commits.
// In: the agent at the end of a snapshot, or a consolidation.  Out: the contents frame; the catalog.
// Invariant: identity is of the snapshot as first recorded; a consolidation carries it forward.

package import Encrypting
package import Kernel

package struct SnapshotRecord: Hashable, Sendable {
    /// From 1.
    package var number: UInt64
    /// The moment whose state it holds: milliseconds since 1970.
    package var time: Int64
    package var host: [UInt8]
    package var sources: [Path]
    package var identity: Digest
    package var parent: Parent?
    /// The archive stands for the snapshots from this number to its own.
    package var coversFrom: UInt64
    /// Numbers of the data archives written for it.
    package var dataArchives: [UInt64]
    package var statistics: Statistics
    /// References nothing outside its own archives.
    package var isStandalone: Bool

    package struct Parent: Hashable, Sendable {
        package var number: UInt64
        package var identity: Digest

        package init(number: UInt64, identity: Digest) {
            self.number = number
            self.identity = identity
        }
    }

    package struct Statistics: Hashable, Sendable {
        package var entries: UInt64
        package var bytesSource: UInt64
        package var entriesChanged: UInt64
        package var bytesAdded: UInt64

        package init(entries: UInt64 = 0, bytesSource: UInt64 = 0, entriesChanged: UInt64 = 0, bytesAdded: UInt64 = 0) {
            self.entries = entries
            self.bytesSource = bytesSource
            self.entriesChanged = entriesChanged
            self.bytesAdded = bytesAdded
        }
    }

    package init(
        number: UInt64, time: Int64, host: [UInt8], sources: [Path], identity: Digest, parent: Parent?,
        coversFrom: UInt64, dataArchives: [UInt64] = [], statistics: Statistics = Statistics(), isStandalone: Bool = false
    ) {
        self.number = number
        self.time = time
        self.host = host
        self.sources = sources
        self.identity = identity
        self.parent = parent
        self.coversFrom = coversFrom
        self.dataArchives = dataArchives
        self.statistics = statistics
        self.isStandalone = isStandalone
    }
}
