// The table of contents of one archive: its last frame.
// In: ArchiveWriter at the end of an archive.  Out: chunk locations, the snapshot, pins and tags.
// Invariant: chunks stand in the order of frame and offset; number, kind and time are those of the archive's name.

package import Encrypting

package struct ArchiveContents: Hashable, Sendable {
    package var repository: RepositoryID
    package var number: UInt64
    package var kind: ArchiveKind
    /// Milliseconds since 1970.
    package var time: Int64
    /// In the file's order, without the contents frame itself.
    package var frames: [FrameRecord]
    /// In the order of frame and offset.
    package var chunks: [StoredChunk]
    /// In full and incremental archives.
    package var snapshot: SnapshotRecord?
    /// Numbers of the archives that this one supersedes.
    package var replaces: [UInt64]
    /// SHA-256 of the newest record archive; nil when there is none.
    package var recordHead: Digest?
    /// In record archives: all remarks that are valid after it.
    package var remarks: [Remark]
    /// No snapshot above this number was ever taken.
    package var highestSnapshot: UInt64

    package init(
        repository: RepositoryID, number: UInt64, kind: ArchiveKind, time: Int64,
        frames: [FrameRecord] = [], chunks: [StoredChunk] = [], snapshot: SnapshotRecord? = nil,
        replaces: [UInt64] = [], recordHead: Digest? = nil, remarks: [Remark] = [], highestSnapshot: UInt64 = 0
    ) {
        self.repository = repository
        self.number = number
        self.kind = kind
        self.time = time
        self.frames = frames
        self.chunks = chunks
        self.snapshot = snapshot
        self.replaces = replaces
        self.recordHead = recordHead
        self.remarks = remarks
        self.highestSnapshot = highestSnapshot
    }
}

/// One frame of an archive.
package struct FrameRecord: Hashable, Sendable {
    package var kind: FrameKind
    /// Length of its token, without the length field before it.
    package var tokenCount: UInt32

    package init(kind: FrameKind, tokenCount: UInt32) {
        self.kind = kind
        self.tokenCount = tokenCount
    }
}

/// Where an archive holds a chunk.
package struct StoredChunk: Hashable, Sendable {
    package var digest: Digest
    /// Number of the data frame.
    package var frame: UInt32
    /// Of its first byte, in the decompressed payload.
    package var offset: UInt32
    package var length: UInt32

    package init(digest: Digest, frame: UInt32, offset: UInt32, length: UInt32) {
        self.digest = digest
        self.frame = frame
        self.offset = offset
        self.length = length
    }
}

/// Where a data payload holds a chunk.
package struct PayloadChunk: Hashable, Sendable {
    package var digest: Digest
    /// Of its first byte, in the decompressed payload.
    package var offset: UInt32
    package var length: UInt32

    package init(digest: Digest, offset: UInt32, length: UInt32) {
        self.digest = digest
        self.offset = offset
        self.length = length
    }
}

/// What a person said of a snapshot later.
package struct Remark: Hashable, Sendable {
    package enum Kind: UInt8, Hashable, Sendable {
        case pin = 1
        case tag = 2
    }

    package var kind: Kind
    package var snapshot: UInt64
    package var text: [UInt8]

    package init(kind: Kind, snapshot: UInt64, text: [UInt8]) {
        self.kind = kind
        self.snapshot = snapshot
        self.text = text
    }
}
