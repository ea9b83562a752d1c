// Which chunks are still needed, and what each archive holds.
// In: all versions of all kept snapshots.  Out: ChunkReferences, chunks and usage of archives.
// Invariant: the mark is exact for the moment it is made. Whoever removes anything makes it again under the commit lock.

internal import Archiving
package import Encrypting
internal import GRDB
internal import Kernel

/// One chunk as an archive holds it.
package struct ArchivedChunk: Hashable, Sendable {
    package var digest: Digest
    package var frame: UInt32
    package var offset: UInt32
    package var length: UInt32
    package var isNeeded: Bool
    /// False when another archive is the first choice for this chunk, and this one a copy.
    package var isPrimary: Bool
}

/// How much of an archive is still needed, in bytes of chunks before compression.
package struct ArchiveUsage: Hashable, Sendable {
    /// All that it holds, copies too.
    package var bytes: UInt64 = 0
    /// Of chunks that are needed.
    package var liveBytes: UInt64 = 0
    /// Of those, what is found here first: copies of what another archive is the first choice for do not count.
    package var neededBytes: UInt64 = 0
}

extension Catalog {
    /// What refers to each chunk while groups of snapshots are dropped one after the other.
    ///
    /// - Parameters:
    ///   - kept: Ascending.
    ///   - groups: In the order in which they are dropped. No kept snapshot stands between those of one group.
    /// - Complexity: O(versions), about a second for two million; one pass, however many groups there are.
    package func references(kept: [UInt64], dropping groups: [[UInt64]]) throws -> ChunkReferences {
        let plan = DropPlan(kept: kept, groups: groups)
        return try read { db in
            var result = ChunkReferences(highest: try db.prepared("SELECT max(id) FROM chunk").firstInteger() ?? 0)
            try Catalog.forEachContent(db) { first, until, ids in
                guard let fate = plan.fate(first: first, until: until) else { return }
                for id in ids where !result.add(id, fate) { throw CatalogError.ownRows }
            }
            return result
        }
    }

    /// The chunks of one archive, in the order of frame and offset.
    package func chunks(in archive: UInt64, needed: NeededChunks) throws -> [ArchivedChunk] {
        try read { db in
            let rows = try db.prepared(
                """
                SELECT id, key, rest, length, frame, offset, 1 FROM chunk WHERE archive = ?1 \
                UNION ALL SELECT id, key, rest, length, copy.frame, copy.offset, 0 FROM copy JOIN chunk ON id = copy.chunk \
                WHERE copy.archive = ?1 ORDER BY 5, 6
                """)
            rows.bind(1, Int64(clamping: archive))
            defer { rows.reset() }
            var result: [ArchivedChunk] = []
            while try rows.step() {
                result.append(
                    ArchivedChunk(
                        digest: try ChunkTable.digest(rows, key: 1, rest: 2), frame: UInt32(truncatingIfNeeded: rows.integer(4)),
                        offset: UInt32(truncatingIfNeeded: rows.integer(5)), length: UInt32(truncatingIfNeeded: rows.integer(3)),
                        isNeeded: needed.contains(rows.integer(0)), isPrimary: rows.integer(6) != 0))
            }
            return result
        }
    }

    /// How much of an archive is needed, and how much of that from there.
    ///
    /// - Complexity: O(chunks of the archive).
    package func usage(of archive: UInt64, needed: NeededChunks) throws -> ArchiveUsage {
        try read { db in
            let rows = try db.prepared(
                """
                SELECT id, length, 1 FROM chunk WHERE archive = ?1 \
                UNION ALL SELECT id, length, 0 FROM copy JOIN chunk ON id = copy.chunk WHERE copy.archive = ?1
                """)
            rows.bind(1, Int64(clamping: archive))
            defer { rows.reset() }
            var result = ArchiveUsage()
            while try rows.step() {
                result.bytes += rows.bits(1)
                guard needed.contains(rows.integer(0)) else { continue }
                result.liveBytes += rows.bits(1)
                if rows.integer(2) != 0 { result.neededBytes += rows.bits(1) }
            }
            return result
        }
    }

    /// The chunks that kept snapshots refer to and no archive holds: files that cannot be restored whole.
    package func lostChunks() throws -> [Digest] {
        try read { db in
            let referenced = try Catalog.mark(db)
            let rows = try db.prepared("SELECT id, key, rest FROM chunk WHERE archive IS NULL ORDER BY id")
            defer { rows.reset() }
            var result: [Digest] = []
            while try rows.step() {
                if referenced.isLive(rows.integer(0)) { result.append(try ChunkTable.digest(rows, key: 1, rest: 2)) }
            }
            return result
        }
    }

    /// Removes the rows of chunks that nothing holds and nothing refers to. Returns how many.
    package func pruneChunks() throws -> Int {
        try write { db in
            let rows = try db.prepared("SELECT id FROM chunk WHERE archive IS NULL")
            guard try rows.step() else { return 0 }
            rows.reset()
            let referenced = try Catalog.mark(db)
            var dead: [Int64] = []
            while try rows.step() {
                if !referenced.isLive(rows.integer(0)) { dead.append(rows.integer(0)) }
            }
            rows.reset()
            let drop = try db.prepared("DELETE FROM chunk WHERE id = ?")
            for id in dead {
                drop.bind(1, id)
                try drop.run()
            }
            return dead.count
        }
    }

    /// What any version refers to.
    private static func mark(_ db: Database) throws -> ChunkReferences {
        var result = ChunkReferences(highest: try db.prepared("SELECT max(id) FROM chunk").firstInteger() ?? 0)
        try forEachContent(db) { _, _, ids in
            for id in ids where !result.add(id, ChunkReferences.kept) { throw CatalogError.ownRows }
        }
        return result
    }

    /// The chunk rows of each version of a file, with the snapshots that show it: first <= n < until.
    private static func forEachContent(
        _ db: Database, _ body: (_ first: Int64, _ until: Int64, _ ids: Range<Int64>) throws -> Void
    ) throws {
        for (table, until) in [("live", "\(Int64.max)"), ("past", "until")] {
            let rows = try db.prepared("SELECT content, first, \(until) FROM \(table) WHERE kind = 1")
            defer { rows.reset() }
            while try rows.step() {
                let first = rows.integer(1)
                let until = rows.integer(2)
                let isWhole = try ContentCode.forEachRun(in: rows.bytes(0)) { try body(first, until, $0) }
                if !isWhole { throw CatalogError.ownRows }
            }
        }
    }
}
