// One archive being written, frame by frame.
// In: payloads in the order data, manifest.  Out: a published archive with its contents frame.
// Invariant: nothing is in the repository before `finish` has published it; after an error nothing is ever published.
// On a crash a temporary file stays behind. The bytes are those of RepositoryFormat, "Archive".

package import Archiving
package import Compressing
package import Encrypting
internal import Kernel

/// Used by one thread at a time. Frames are sealed by the pool's threads and written by the caller's.
package final class ArchiveWriter {
    package let number: UInt64
    /// Its random id, which every frame repeats.
    package let id = ArchiveID.random()

    private let storage: any Storage
    private let repository: RepositoryID
    private let sink: any ArchiveSink
    private let pool: SealingPool
    private let lane: SealingLane
    private let time: UInt64
    /// Kinds of all frames given so far; the first `frames.count` of them are written.
    private var kinds: [FrameKind] = []
    private var frames: [FrameRecord] = []
    private var chunks: [StoredChunk] = []
    private var failure: (any Error)?

    /// The most chunks that one archive may hold. Source: RepositoryFormat, "Limits".
    package static let maximumChunks = 500_000
    /// Chunks at which an archive had better end: writing and checking its contents takes about 200 bytes of memory for each.
    package static let manyChunks = 64_000

    /// Begins archive `number`, which must be above all that the repository ever had.
    ///
    /// - Parameter time: Of the tokens, seconds since 1970.
    package init(
        storage: any Storage, number: UInt64, repository: RepositoryID, pool: SealingPool,
        time: UInt64 = UInt64(clamping: Timestamp.now().seconds)
    ) throws {
        self.storage = storage
        self.number = number
        self.repository = repository
        self.pool = pool
        self.time = time
        lane = SealingLane(limit: pool.bytesInFlight)
        sink = try storage.begin(number)
        do {
            try ArchiveHeader(id: id).encode().withUnsafeBytes { try sink.append($0) }
        } catch {
            sink.abandon()
            throw error
        }
    }

    deinit {
        sink.abandon()
    }

    /// Bytes written, and those still in flight as if they did not shrink.
    package var sizeEstimate: UInt64 { sink.count + UInt64(lane.bytesInFlight) }

    /// Bytes of the payloads that are given and not yet written.
    package var bytesInFlight: Int { lane.bytesInFlight }

    package var chunkCount: Int { chunks.count }

    /// Frames given so far.
    package var frameCount: Int { kinds.count }

    /// Adds a data frame. Returns at once while the pool has room, else when it has again.
    ///
    /// - Parameters:
    ///   - payload: Complete tar entries, up to 64 MiB.
    ///   - chunks: By ascending offset, without overlap.
    /// - Throws: What an earlier frame ran into, in the pool or on its way to the storage. The writer is of no more use
    ///   then: every later call throws the same, and nothing of it stays in the repository. Call no data frame after a manifest frame.
    package func appendData(payload: [UInt8], chunks: [PayloadChunk], level: CompressionLevel) throws {
        try append(.payload(payload, level), .data, chunks)
    }

    /// Adds a data frame that moves here from another archive and keeps its compressed payload. As `appendData`.
    package func appendCompressed(_ frame: CompressedFrame, chunks: [PayloadChunk]) throws {
        try append(.compressed(frame), .data, chunks)
    }

    /// Adds a manifest frame. As `appendData`.
    package func appendManifest(_ payload: [UInt8], level: CompressionLevel) throws {
        try append(.payload(payload, level), .manifest, [])
    }

    /// Writes what is in flight, the contents frame and the trailer, publishes, and looks for a second writer.
    ///
    /// - Parameter time: Of the archive's name, milliseconds since 1970; of a snapshot, its moment.
    /// - Throws: Nothing is published then. `ArchiveError` for values that a reader would refuse. `.secondWriter` when another archive of this number appeared meanwhile:
    ///   this one is withdrawn, the other stays.
    package func finish(
        kind: ArchiveKind, time: Int64, snapshot: SnapshotRecord? = nil, replaces: [UInt64] = [],
        recordHead: Digest? = nil, remarks: [Remark] = [], highestSnapshot: UInt64
    ) throws -> PublishedArchive {
        try checked {
            try drain()
            let contents = ArchiveContents(
                repository: repository, number: number, kind: kind, time: time, frames: frames, chunks: chunks,
                snapshot: snapshot, replaces: replaces, recordHead: recordHead, remarks: remarks,
                highestSnapshot: highestSnapshot)
            let payload = contents.encode()
            // What a reader would refuse is not published.
            guard try ArchiveContents(decoding: payload) == contents else {
                throw ArchiveError(.selfCheck, "the contents of the archive do not read back as they were given")
            }
            let offset = sink.count
            try give(.payload(payload, .fast), .contents)
            try drain()
            guard let last = frames.popLast() else { throw corrupted }
            let trailer = ArchiveTrailer(offset: offset, tokenCount: last.tokenCount)
            try trailer.encode().withUnsafeBytes { try sink.append($0) }
            let stored = try sink.publish(kind: kind, time: time)
            try checkAlone(stored.name)
            failure = StorageError(.alreadyExists, "the archive is published already", at: sink.path)
            return PublishedArchive(stored: stored, contents: contents)
        }
    }

    /// Writes what is in flight: `sizeEstimate` is exact then. As `appendData`.
    package func settle() throws {
        try checked { try drain() }
    }

    /// Throws everything away. Frames in flight are sealed for nothing.
    package func abandon() {
        if failure == nil { failure = StorageError(.cancelled, "the archive was abandoned", at: sink.path) }
        sink.abandon()
    }
}

