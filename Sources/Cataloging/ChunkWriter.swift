// Adds chunks to the catalog: those that archives hold, and those that manifests refer to.
// In: stored chunks, chunk lists.  Out: rows of `chunk` and `copy`, ids.
// Invariant: row ids ascend in the order of the archives, so that a large file's chunks are neighbours.

internal import Archiving
internal import Encrypting
internal import GRDB

/// What a stored chunk becomes when the catalog has a place for it already.
package enum ChunkPrecedence: Sendable {
    /// The place that is known stays the first; this one is a copy.
    case older
    /// This place becomes the first.
    case newer
}

final class ChunkWriter {
    private let table: ChunkTable
    private let insert: PreparedStatement
    private let settle: PreparedStatement
    private let addCopy: PreparedStatement
    private var nextID: Int64

    init(_ db: Database) throws {
        table = try ChunkTable(db)
        insert = try db.prepared(
            "INSERT INTO chunk (id, key, rest, length, archive, frame, offset) VALUES (?, ?, ?, ?, ?, ?, ?)")
        settle = try db.prepared("UPDATE chunk SET archive = ?, frame = ?, offset = ? WHERE id = ?")
        addCopy = try db.prepared("INSERT OR REPLACE INTO copy (chunk, archive, frame, offset) VALUES (?, ?, ?, ?)")
        nextID = (try db.prepared("SELECT max(id) FROM chunk").firstInteger() ?? 0) + 1
    }

    /// Adds all chunks that `archive` holds.
    ///
    /// - Complexity: a few microseconds a chunk.
    func store(_ chunks: [StoredChunk], archive: Int64, precedence: ChunkPrecedence) throws {
        // In the order of the index each of its pages is read once, and twins stand together.
        let order = chunks.indices.sorted { (chunks[$0].digest, $0) < (chunks[$1].digest, $1) }
        let isEmpty = nextID == 1
        var isDone = [Bool](repeating: false, count: chunks.count)
        var before: Digest?
        for index in order {
            // One archive may hold a chunk twice: the first place counts.
            if chunks[index].digest == before {
                isDone[index] = true
                continue
            }
            before = chunks[index].digest
            guard !isEmpty, let row = try table.row(of: chunks[index].digest) else { continue }
            isDone[index] = true
            try place(chunks[index], at: row, archive: archive, precedence: precedence)
        }
        for (index, chunk) in chunks.enumerated() where !isDone[index] {
            _ = try add(chunk.digest, length: chunk.length, archive: archive, frame: chunk.frame, offset: chunk.offset)
        }
    }

    /// The rows of a content's chunks; a chunk that nothing holds gets a row without a place.
    ///
    /// - Throws: `.malformed` when a chunk is known with another length.
    func resolve(_ chunks: [Chunk]) throws -> [Int64] {
        try chunks.map { chunk in
            guard let row = try table.row(of: chunk.digest) else {
                return try add(chunk.digest, length: chunk.length, archive: nil, frame: 0, offset: 0)
            }
            guard row.length == Int64(chunk.length) else {
                throw CatalogError(.malformed, "chunk \(chunk.digest) comes with two lengths")
            }
            return row.id
        }
    }

    private func place(_ chunk: StoredChunk, at row: ChunkTable.Row, archive: Int64, precedence: ChunkPrecedence) throws {
        guard row.length == Int64(chunk.length) else {
            throw CatalogError(.malformed, "chunk \(chunk.digest) comes with two lengths")
        }
        if row.archive == archive { return }
        if let old = row.archive {
            if precedence == .older {
                try copy(row.id, archive, Int64(chunk.frame), Int64(chunk.offset))
                return
            }
            try copy(row.id, old, row.frame, row.offset)
        }
        settle.bind(1, archive)
        settle.bind(2, Int64(chunk.frame))
        settle.bind(3, Int64(chunk.offset))
        settle.bind(4, row.id)
        try settle.run()
    }

    private func copy(_ id: Int64, _ archive: Int64, _ frame: Int64, _ offset: Int64) throws {
        addCopy.bind(1, id)
        addCopy.bind(2, archive)
        addCopy.bind(3, frame)
        addCopy.bind(4, offset)
        try addCopy.run()
    }

    private func add(_ digest: Digest, length: UInt32, archive: Int64?, frame: UInt32, offset: UInt32) throws -> Int64 {
        let id = nextID
        digest.withUnsafeBytes { bytes in
            insert.bind(2, ChunkTable.key(bytes))
            insert.bind(3, UnsafeRawBufferPointer(rebasing: bytes[8...]))
        }
        insert.bind(1, id)
        insert.bind(4, Int64(length))
        insert.bind(5, optional: archive)
        insert.bind(6, Int64(frame))
        insert.bind(7, Int64(offset))
        try insert.run()
        nextID += 1
        return id
    }
}
