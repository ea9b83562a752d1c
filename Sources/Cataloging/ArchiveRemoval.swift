// Takes archives out of the catalog, and finds other places for their chunks.
// In: archive numbers.  Out: rows; a chunk that no archive holds any more is lost, but keeps its row.

internal import GRDB

struct ArchiveRemoval {
    private let db: Database

    init(_ db: Database) {
        self.db = db
    }

    /// What becomes of snapshots whose manifest is in a removed archive.
    enum Manifests {
        /// They must not be there: `.inUse`.
        case refuse
        /// They stay, for the catalog can write them again.
        case keep
    }

    /// - Parameter isNeeded: Of a chunk's row. One that is needed must have another place.
    /// - Throws: `.inUse` when one of them holds the manifest of a kept snapshot, and that is refused, or is the only one to hold a chunk
    ///   that is needed.
    func remove(_ archives: [UInt64], _ manifests: Manifests = .refuse, isNeeded: (Int64) -> Bool = { _ in false }) throws {
        let commits = try db.prepared("SELECT number FROM snapshot WHERE archive = ?")
        let dropCopies = try db.prepared("DELETE FROM copy WHERE archive = ?")
        let drop = try db.prepared("DELETE FROM archive WHERE number = ?")
        let numbers = archives.map { Int64(clamping: $0) }
        for number in numbers {
            commits.bind(1, number)
            if manifests == .refuse, let snapshot = try commits.firstInteger() {
                throw CatalogError(.inUse, "archive \(number) holds the manifest of snapshot \(snapshot)")
            }
            dropCopies.bind(1, number)
            try dropCopies.run()
            drop.bind(1, number)
            try drop.run()
        }
        // Only now no copy leads to another archive that goes.
        let lose = try db.prepared("UPDATE chunk SET archive = NULL WHERE archive = ?")
        let left = try db.prepared("SELECT id FROM chunk WHERE archive = ?")
        for number in numbers {
            try promoteCopies(from: number)
            left.bind(1, number)
            defer { left.reset() }
            while try left.step() {
                if isNeeded(left.integer(0)) { throw CatalogError(.inUse, "archive \(number) alone holds a chunk that is still needed") }
            }
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