// MARK: Frames on their way

extension ArchiveWriter {
    private func append(_ frame: SealingJob.Frame, _ kind: FrameKind, _ chunks: [PayloadChunk]) throws {
        precondition(kind != .data || kinds.last != .manifest, "data frames come before manifest frames")
        try checked {
            guard self.chunks.count + chunks.count <= ArchiveWriter.maximumChunks else {
                throw StorageError(.tooLarge, "an archive holds at most \(ArchiveWriter.maximumChunks) chunks", at: sink.path)
            }
            let number = UInt32(kinds.count)
            for chunk in chunks {
                self.chunks.append(
                    StoredChunk(digest: chunk.digest, frame: number, offset: chunk.offset, length: chunk.length))
            }
            try give(frame, kind)
            while let sealed = try lane.takeReady() { try write(sealed) }
        }
    }

    /// Gives a frame to the pool; while it has no room, takes the oldest one out and writes it.
    private func give(_ frame: SealingJob.Frame, _ kind: FrameKind) throws {
        let cost = frame.count
        var ticket = lane.reserve(cost)
        while ticket == nil {
            guard let sealed = try lane.takeNext() else { throw corrupted }
            try write(sealed)
            ticket = lane.reserve(cost)
        }
        guard let ticket else { throw corrupted }
        let place = FramePlace(archive: id, number: UInt32(kinds.count), kind: kind, isLast: kind == .contents)
        kinds.append(kind)
        pool.submit(SealingJob(frame: frame, place: place, time: time, lane: lane, ticket: ticket))
    }

    private func drain() throws {
        while let sealed = try lane.takeNext() { try write(sealed) }
    }

    private func write(_ sealed: [UInt8]) throws {
        // The sealer puts four bytes of length before the token.
        guard sealed.count > 4, let tokenCount = UInt32(exactly: sealed.count - 4) else { throw corrupted }
        try sealed.withUnsafeBytes { try sink.append($0) }
        frames.append(FrameRecord(kind: kinds[frames.count], tokenCount: tokenCount))
    }

    /// After the first error nothing of this archive is kept, and every call throws that error.
    private func checked<Result>(_ body: () throws -> Result) throws -> Result {
        if let failure { throw failure }
        do {
            return try body()
        } catch {
            failure = error
            sink.abandon()
            throw error
        }
    }

    /// A lock that does not hold (some network file systems) shows as two archives of one number.
    private func checkAlone(_ name: ArchiveName) throws {
        do {
            if try storage.names(of: number...number).contains(where: { $0 != name }) {
                throw StorageError(
                    .secondWriter, "another writer published archive \(number) at the same time", at: sink.path,
                    remedy: "let only one machine write to this repository")
            }
        } catch {
            // Not reported as done, so it must not be there either.
            try? storage.remove(name)
            throw error
        }
    }

    private var corrupted: StorageError {
        StorageError(.io, "a sealed frame got lost between the threads", at: sink.path)
    }
}
