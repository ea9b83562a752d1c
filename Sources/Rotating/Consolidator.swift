// Merges a run of snapshots that are not kept into the kept one behind it.
// In: a group of the rotation plan, the archives of its snapshots, and which chunks kept snapshots still refer to.
// Out: one commit (after `data` archives when it is large) that stands for all their numbers; then the old ones are gone.
// Invariant: nothing is removed before its replacement, which names it, is durable and was read back whole; never while
// another process reads. A crash at any point leaves the old archives, or the new one, or both: then the higher archive
// number is valid, and what it replaces is removed the next time.
// The idea of merging levels is that of log-structured merge trees (O'Neil et al., 1996).

package import Archiving
package import Cataloging
package import Compressing
package import Encrypting
internal import Kernel
package import Storing

package final class Consolidator {
    package struct Settings: Sendable {
        /// For what is recompressed.
        package var level: CompressionLevel
        /// Bytes at which an archive ends.
        package var archiveSize: UInt64

        package init(level: CompressionLevel, archiveSize: UInt64) {
            self.level = level
            self.archiveSize = archiveSize
        }
    }

    package struct Outcome: Sendable {
        package var published: [PublishedArchive]
        /// Superseded, and still to be unlinked.
        package var superseded: [StoredArchive]
    }

    private let storage: any Storage
    private let keys: [SecretKey]
    private let catalog: Catalog
    private let repository: RepositoryID
    private let pool: SealingPool
    private let settings: Settings
    private let opener: FrameOpener
    /// A frame is moved as it is when at least this share of it is live, and it is not tiny.
    private static let moveShare = 0.9
    private static let smallestMove = 1 << 20

    package init(
        storage: any Storage, keys: [SecretKey], catalog: Catalog, repository: RepositoryID, pool: SealingPool, settings: Settings
    ) throws {
        self.storage = storage
        self.keys = keys
        self.catalog = catalog
        self.repository = repository
        self.pool = pool
        self.settings = settings
        opener = try FrameOpener(keys: keys)
    }

    /// Merges one group: publishes the replacement, reads it back, and records it in the catalog.
    ///
    /// - Parameters:
    ///   - live: The chunks that kept snapshots refer to.
    ///   - nextNumber: Gives archive numbers, each above all before.
    /// - Returns: What may now be unlinked. Until then those archives are left over, and harmless.
    /// - Throws: `ArchiveError` when a live chunk is damaged, `StorageError`, `CatalogError`. The group is then as it was before.
    package func merge(
        _ group: MergeGroup, live: ChunkSet, recordHead: Digest?, highestSnapshot: UInt64, nextNumber: @escaping () throws -> UInt64
    ) throws -> Outcome {
        let sources = try GroupSources(group, catalog: catalog)
        let series = MergeSeries(
            storage: storage, repository: repository, pool: pool, settings: settings, time: sources.kept.time, nextNumber: nextNumber)
        do {
            var superseded: [StoredArchive] = []
            for archive in sources.commits + sources.dataArchives {
                let use = try ArchiveUse(archive, catalog: catalog, live: live)
                if archive.name.kind.isCommit || use.isMostlyDead {
                    try move(use, series)
                    superseded.append(archive)
                }
            }
            try series.endData()
            let changes = try writeManifest(sources, series)
            let replaced = superseded.map(\.name.number)
            let staying = sources.dataArchives.map(\.name.number).filter { !replaced.contains($0) }
            let commit = try series.commit(
                kind: sources.isFull ? .full : .incremental, replaces: replaced, recordHead: recordHead, highestSnapshot: highestSnapshot
            ) { data, bytes in sources.record(dataArchives: staying + data, entriesChanged: changes, bytesAdded: bytes) }
            for archive in series.published { try archive.readBack(from: storage, keys: keys) }
            for archive in series.published.dropLast() { try catalog.record(archive: archive.stored, contents: archive.contents) }
            try catalog.replace(
                MergeRecord(
                    dropped: group.dropped, into: group.into, archive: commit.stored, contents: commit.contents, removedArchives: replaced))
            return Outcome(published: series.published, superseded: superseded)
        } catch {
            series.abandon()
            // A replacement that is not believed must not stand beside what it would replace.
            try? catalog.forget(series.published.map(\.stored.name.number))
            for archive in series.published.reversed() { try? storage.remove(archive.stored.name) }
            throw error
        }
    }

    private func reader(_ archive: StoredArchive) throws -> ArchiveReader {
        try ArchiveReader(try storage.open(archive.name), name: archive.name, keys: keys, repository: repository)
    }

    /// Brings the live chunks of one archive over, whole frames as they are, the others regrouped.
    private func move(_ use: ArchiveUse, _ series: MergeSeries) throws {
        if use.liveBytes == 0 { return }
        let reader = try reader(use.archive)
        var payload: [UInt8] = []
        for frame in use.frames where !frame.live.isEmpty {
            if frame.liveShare >= Consolidator.moveShare, frame.bytes >= UInt64(Consolidator.smallestMove) {
                let compressed = try reader.compressedFrame(frame.number, opener: opener)
                try series.append(compressed, frame.all)
                continue
            }
            try reader.frame(frame.number, into: &payload, opener: opener)
            try series.append(entriesOf: payload, all: frame.all, live: frame.live)
        }
    }

    /// - Returns: The number of records.
    private func writeManifest(_ sources: GroupSources, _ series: MergeSeries) throws -> UInt64 {
        var count: UInt64 = 0
        let parent = sources.isFull ? nil : sources.parent?.number
        try catalog.forEachChange(from: parent, to: sources.kept.number) { record in
            count += 1
            switch record {
            case .deletion(let path): try series.add(deletion: path)
            case .upsert(let entry):
                var previous: [Chunk]?
                if let parent, entry.content.chunks.count >= ManifestWriter.fewestChunksForRuns {
                    previous = try catalog.entry(entry.path, at: parent)?.content.chunks
                }
                try series.add(upsert: entry, previous: previous)
            }
        }
        return count
    }
}
