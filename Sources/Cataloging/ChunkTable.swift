// Digest → chunk row, and where archives hold the chunk.
// In: digests of manifests, stored chunks of archives.  Out: row ids, which versions refer to.
// Invariant: a digest has one row; `archive` is NULL exactly when no archive of the catalog holds it; other places stand in `copy`.
// The index holds the first 8 bytes of a digest only: a third of the size, and so the cache holds three times as many.

internal import Archiving
internal import Encrypting
internal import GRDB

struct ChunkTable {
    struct Row {
        var id: Int64
        var length: Int64
        var archive: Int64?
        var frame: Int64
        var offset: Int64
    }

    private let db: Database
    private let byKey: PreparedStatement
    private let byID: PreparedStatement

    init(_ db: Database) throws {
        self.db = db
        byKey = try db.prepared("SELECT id, rest, length, archive, frame, offset FROM chunk WHERE key = ?")
        byID = try db.prepared("SELECT id, key, rest, length FROM chunk WHERE id >= ? AND id < ? ORDER BY id")
    }

    /// Nil when it was never heard of.
    func row(of digest: Digest) throws -> Row? {
        try digest.withUnsafeBytes { bytes in
            byKey.bind(1, ChunkTable.key(bytes))
            defer { byKey.reset() }
            while try byKey.step() {
                if byKey.bytes(1).elementsEqual(bytes[8...]) {
                    return Row(
                        id: byKey.integer(0), length: byKey.integer(2), archive: byKey.optional(3),
                        frame: byKey.integer(4), offset: byKey.integer(5))
                }
            }
            return nil
        }
    }

    /// The chunks of a version, in order.
    ///
    /// - Throws: `.corrupt` when a row is missing.
    func chunks(_ content: [UInt8]) throws -> [Chunk] {
        var result: [Chunk] = []
        let isWhole = try content.withUnsafeBytes { bytes in
            try ContentCode.forEachRun(in: bytes) { ids in
                byID.bind(1, ids.lowerBound)
                byID.bind(2, ids.upperBound)
                defer { byID.reset() }
                var expected = ids.lowerBound
                while try byID.step() {
                    guard byID.integer(0) == expected else { throw CatalogError.ownRows }
                    expected += 1
                    let digest = try ChunkTable.digest(byID, key: 1, rest: 2)
                    result.append(Chunk(digest: digest, length: UInt32(truncatingIfNeeded: byID.integer(3))))
                }
                guard expected == ids.upperBound else { throw CatalogError.ownRows }
            }
        }
        guard isWhole else { throw CatalogError.ownRows }
        return result
    }

    /// The first 8 bytes of a digest.
    static func key(_ digest: UnsafeRawBufferPointer) -> Int64 {
        digest.loadUnaligned(as: Int64.self).bigEndian
    }

    /// The digest in two columns of a row.
    static func digest(_ row: PreparedStatement, key: CInt, rest: CInt) throws -> Digest {
        let bytes = row.bytes(rest)
        guard bytes.count == Digest.byteCount - 8 else { throw CatalogError.ownRows }
        let head = row.integer(key).bigEndian
        return Digest { target in
            target.storeBytes(of: head, as: Int64.self)
            // The target has 32 bytes, of which the last 24 remain.
            UnsafeMutableRawBufferPointer(rebasing: target[8...]).copyMemory(from: bytes)
        }
    }
}
