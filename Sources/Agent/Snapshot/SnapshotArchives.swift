// The archives of one snapshot: chunks that are not stored yet, then the manifest, cut into archives of bounded size.
// In: chunks as files are read, then manifest records in tree order.  Out: `data` archives as they fill, and one commit.
// Invariant: a chunk is stored once; the commit is published last, so that before it the snapshot does not exist.
// A crash leaves whole `data` archives behind, whose chunks the next attempt finds and does not store again.

internal import Archiving
internal import Cataloging
internal import Compressing
internal import Encrypting
internal import Kernel
internal import Storing

/// Used by one thread at a time: those that read files take turns.
final class SnapshotArchives: @unchecked Sendable {  // Readers hold the lock of SnapshotReading, and are waited for.
    private let session: Session
    private let pool: SealingPool
    private let level: CompressionLevel
    /// Of what this snapshot writes.
    let lane: ArchiveRow.Lane
    private let isStandalone: Bool
    private let time: Int64
    private var nextNumber: UInt64
    private var writer: ArchiveWriter?
    private var payload: DataPayload
    private var manifest = ManifestWriter()
    private var manifestHasher = SHA256Hasher()
    /// Stored by this snapshot, and not yet told to the catalog.
    private var added: Set<Digest> = []
    /// What the catalog can know, if that is what this snapshot has told it: in a first one nearly every chunk is new, and need not be
    /// asked for.
    private var told: DigestFilter?
    /// The last `data` archive: read back, and told to the catalog, while the next one is written.
    private var unrecorded: (archive: PublishedArchive, readBack: ReadBack)?
    /// Numbers and bytes of the `data` archives that are finished.
    private var published: [UInt64] = []
    private var bytesPublished: UInt64 = 0

    /// What one frame holds before it is compressed.
    static let frameSize = 2 << 20
    /// The same with the header of its last entry.
    private static let payloadRoom = frameSize + (64 << 10)

    /// - Parameters:
    ///   - isSmall: A few changes: they are recompressed only when they are merged, so they go to the deep lane at once.
    ///   - expected: About how many chunks will come.
    init(session: Session, time: Int64, isSmall: Bool, isStandalone: Bool, expecting expected: Int) throws {
        self.session = session
        self.time = time
        self.isStandalone = isStandalone
        let compression = session.configuration.compression
        level = isSmall ? compression.deep ?? compression.fast : compression.fast
        lane = isSmall || compression.deep == nil ? .deep : .fast
        let workers = isSmall ? 1 : Machine.processors
        // One payload for each thread and one that waits: more would not make them faster.
        let inFlight = min(session.configuration.limits.memory / 4, UInt64((workers + 1) * SnapshotArchives.payloadRoom))
        pool = try SealingPool(
            key: session.key, workers: workers, verifies: compression.verifiesWrites, bytesInFlight: Int(inFlight))
        nextNumber = try session.nextArchiveNumber()
        told = try session.catalog.hasArchives() ? nil : DigestFilter(expecting: expected)
        payload = DataPayload(capacity: isSmall ? 0 : SnapshotArchives.payloadRoom)
    }

    /// Stores a chunk, unless the repository has it.
    ///
    /// - Throws: `StorageError`, `CatalogError`: the snapshot cannot be finished then.
    func store(_ bytes: UnsafeRawBufferPointer, _ digest: Digest, path: Path, chunkOffset: UInt64?, status: FileStatus) throws {
        if added.contains(digest) { return }
        if !isStandalone, told?.mayContain(digest) ?? true, try session.catalog.isStored(digest) { return }
        if payload.count > 0, payload.count + bytes.count > SnapshotArchives.frameSize { try flush() }
        payload.append(
            bytes, digest: digest, path: path, chunkOffset: chunkOffset, mode: status.mode, modified: status.modified,
            uid: status.uid, gid: status.gid)
        added.insert(digest)
    }

