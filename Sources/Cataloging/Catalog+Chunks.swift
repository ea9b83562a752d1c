// Where chunks are stored.
// In: digests.  Out: places in archives.

package import Archiving
package import Encrypting
internal import GRDB
internal import Kernel

/// Where an archive holds a chunk.
package struct ChunkLocation: Hashable, Sendable {
    /// Number of the archive.
    package var archive: UInt64
    /// Number of its data frame.
    package var frame: UInt32
    /// Of its first byte, in the decompressed payload.
    package var offset: UInt32
    package var length: UInt32
}

extension Catalog {
    /// The first choice of place; nil when the chunk is unknown, or lost.
    package func location(of digest: Digest) throws -> ChunkLocation? {
        try lookUp { try Catalog.location(of: digest, ChunkTable($0)) }
    }

    /// As above for each chunk, in one look at the catalog.
    package func locations(of chunks: [Chunk]) throws -> [ChunkLocation?] {
        try read { db in
            let table = try ChunkTable(db)
            return try chunks.map { try Catalog.location(of: $0.digest, table) }
        }
    }

    /// Every place of a chunk, the first choice first: when one archive is damaged another may serve.
    package func locations(of digest: Digest) throws -> [ChunkLocation] {
        try read { db in
            guard let row = try ChunkTable(db).row(of: digest), let first = Catalog.location(row) else { return [] }
            let rows = try db.prepared("SELECT archive, frame, offset FROM copy WHERE chunk = ? ORDER BY archive DESC")
            rows.bind(1, row.id)
            defer { rows.reset() }
            var result = [first]
            while try rows.step() {
                result.append(
                    ChunkLocation(
                        archive: rows.bits(0), frame: UInt32(truncatingIfNeeded: rows.integer(1)),
                        offset: UInt32(truncatingIfNeeded: rows.integer(2)), length: first.length))
            }
            return result
        }
    }

    /// For deduplication: true when an archive holds the chunk.
    ///
    /// - Complexity: a few microseconds; one caller at a time.
    package func isStored(_ digest: Digest) throws -> Bool {
        try location(of: digest) != nil
    }

    /// Snapshots refer to the chunk, and only this archive, or none, is known to hold it.
    package func isWanted(_ digest: Digest, besides archive: UInt64) throws -> Bool {
        try read { db in
            guard let row = try ChunkTable(db).row(of: digest) else { return false }
            return row.archive == nil || row.archive == Int64(clamping: archive)
        }
    }

    private static func location(of digest: Digest, _ table: ChunkTable) throws -> ChunkLocation? {
        try table.row(of: digest).flatMap { location($0) }
    }

    private static func location(_ row: ChunkTable.Row) -> ChunkLocation? {
        row.archive.map {
            ChunkLocation(
                archive: UInt64(bitPattern: $0), frame: UInt32(truncatingIfNeeded: row.frame),
                offset: UInt32(truncatingIfNeeded: row.offset), length: UInt32(truncatingIfNeeded: row.length))
        }
    }
}
