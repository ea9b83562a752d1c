// The archives that a merge writes: chunks moved or regrouped, then the manifest.
// In: frames, tar entries, manifest records.  Out: `data` archives as they fill, and the commit.

internal import Archiving
internal import Compressing
internal import Encrypting
internal import Kernel
internal import Storing

final class MergeSeries {
    private let storage: any Storage
    private let repository: RepositoryID
    private let pool: SealingPool
    private let settings: Consolidator.Settings
    private let time: Int64
    private let nextNumber: () throws -> UInt64
    private var writer: ArchiveWriter?
    private var payload = DataPayload()
    private var manifest = ManifestWriter()
    private(set) var published: [PublishedArchive] = []

    private static let payloadSize = 16 << 20
    private static let manifestSize = 4 << 20

    init(
        storage: any Storage, repository: RepositoryID, pool: SealingPool, settings: Consolidator.Settings, time: Int64,
        nextNumber: @escaping () throws -> UInt64
    ) {
        self.storage = storage
        self.repository = repository
        self.pool = pool
        self.settings = settings
        self.time = time
        self.nextNumber = nextNumber
    }

    /// A whole frame, with its compressed payload.
    func append(_ frame: CompressedFrame, _ chunks: [PayloadChunk]) throws {
        try currentWriter().appendCompressed(frame, chunks: chunks)
        try endArchiveIfFull()
    }

    /// The tar entries of a decoded payload that hold `live` chunks, as they are.
    ///
    /// - Parameter all: Every chunk of the frame, by ascending offset: an entry begins where the one before it ends.
    /// - Throws: `ArchiveError` when a chunk is not what its digest says: damage is not carried on.
    func append(entriesOf decoded: [UInt8], all: [PayloadChunk], live: [PayloadChunk]) throws {
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
            if payload.count > 0, payload.count + end - start > MergeSeries.payloadSize { try flush() }
            // start < content <= content + length <= end <= decoded.count, checked above.
            try decoded.withUnsafeBytes { bytes in
                let entry = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                try payload.append(entry: entry, contentOffset: content - start, digest: chunk.digest, length: chunk.length)
            }
        }
    }

    func endData() throws {
        if payload.count > 0 { try flush() }
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

    private func flush() throws {
        let (bytes, chunks) = payload.take()
        try currentWriter().appendData(payload: bytes, chunks: chunks, level: settings.level)
        try endArchiveIfFull()
    }

    private func flushManifest() throws {
        let frame = manifest.takeFrame()
        try currentWriter().appendManifest(frame, level: settings.level)
    }

    private func endArchiveIfFull() throws {
        guard let writer, writer.sizeEstimate >= settings.archiveSize || writer.chunkCount >= ArchiveWriter.maximumChunks * 9 / 10
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
