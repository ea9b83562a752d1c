// Where lost chunks stood in the sources: a file that still holds one gives it back.
// In: digests.  Out: paths and offsets, of every version that refers to them.

internal import Archiving
package import Encrypting
internal import GRDB
package import Kernel

/// Where a version of a file has a chunk.
package struct ChunkPlace: Hashable, Sendable {
    package var digest: Digest
    /// Bytes: 1...4,194,304.
    package var length: UInt32
    package var path: Path
    /// Of its first byte, in the file.
    package var offset: UInt64

    package init(digest: Digest, length: UInt32, path: Path, offset: UInt64) {
        self.digest = digest
        self.length = length
        self.path = path
        self.offset = offset
    }
}

extension Catalog {
    /// Every place at which a version of a file, the newest or an older one, has any of these chunks.
    ///
    /// - Returns: Each place once, by path in tree order and offset. A chunk that no version refers to has none.
    /// - Complexity: O(versions): a second for two million; and O(chunks) of each file that needs one of these.
    package func places(ofChunks digests: [Digest]) throws -> [ChunkPlace] {
        if digests.isEmpty { return [] }
        let wanted = Set(digests)
        let places = try read { db in
            let table = try ChunkTable(db)
            let rows = Set(try wanted.compactMap { try table.row(of: $0)?.id })
            var places: Set<ChunkPlace> = []
            if rows.isEmpty { return places }
            for name in ["live", "past"] {
                try Catalog.forEachContent(referringTo: rows, in: name, db) { directory, name, content in
                    let path = try PathTable(db).path(ofDirectory: directory).appending(name)
                    try Catalog.forEachChunk(of: content, table) { chunk, offset in
                        if !wanted.contains(chunk.digest) { return }
                        places.insert(ChunkPlace(digest: chunk.digest, length: chunk.length, path: path, offset: offset))
                    }
                }
            }
            return places
        }
        return places.sorted { left, right in
            left.path == right.path ? (left.offset, left.digest) < (right.offset, right.digest) : left.path < right.path
        }
    }

    /// Calls `body` with the directory, the name and the content of each file in `table` that needs one of these chunk rows.
    private static func forEachContent(
        referringTo chunks: Set<Int64>, in table: String, _ db: Database, _ body: (Int64, [UInt8], [UInt8]) throws -> Void
    ) throws {
        let rows = try db.prepared("SELECT parent, name, content FROM \(table) WHERE kind = 1")
        defer { rows.reset() }
        while try rows.step() {
            var isReferring = false
            let isWhole = ContentCode.forEachRun(in: rows.bytes(2)) { ids in
                if !isReferring { isReferring = ids.contains { chunks.contains($0) } }
            }
            if !isWhole { throw CatalogError.ownRows }
            if isReferring { try body(rows.integer(0), rows.array(1), rows.array(2)) }
        }
    }

    /// Calls `body` with each chunk of a content and its offset in the file: holes, which stand between chunks, shift it.
    private static func forEachChunk(of content: [UInt8], _ table: ChunkTable, _ body: (Chunk, UInt64) -> Void) throws {
        guard let holes = content.withUnsafeBytes({ ContentCode.holes(in: $0) }) else { throw CatalogError.ownRows }
        var nextHole = holes.makeIterator()
        var hole = nextHole.next()
        var offset: UInt64 = 0
        for chunk in try table.chunks(content) {
            while let current = hole, current.offset <= offset {
                offset &+= current.length
                hole = nextHole.next()
            }
            body(chunk, offset)
            offset &+= UInt64(chunk.length)
        }
    }
}