    /// Adds a record of the manifest, in tree order, after all chunks.
    func add(upsert entry: Entry, previous: [Chunk]?) throws {
        manifest.add(upsert: entry, previous: previous)
        if manifest.count >= SnapshotArchives.frameSize { try flushManifest() }
    }

    func add(deletion path: Path) throws {
        manifest.add(deletion: path)
        if manifest.count >= SnapshotArchives.frameSize { try flushManifest() }
    }

    /// Ends the data of the snapshot; the manifest follows.
    func endData() throws {
        if !payload.chunks.isEmpty { try flush() }
    }

    /// Publishes the commit, which is still to be read back.
    ///
    /// - Parameter record: Gets the digest of the whole manifest and the bytes added so far.
    /// - Throws: Nothing is committed then; `data` archives stay.
    func commit(
        kind: ArchiveKind, highestSnapshot: UInt64, record: (_ manifest: Digest, _ bytesAdded: UInt64, _ data: [UInt64]) -> SnapshotRecord
    ) throws -> PublishedArchive {
        if manifest.count > 0 { try flushManifest() }
        try recordData()
        let writer = try currentWriter()
        try writer.settle()
        try session.checkRoom()
        let snapshot = record(manifestHasher.finish(), bytesPublished + writer.sizeEstimate, published)
        let commit = try writer.finish(
            kind: kind, time: time, snapshot: snapshot, recordHead: try session.recordHead(), highestSnapshot: highestSnapshot)
        self.writer = nil
        return commit
    }

    /// Ends the threads, and throws away what is not published. A `data` archive that cannot be told to the catalog now is found at the next start.
    func close() {
        writer?.abandon()
        writer = nil
        try? recordData()
        pool.shutDown()
    }

    private func flush() throws {
        try session.checkRoom()
        let writer = try currentWriter()
        let (bytes, chunks) = payload.take()
        try writer.appendData(payload: bytes, chunks: chunks, level: level)
        let isFull = writer.sizeEstimate >= session.configuration.archiveSize || writer.chunkCount >= ArchiveWriter.manyChunks
        if isFull { try finishDataArchive() }
    }

    private func finishDataArchive() throws {
        guard let writer else { return }
        let archive = try writer.finish(kind: .data, time: time, highestSnapshot: session.highestSnapshot())
        self.writer = nil
        published.append(archive.stored.name.number)
        bytesPublished += archive.stored.size
        let previous = unrecorded
        // Before anything can fail: an archive that neither the catalog nor this knows of would stand in the way of its number.
        unrecorded = (archive, ReadBack(of: archive, session))
        if let previous { try record(previous.archive, previous.readBack) }
    }

    /// Tells the catalog of the last `data` archive.
    private func recordData() throws {
        if let last = unrecorded.take() { try record(last.archive, last.readBack) }
    }

    /// Tells the catalog of a `data` archive, once it is read back.
    private func record(_ archive: PublishedArchive, _ readBack: ReadBack) throws {
        try readBack.finish()
        try session.catalog.record(archive: archive.stored, contents: archive.contents)
        session.markReadBack(archive, lane)
        session.remember { $0.highestArchive = max($0.highestArchive, archive.stored.name.number) }
        // A standalone snapshot takes nothing from the archives of others, so it does not ask for what they hold.
        if !isStandalone {
            for chunk in archive.contents.chunks {
                added.remove(chunk.digest)
                told?.insert(chunk.digest)
            }
        }
        // Writing and checking the contents took more than all else for a while.
        HeapMemory.giveBack()
    }

    private func flushManifest() throws {
        let frame = manifest.takeFrame()
        manifestHasher.update(frame)
        try currentWriter().appendManifest(frame, level: level)
    }

    private func currentWriter() throws -> ArchiveWriter {
        if let writer { return writer }
        let writer = try ArchiveWriter(
            storage: session.storage, number: nextNumber, repository: session.repository.id, pool: pool)
        nextNumber += 1
        self.writer = writer
        return writer
    }
}
