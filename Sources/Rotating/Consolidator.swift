// Rewrites archives as fewer and larger ones, with only what is still needed.
// In: a group of the rotation plan, or one archive; what refers to each chunk.
// Out: for a group, one commit (after `data` archives when it is large) that stands for all its numbers; for an archive, `data`
// archives with its chunks.
// Invariant: nothing here removes anything that is believed. A replacement is read back whole before the catalog hears of it, and
// what it replaces is unlinked by the caller, later, while nobody reads. A crash at any point leaves the old archives, or the new
// one, or both: then the higher archive number is valid, and what it replaces is removed the next time.
// The idea of merging levels is that of log-structured merge trees (O'Neil et al., 1996).

package import Archiving
package import Cataloging
package import Compressing
package import Encrypting
internal import Kernel
package import Storing

package final class Consolidator {
    package struct Settings: Sendable {
        /// For what is compressed anew.
        package var level: CompressionLevel
        /// Bytes at which an archive ends.
        package var archiveSize: UInt64
        /// Bytes of entries that are gathered and sorted by type, before they are compressed anew.
        package var gathering: Int

        package init(level: CompressionLevel, archiveSize: UInt64, gathering: Int = 32 << 20) {
            self.level = level
            self.archiveSize = archiveSize
            self.gathering = gathering
        }
    }

    /// What becomes of frames.
    package enum Treatment: Sendable {
        /// A frame of which nearly all is live keeps its compressed payload; the rest is regrouped and compressed anew. This is quick, and
        /// leaves many small frames; when there is time they are recompressed.
        case move
        /// As above, but only for frames that the deep lane has made, and that are not small.
        case recompress
        /// Nothing that is not needed is carried on, whatever it costs.
        case purge
    }

    private let storage: any Storage
    private let keys: [SecretKey]
    private let catalog: Catalog
    private let repository: RepositoryID
    private let pool: SealingPool
    private let settings: Settings
    private let numbers: ArchiveNumbers
    private let opener: FrameOpener
    /// A frame is moved as it is when at least this share of it is live, and it is not too small, in decompressed bytes.
    private static let moveShare = 0.9
    private static let smallestQuickMove: UInt64 = 8 << 10
    private static let smallestMove: UInt64 = 1 << 20

    /// - Parameters:
    ///   - keys: All that archives may be sealed with; the pool's own seals the new ones.
    ///   - numbers: What new archives are to say of the repository.
    package init(
        storage: any Storage, keys: [SecretKey], catalog: Catalog, repository: RepositoryID, pool: SealingPool, settings: Settings,
        numbers: ArchiveNumbers
    ) throws {
        self.storage = storage
        self.keys = keys
        self.catalog = catalog
        self.repository = repository
        self.pool = pool
        self.settings = settings
        self.numbers = numbers
        opener = try FrameOpener(keys: keys)
    }
}

/// What new archives say of the repository and of the moment.
package struct ArchiveNumbers {
    /// A number above all that were ever given; never the same twice.
    package var next: () throws -> UInt64
    package var recordHead: () throws -> Digest?
    package var highestSnapshot: () throws -> UInt64
    /// Milliseconds since 1970.
    package var now: () -> Int64

    package init(
        next: @escaping () throws -> UInt64, recordHead: @escaping () throws -> Digest?, highestSnapshot: @escaping () throws -> UInt64,
        now: @escaping () -> Int64
    ) {
        self.next = next
        self.recordHead = recordHead
        self.highestSnapshot = highestSnapshot
        self.now = now
    }
}

// MARK: Groups

extension Consolidator {
    /// A merged group that is on the disk and was read back; nothing refers to it yet.
    package struct Replacement: Sendable {
        package var published: [PublishedArchive]
        /// What may be unlinked once the catalog knows the replacement. Until then those archives are as valid as before.
        package var superseded: [StoredArchive]
        fileprivate var merge: MergeRecord
        fileprivate var needed: NeededChunks
        fileprivate var lane: ArchiveRow.Lane

        package var bytes: UInt64 { published.reduce(0) { $0 + $1.stored.size } }
    }

    /// Writes what replaces a group.
    ///
    /// - Parameters:
    ///   - group: Without dropped snapshots: its one commit is rewritten.
    ///   - needed: What is still needed once the group is merged.
    ///   - takesData: The `data` archives of its snapshots are taken in too.
    /// - Throws: `ArchiveError` when a live chunk is damaged, `StorageError`, `CatalogError`. Nothing of the replacement is left.
    package func merge(
        _ group: MergeGroup, _ needed: NeededChunks, _ treatment: Treatment = .move, takesData: Bool = false
    ) throws -> Replacement {
        let sources = try GroupSources(group, catalog: catalog)
        let taken = sources.commits + (takesData ? sources.dataArchives : [])
        // Where room is short, what is written must not be larger than what it replaces.
        let isRoomy = (storage.freeBytes ?? .max) / 2 > taken.reduce(0) { $0 + $1.size }
        let series = series(time: sources.kept.time, isQuick: treatment == .move, defers: treatment == .move && isRoomy)
        do {
            for archive in taken {
                let use = try ArchiveUse(archive, catalog, needed, withCopies: sources.kept.isStandalone)
                if use.frames.isEmpty { continue }
                let reader = try reader(archive)
                for frame in use.frames { try carry(frame, of: reader, treatment, series) }
            }
            try series.endData()
            let changes = try writeManifest(sources, series)
            let replaced = sources.replaced + (takesData ? sources.dataArchives.map(\.name.number) : [])
            let staying = takesData ? [] : sources.dataArchives.map(\.name.number)
            let commit = try series.commit(
                kind: sources.isFull ? .full : .incremental, replaces: replaced, recordHead: try numbers.recordHead(),
                highestSnapshot: try numbers.highestSnapshot()
            ) { data, bytes in sources.record(dataArchives: staying + data, entriesChanged: changes, bytesAdded: bytes) }
            for archive in series.published { try archive.readBack(from: storage, keys: keys) }
            return Replacement(
                published: series.published, superseded: taken,
                merge: MergeRecord(
                    dropped: group.dropped, into: group.into, archive: commit.stored, contents: commit.contents, removedArchives: replaced),
                needed: needed, lane: series.canBecomeSmaller ? .fast : .deep)
        } catch {
            discard(series)
            throw error
        }
    }

