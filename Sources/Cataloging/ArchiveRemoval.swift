// Takes archives out of the catalog, and finds other places for their chunks.
// In: archive numbers.  Out: rows; a chunk that no archive holds any more is lost, but keeps its row.

internal import GRDB

struct ArchiveRemoval {
    private let db: Database

    init(_ db: Database) {
        self.db = db
    }

    /// - Throws: `.inUse` when one of them holds the manifest of a kept snapshot.
    func remove(_ archives: [UInt64]) throws {
        let commits = try db.prepared("SELECT number FROM snapshot WHERE archive = ?")
        let dropCopies = try db.prepared("DELETE FROM copy WHERE archive = ?")
        let drop = try db.prepared("DELETE FROM archive WHERE number = ?")
        let numbers = archives.map { Int64(clamping: $0) }
        for number in numbers {
            commits.bind(1, number)
            if let snapshot = try commits.firstInteger() {
                throw CatalogError(.inUse, "archive \(number) holds the manifest of snapshot \(snapshot)")
            }
            dropCopies.bind(1, number)
            try dropCopies.run()
            drop.bind(1, number)
            try drop.run()
        }
        // Only now no copy leads to another archive that goes.
        let lose = try db.prepared("UPDATE chunk SET archive = NULL WHERE archive = ?")
        for number in numbers {
            try promoteCopies(from: number)
            lose.bind(1, number)
            try lose.run()
        }
    }

    private func promoteCopies(from archive: Int64) throws {
        let find = try db.prepared("SELECT id FROM chunk WHERE archive = ? AND EXISTS (SELECT 1 FROM copy WHERE chunk = id)")
        find.bind(1, archive)
        var chunks: [Int64] = []
        while try find.step() { chunks.append(find.integer(0)) }
        find.reset()
        let promote = try db.prepared(
            """
            UPDATE chunk SET (archive, frame, offset) = \
            (SELECT archive, frame, offset FROM copy WHERE chunk = ?1 ORDER BY archive DESC LIMIT 1) WHERE id = ?1
            """)
        let drop = try db.prepared("DELETE FROM copy WHERE chunk = ?1 AND archive = (SELECT archive FROM chunk WHERE id = ?1)")
        for chunk in chunks {
            promote.bind(1, chunk)
            try promote.run()
            drop.bind(1, chunk)
            try drop.run()
        }
    }
}
