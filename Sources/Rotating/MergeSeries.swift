// The archives that a consolidation writes: chunks moved or regrouped, then perhaps a manifest.
// In: frames, tar entries, new chunks, manifest records.  Out: `data` archives as they fill, and at the end a commit or one more.
// Invariant: memory holds what is being gathered, one payload, and the frames in flight.
// Entries of one type stand together, which is worth more than the codec (architecture, decision 7): as far as they fit into memory.

package import Archiving
internal import Compressing
package import Encrypting
package import Kernel
internal import Storing

package final class MergeSeries {
    private let storage: any Storage
    private let repository: RepositoryID
    private let pool: SealingPool
    private let settings: Consolidator.Settings
    private let time: Int64
    private let nextNumber: () throws -> UInt64
    private var writer: ArchiveWriter?
    private var gathered: GatheredEntries
    private var payload = DataPayload()
    private var manifest = ManifestWriter()
    private var dataBytes = 0
    private var manifestBytes = 0
    private let isQuick: Bool
    private let defers: Bool
    /// Bytes of entries that are sorted by type at a time: less while somebody works, and needs the memory.
    private let gatheredAtOnce: Int
    private(set) var published: [PublishedArchive] = []
    /// Frames that keep a payload which the deep lane would have made smaller: compressed by the fast lane, or small.
    private var fastFrames = 0
    private var smallFrames = 0

    private static let payloadSizes = 1 << 20...16 << 20
    /// While somebody waits: two compressors of frames of 16 MiB alone take more memory than a rotation may.
    private static let quickPayloadSize = 4 << 20
    /// Ends with a record, so somewhat behind this: up to 4 MiB, for which xz takes a third less memory than for a byte more.
    private static let manifestSize = 4 << 20 - 64 << 10
    /// Bytes of regrouped data and of manifest that are compressed as well as they can be while somebody waits. A day of ten thousand
    /// snapshots has more, and so has the manifest of a full snapshot of a million entries: compressing all of it at that level takes
    /// longer than everything else in a rotation, so the rest waits for the deep lane.
    private static let dataAtLevel = 8 << 20
    private static let manifestAtLevel = 16 << 20

    /// It pays to rewrite this when there is time.
    var canBecomeSmaller: Bool { fastFrames > 0 || smallFrames > MergeSeries.fewSmallFrames }

    /// Decompressed bytes below which a frame compresses visibly worse than a large one.
    package static let smallFrame = 256 << 10
    /// So many small frames are not worth a rewriting.
    package static let fewSmallFrames = 8

    /// - Parameters:
    ///   - isQuick: Somebody waits, or works, and needs the memory.
    ///   - defers: What takes long to compress can be done later, and takes up more room until then.
    init(
        storage: any Storage, repository: RepositoryID, pool: SealingPool, settings: Consolidator.Settings, isQuick: Bool, defers: Bool,
        time: Int64, nextNumber: @escaping () throws -> UInt64
    ) {
        self.storage = storage
        self.repository = repository
        self.pool = pool
        self.settings = settings
        self.isQuick = isQuick
        self.defers = defers
        self.time = time
        self.nextNumber = nextNumber
        gatheredAtOnce = isQuick ? settings.gathering / 2 : settings.gathering
        // The last entry goes somewhat beyond.
        gathered = GatheredEntries(room: gatheredAtOnce + 1 << 20)
    }

    /// A whole frame, with its compressed payload.
    func append(_ frame: CompressedFrame, _ chunks: [PayloadChunk]) throws {
        if frame.codec != settings.level.codec, frame.codec != .stored { fastFrames += 1 }
        if frame.count < MergeSeries.smallFrame { smallFrames += 1 }
        try currentWriter().appendCompressed(frame, chunks: chunks)
        try endArchiveIfFull()
    }

    /// The tar entries of a decoded payload that hold `live` chunks, as they are.
    ///
    /// - Parameter all: Every chunk of the frame, by ascending offset: an entry begins where the one before it ends.
    /// - Throws: `ArchiveError` when a chunk is not what its digest says: damage is not carried on. What stood before it is.
    package func append(entriesOf decoded: [UInt8], all: [PayloadChunk], live: [PayloadChunk]) throws {
        let wanted = Set(live)
        var start = 0
        for chunk in all {
            let content = Int(chunk.offset)
            let end = DataPayload.entryEnd(content + Int(chunk.length))
            defer { start = end }
            guard wanted.contains(chunk) else { continue }
            guard start < content, end <= decoded.count else {
                throw ArchiveError(.malformed, "chunk \(chunk.digest) does not stand in a tar entry of its frame")
            }
            // start < content <= content + length <= end <= decoded.count, checked above.
            try decoded.withUnsafeBytes { bytes in
                try gathered.append(
                    UnsafeRawBufferPointer(rebasing: bytes[start..<end]), contentOffset: content - start, digest: chunk.digest,
                    length: chunk.length)
            }
            if gathered.count >= gatheredAtOnce { try flushGathered() }
        }
    }

    /// A chunk that is not in the repository any more, from a file that still holds it.
    ///
    /// - Parameter offset: Where it stands in its file; nil when it is the whole file.
    package func append(_ bytes: UnsafeRawBufferPointer, digest: Digest, path: Path, offset: UInt64?, status: FileStatus) throws {
        if payload.count > 0, payload.count + bytes.count > MergeSeries.payloadSizes.upperBound { try flush() }
        payload.append(
            bytes, digest: digest, path: path, chunkOffset: offset, mode: status.mode, modified: status.modified, uid: status.uid,
            gid: status.gid)
    }

    func endData() throws {
        try flushGathered()
        if payload.count > 0 { try flush() }
        gathered = GatheredEntries(room: 0)
        HeapMemory.giveBack()
    }

    /// Ends a series without a commit.
    func endSeries(highestSnapshot: UInt64) throws {
        try endData()
        guard let writer else { return }
        published.append(try writer.finish(kind: .data, time: time, highestSnapshot: highestSnapshot))
        self.writer = nil
    }

    func add(upsert entry: Entry, previous: [Chunk]?) throws {
        manifest.add(upsert: entry, previous: previous)
        if manifest.count >= MergeSeries.manifestSize { try flushManifest() }
    }

    func add(deletion path: Path) throws {
        manifest.add(deletion: path)
        if manifest.count >= MergeSeries.manifestSize { try flushManifest() }
    }

    func commit(
        kind: ArchiveKind, replaces: [UInt64], recordHead: Digest?, highestSnapshot: UInt64,
        record: (_ data: [UInt64], _ bytes: UInt64) -> SnapshotRecord
    ) throws -> PublishedArchive {
        if manifest.count > 0 { try flushManifest() }
        let writer = try currentWriter()
        try writer.settle()
        let bytes = published.reduce(writer.sizeEstimate) { $0 + $1.stored.size }
        let commit = try writer.finish(
            kind: kind, time: time, snapshot: record(published.map(\.stored.name.number), bytes), replaces: replaces,
            recordHead: recordHead, highestSnapshot: highestSnapshot)
        self.writer = nil
        published.append(commit)
        return commit
    }

    func abandon() {
        writer?.abandon()
        writer = nil
    }

    private func flushGathered() throws {
        // What is little is cut so that all processors have a part of it.
        let share = (gathered.count + payload.count) / Machine.processors + 1
        let most = isQuick ? MergeSeries.quickPayloadSize : MergeSeries.payloadSizes.upperBound
        let size = min(max(share, MergeSeries.payloadSizes.lowerBound), most)
        try gathered.forEachByType { entry, contentOffset, digest, length in
            if payload.count > 0, payload.count + entry.count > size { try flush() }
            payload.append(entry: entry, contentOffset: contentOffset, digest: digest, length: length)
        }
        gathered.removeAll()
    }

    private func flush() throws {
        let (bytes, chunks) = payload.take()
        dataBytes += bytes.count
        try currentWriter().appendData(payload: bytes, chunks: chunks, level: chooseLevel(isLate: dataBytes > MergeSeries.dataAtLevel))
        try endArchiveIfFull()
    }

    private func flushManifest() throws {
        let frame = manifest.takeFrame()
        manifestBytes += frame.count
        try currentWriter().appendManifest(frame, level: chooseLevel(isLate: manifestBytes > MergeSeries.manifestAtLevel))
    }

    /// Counts what the deep lane has to do later.
    private func chooseLevel(isLate: Bool) -> CompressionLevel {
        guard defers, isLate, settings.level != .fast else { return settings.level }
        fastFrames += 1
        return .fast
    }

    private func endArchiveIfFull() throws {
        guard let writer, writer.sizeEstimate >= settings.archiveSize || writer.chunkCount >= ArchiveWriter.manyChunks
        else { return }
        published.append(try writer.finish(kind: .data, time: time, highestSnapshot: 0))
        self.writer = nil
    }

    private func currentWriter() throws -> ArchiveWriter {
        if let writer { return writer }
        let writer = try ArchiveWriter(storage: storage, number: try nextNumber(), repository: repository, pool: pool)
        self.writer = writer
        return writer
    }
}