    /// Tells the catalog of a replacement. What it supersedes may then be unlinked.
    ///
    /// - Throws: `CatalogError`: it is as before, and the replacement is to be discarded. `.inUse` when something that is needed would be lost.
    package func record(_ replacement: Replacement) throws {
        for archive in replacement.published.dropLast() { try catalog.record(archive: archive.stored, contents: archive.contents) }
        try catalog.replace(replacement.merge, needed: replacement.needed)
        try mark(replacement.published, lane: replacement.lane)
    }

    /// They were read back whole a moment ago.
    private func mark(_ archives: [PublishedArchive], lane: ArchiveRow.Lane) throws {
        try catalog.mark(archives.map(\.stored.name.number), lane: lane, verified: numbers.now())
    }

    /// Removes a replacement that the catalog does not know: it must not stand beside what it would replace.
    package func discard(_ replacement: Replacement) {
        discard(replacement.published)
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

// MARK: Single archives

extension Consolidator {
    package struct Evacuation: Sendable {
        package var published: [PublishedArchive] = []
        /// Frames that could not be read: their chunks stay where they are, for what they are worth.
        package var damage: [ArchiveError] = []
        /// Every chunk that is needed and could be read has another place now.
        package var isComplete = true
    }

    /// Gives the live chunks of one archive another place, in new `data` archives that the catalog prefers from then on.
    ///
    /// Ends early when it is told to; what is done until then is kept, and the next call goes on from there.
    /// - Parameter mustEnd: Asked after each frame.
    /// - Throws: `StorageError`, `CatalogError`, `ArchiveError` when the archive cannot be opened at all. What was recorded stays.
    package func evacuate(
        _ archive: StoredArchive, _ needed: NeededChunks, _ treatment: Treatment, mustEnd: () -> Bool = { false }
    ) throws -> Evacuation {
        var result = Evacuation()
        let use = try ArchiveUse(archive, catalog, needed, withCopies: false)
        if use.frames.isEmpty { return result }
        let reader = try reader(archive)
        result.published = try writeData { series in
            for (index, frame) in use.frames.enumerated() {
                do {
                    try carry(frame, of: reader, treatment, series)
                } catch let error as ArchiveError where error.code != .noMemory && error.code != .selfCheck {
                    result.damage.append(error)
                }
                if mustEnd(), index + 1 < use.frames.count {
                    result.isComplete = false
                    return
                }
            }
        }
        return result
    }

    /// Writes `data` archives with what `body` gives, reads them back and records them; what they hold is read from there from now on.
    ///
    /// - Throws: What `body` throws, `StorageError`, `CatalogError`. Nothing that is not recorded is left.
    package func writeData(_ body: (MergeSeries) throws -> Void) throws -> [PublishedArchive] {
        let series = series(time: numbers.now(), isQuick: false, defers: false)
        do {
            try body(series)
            try series.endSeries(highestSnapshot: try numbers.highestSnapshot())
            for archive in series.published { try archive.readBack(from: storage, keys: keys) }
            for archive in series.published {
                try catalog.record(archive: archive.stored, contents: archive.contents, precedence: .newer)
            }
            try mark(series.published, lane: series.canBecomeSmaller ? .fast : .deep)
            return series.published
        } catch {
            discard(series)
            throw error
        }
    }

    private func series(time: Int64, isQuick: Bool, defers: Bool) -> MergeSeries {
        MergeSeries(
            storage: storage, repository: repository, pool: pool, settings: settings, isQuick: isQuick, defers: defers, time: time,
            nextNumber: numbers.next)
    }

    private func discard(_ series: MergeSeries) {
        series.abandon()
        discard(series.published)
    }

    private func discard(_ archives: [PublishedArchive]) {
        try? catalog.forget(archives.map(\.stored.name.number))
        for archive in archives.reversed() { try? storage.remove(archive.stored.name) }
    }

    private func reader(_ archive: StoredArchive) throws -> ArchiveReader {
        try ArchiveReader(try storage.open(archive.name), name: archive.name, keys: keys, repository: repository)
    }

    /// Brings the live chunks of one frame over: the whole frame as it is, or its entries.
    private func carry(_ frame: ArchiveUse.Frame, of reader: ArchiveReader, _ treatment: Treatment, _ series: MergeSeries) throws {
        let isWhole = treatment == .purge ? frame.live.count == frame.all.count : frame.liveShare >= Consolidator.moveShare
        if isWhole, frame.bytes >= (treatment == .move ? Consolidator.smallestQuickMove : Consolidator.smallestMove) {
            let compressed = try reader.compressedFrame(frame.number, opener: opener)
            // What could not be compressed once is not tried again.
            let isDeep = compressed.codec == settings.level.codec || compressed.codec == .stored
            if treatment != .recompress || isDeep { return try series.append(compressed, frame.all) }
        }
        var payload: [UInt8] = []
        try reader.frame(frame.number, into: &payload, opener: opener)
        try series.append(entriesOf: payload, all: frame.all, live: frame.live)
    }
}
