// Which chunks are still needed, and what each archive holds.
// In: all versions of all kept snapshots.  Out: ChunkSet, chunks and usage of archives.
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
    /// Some kept snapshot needs it.
    package var isReferenced: Bool
    /// False when another archive is the first choice for this chunk, and this one a copy.
    package var isPrimary: Bool
}

/// How much of an archive is still needed. Bytes are those of chunks before compression; copies do not count.
package struct ArchiveUsage: Hashable, Sendable {
    package var chunks = 0
    package var referencedChunks = 0
    package var bytes: UInt64 = 0
    package var referencedBytes: UInt64 = 0
}

extension Catalog {
    /// The chunks that any kept snapshot refers to.
    ///
    /// - Complexity: O(versions), about a second for two million.
    package func referencedChunks() throws -> ChunkSet {
        try read { try Catalog.mark($0) }
    }

    /// The chunks that some of these snapshots refer to, whatever others do.
    ///
    /// - Parameter kept: Ascending.
    /// - Complexity: As above.
    package func referencedChunks(keeping kept: [UInt64]) throws -> ChunkSet {
        let numbers = kept.map { Int64(clamping: $0) }
        return try read { db in try Catalog.mark(db) { first, until in numbers.shown(from: first, until: until) != nil } }
    }

    /// The chunks of one archive, in the order of frame and offset.
    package func chunks(in archive: UInt64, referenced: ChunkSet) throws -> [ArchivedChunk] {
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
                        isReferenced: referenced.contains(rows.integer(0)), isPrimary: rows.integer(6) != 0))
            }
            return result
        }
    }

    /// How much of each archive is needed; archives without chunks are left out.
    package func usage(referenced: ChunkSet) throws -> [UInt64: ArchiveUsage] {
        try read { db in
            let rows = try db.prepared("SELECT id, length, archive FROM chunk WHERE archive IS NOT NULL")
            defer { rows.reset() }
            var result: [UInt64: ArchiveUsage] = [:]
            while try rows.step() {
                let length = rows.bits(1)
                let isReferenced = referenced.contains(rows.integer(0))
                result[rows.bits(2), default: ArchiveUsage()].add(length, isReferenced)
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
                if referenced.contains(rows.integer(0)) { result.append(try ChunkTable.digest(rows, key: 1, rest: 2)) }
            }
            return result
        }
    }

    /// Removes the rows of chunks that nothing holds and nothing refers to. Returns how many.
    package func pruneChunks() throws -> Int {
        try write { db in
            let referenced = try Catalog.mark(db)
            let rows = try db.prepared("SELECT id FROM chunk WHERE archive IS NULL")
            var dead: [Int64] = []
            while try rows.step() {
                if !referenced.contains(rows.integer(0)) { dead.append(rows.integer(0)) }
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

    private static func mark(
        _ db: Database, where isShown: (_ first: Int64, _ until: Int64) -> Bool = { _, _ in true }
    ) throws -> ChunkSet {
        var result = ChunkSet(highest: try db.prepared("SELECT max(id) FROM chunk").firstInteger() ?? 0)
        for (table, until) in [("live", "\(Int64.max)"), ("past", "until")] {
            let rows = try db.prepared("SELECT content, first, \(until) FROM \(table) WHERE kind = 1")
            defer { rows.reset() }
            while try rows.step() {
                guard isShown(rows.integer(1), rows.integer(2)) else { continue }
                let isWhole = try ContentCode.forEachRun(in: rows.bytes(0)) { ids in
                    for id in ids where !result.insert(id) { throw CatalogError.ownRows }
                }
                if !isWhole { throw CatalogError.ownRows }
            }
        }
        return result
    }
}

extension ArchiveUsage {
    fileprivate mutating func add(_ length: UInt64, _ isReferenced: Bool) {
        chunks += 1
        bytes += length
        if isReferenced {
            referencedChunks += 1
            referencedBytes += length
        }
    }
}