/// Tar entries that wait to be sorted by the type of their files.
private struct GatheredEntries {
    private struct Piece {
        var type: [UInt8]
        var start: Int
        var count: Int
        var contentOffset: Int
        var digest: Digest
        var length: UInt32
    }

    private var bytes: [UInt8] = []
    private var pieces: [Piece] = []
    private let room: Int

    /// - Parameter room: Bytes that will come; with them growing needs no copies.
    init(room: Int) {
        self.room = room
    }

    var count: Int { bytes.count }

    /// - Throws: `ArchiveError.digestMismatch`; nothing was added.
    mutating func append(_ entry: UnsafeRawBufferPointer, contentOffset: Int, digest: Digest, length: UInt32) throws(ArchiveError) {
        guard SHA256.digest(of: UnsafeRawBufferPointer(rebasing: entry[contentOffset..<contentOffset + Int(length)])) == digest else {
            throw ArchiveError(.digestMismatch, "the content of chunk \(digest) is another")
        }
        if bytes.capacity == 0 { bytes.reserveCapacity(room) }
        pieces.append(
            Piece(
                type: DataPayload.fileType(ofEntry: entry, contentOffset: contentOffset), start: bytes.count, count: entry.count,
                contentOffset: contentOffset, digest: digest, length: length))
        bytes.append(contentsOf: entry)
    }

    /// Within a type, in the order in which they came.
    func forEachByType(_ body: (_ entry: UnsafeRawBufferPointer, _ contentOffset: Int, _ digest: Digest, _ length: UInt32) throws -> Void) rethrows {
        let order = pieces.indices.sorted { left, right in
            pieces[left].type.lexicographicallyPrecedes(pieces[right].type)
                || !pieces[right].type.lexicographicallyPrecedes(pieces[left].type) && left < right
        }
        try bytes.withUnsafeBytes { bytes in
            for index in order {
                let piece = pieces[index]
                // Every piece was appended whole.
                let entry = UnsafeRawBufferPointer(rebasing: bytes[piece.start..<piece.start + piece.count])
                try body(entry, piece.contentOffset, piece.digest, piece.length)
            }
        }
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        pieces.removeAll(keepingCapacity: true)
    }
}
