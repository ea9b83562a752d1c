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
    /// The numbers of the group's commits, also of one that was lost and whose manifest only the catalog knows.
    let replaced: [UInt64]
    /// Those of them that are there.
    let commits: [StoredArchive]
    /// The `data` archives that its snapshots wrote and that are still there.
    let dataArchives: [StoredArchive]

    /// - Throws: `CatalogError.unknownSnapshot`.
    init(_ group: MergeGroup, catalog: Catalog) throws {
        var records: [SnapshotRecord] = []
        var replaced: [UInt64] = []
        var hasFull = false
        for number in group.dropped + [group.into] {
            guard let row = try catalog.snapshot(number) else {
                throw CatalogError(.unknownSnapshot, "there is no snapshot \(number)", path: catalog.path)
            }
            hasFull = hasFull || row.kind == .full
            records.append(row.record)
            replaced.append(row.archive)
        }
        // `into` is always there, so neither is empty.
        kept = records[records.count - 1]
        // Where snapshots were lost and given up, a full one takes the place of the hole before it too.
        let before = try catalog.newest(below: records[0].number)
        isFull = hasFull || before == nil
        parent = isFull ? before.map { .init(number: $0.number, identity: $0.record.identity) } : records[0].parent
        coversFrom = isFull ? (before?.number ?? 0) + 1 : records[0].coversFrom
        self.replaced = replaced
        commits = try catalog.archives(replaced).map(\.archive)
        dataArchives = try catalog.archives(Array(Set(records.flatMap(\.dataArchives)))).map(\.archive)
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

    /// Those with anything to carry on.
    private(set) var frames: [Frame] = []

    /// - Parameter withCopies: A chunk that the catalog finds elsewhere first is needed from here too: a standalone snapshot keeps
    ///   everything itself.
    init(_ archive: StoredArchive, _ catalog: Catalog, _ needed: NeededChunks, withCopies: Bool) throws {
        for chunk in try catalog.chunks(in: archive.name.number, needed: needed) {
            if frames.last?.number != Int(chunk.frame) { frames.append(Frame(number: Int(chunk.frame))) }
            let piece = PayloadChunk(digest: chunk.digest, offset: chunk.offset, length: chunk.length)
            let last = frames.count - 1
            frames[last].all.append(piece)
            frames[last].bytes += UInt64(chunk.length)
            if chunk.isNeeded, chunk.isPrimary || withCopies {
                frames[last].live.append(piece)
                frames[last].liveBytes += UInt64(chunk.length)
            }
        }
        frames.removeAll(where: \.live.isEmpty)
    }
}
