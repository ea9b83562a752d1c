// What a merge starts from: the snapshots of one group, their archives, and what stood before them.

internal import Archiving
internal import Cataloging
internal import Kernel
internal import Storing

struct GroupSources {
    let kept: SnapshotRecord
    /// The kept snapshot before the group; nil when the group is the beginning of the history.
    let parent: SnapshotRecord.Parent?
    let coversFrom: UInt64
    /// The group held a full snapshot, or nothing stands before it: the result is full, so that the chain stays bounded.
    let isFull: Bool
    /// The commits of the group.
    let commits: [StoredArchive]
    /// The `data` archives that its snapshots wrote and that are still there.
    let dataArchives: [StoredArchive]

    /// - Throws: `StorageError.missing` when a commit of the group is gone.
    init(_ group: MergeGroup, catalog: Catalog) throws {
        let archives = Dictionary(try catalog.archives().map { ($0.archive.name.number, $0.archive) }, uniquingKeysWith: { $1 })
        var commits: [StoredArchive] = []
        var records: [SnapshotRecord] = []
        var hasFull = false
        for number in group.dropped + [group.into] {
            guard let row = try catalog.snapshot(number), let archive = archives[row.archive] else {
                throw StorageError(.missing, "the archive of snapshot \(number) is missing", at: .root)
            }
            hasFull = hasFull || row.kind == .full
            records.append(row.record)
            commits.append(archive)
        }
        guard let first = records.first, let last = records.last else {
            throw StorageError(.missing, "a group without snapshots", at: .root)
        }
        dataArchives = records.flatMap(\.dataArchives).compactMap { archives[$0] }
        self.commits = commits
        kept = last
        parent = first.parent
        coversFrom = first.coversFrom
        isFull = hasFull || first.parent == nil
    }

    /// What the merged archive says of the kept snapshot: its number, time and identity stay.
    func record(dataArchives: [UInt64], entriesChanged: UInt64, bytesAdded: UInt64) -> SnapshotRecord {
        var record = kept
        record.parent = parent
        record.coversFrom = coversFrom
        record.dataArchives = dataArchives
        record.statistics.entriesChanged = entriesChanged
        record.statistics.bytesAdded = bytesAdded
        return record
    }
}

/// Which of an archive's chunks are still needed, and needed from here.
struct ArchiveUse {
    struct Frame {
        var number: Int
        /// Decompressed bytes of chunks.
        var bytes: UInt64 = 0
        var all: [PayloadChunk] = []
        var live: [PayloadChunk] = []
        var liveBytes: UInt64 = 0
        var liveShare: Double { bytes == 0 ? 0 : Double(liveBytes) / Double(bytes) }
    }

    let archive: StoredArchive
    private(set) var frames: [Frame] = []

    var bytes: UInt64 { frames.reduce(0) { $0 + $1.bytes } }
    var liveBytes: UInt64 { frames.reduce(0) { $0 + $1.liveBytes } }
    /// Less than half of its bytes are live.
    var isMostlyDead: Bool { liveBytes * 2 < bytes }

    init(_ archive: StoredArchive, catalog: Catalog, live: ChunkSet) throws {
        self.archive = archive
        for chunk in try catalog.chunks(in: archive.name.number, referenced: live) {
            if frames.last?.number != Int(chunk.frame) { frames.append(Frame(number: Int(chunk.frame))) }
            let piece = PayloadChunk(digest: chunk.digest, offset: chunk.offset, length: chunk.length)
            let last = frames.count - 1
            frames[last].all.append(piece)
            frames[last].bytes += UInt64(chunk.length)
            // A chunk that the catalog finds elsewhere first is not needed from here.
            if chunk.isReferenced, chunk.isPrimary {
                frames[last].live.append(piece)
                frames[last].liveBytes += UInt64(chunk.length)
            }
        }
    }
}
