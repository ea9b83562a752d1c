// Removes what only dropped snapshots showed.
// In: a run of snapshots, from after the last kept one up to the one that stays.  Out: rows.
// Invariant: a version goes exactly when it began after the one and ended by the other; a directory row goes with the last
// version of its path and below it.

internal import GRDB

struct VersionRemoval {
    private let db: Database
    /// The kept snapshot before the dropped ones; 0 when there is none.
    private let before: Int64
    /// The snapshot that they are merged into.
    private let into: Int64

    init(_ db: Database, before: Int64, into: Int64) {
        self.db = db
        self.before = before
        self.into = into
    }

    func run() throws {
        let touched = try integers("SELECT DISTINCT directory FROM touched WHERE snapshot > ?1 AND snapshot <= ?2")
        var candidates = Set(touched)
        let gone = "past WHERE parent = ?3 AND first > ?1 AND until <= ?2"
        let lost = try db.prepared("SELECT DISTINCT directory FROM \(gone) AND directory > 0")
        let remove = try db.prepared("DELETE FROM \(gone)")
        for directory in touched {
            candidates.formUnion(try integers(lost, directory))
            bind(remove)
            remove.bind(3, directory)
            try remove.run()
        }
        for directory in candidates { try prune(directory) }
        try collapseTouched()
        let drop = try db.prepared("DELETE FROM snapshot WHERE number > ?1 AND number < ?2")
        bind(drop)
        try drop.run()
    }

    /// Changes are asked for between kept snapshots only, so those before the first one are never asked for.
    private func collapseTouched() throws {
        if before > 0 {
            let move = try db.prepared(
                """
                INSERT OR IGNORE INTO touched (snapshot, directory) \
                SELECT ?2, directory FROM touched WHERE snapshot > ?1 AND snapshot < ?2
                """)
            bind(move)
            try move.run()
        }
        let drop = try db.prepared("DELETE FROM touched WHERE snapshot > ?1 AND snapshot < ?2 + (?1 = 0)")
        bind(drop)
        try drop.run()
    }

    /// Removes the row of a directory that nothing refers to any more, and of those above it.
    private func prune(_ directory: Int64) throws {
        let paths = try PathTable(db)
        let isUsed = try db.prepared(
            """
            SELECT EXISTS (SELECT 1 FROM live WHERE parent = ?1) OR EXISTS (SELECT 1 FROM past WHERE parent = ?1) \
            OR EXISTS (SELECT 1 FROM directory WHERE parent = ?1) \
            OR EXISTS (SELECT 1 FROM live WHERE parent = ?2 AND name = ?3 AND directory = ?1) \
            OR EXISTS (SELECT 1 FROM past WHERE parent = ?2 AND name = ?3 AND directory = ?1)
            """)
        let drop = try db.prepared("DELETE FROM directory WHERE id = ?")
        let untouch = try db.prepared("DELETE FROM touched WHERE directory = ?1 AND snapshot > ?2")
        var current = directory
        while current > Schema.rootDirectory, let place = try paths.place(ofDirectory: current) {
            isUsed.bind(1, current)
            isUsed.bind(2, place.parent)
            isUsed.bind(3, place.name)
            if try isUsed.firstInteger() != 0 { return }
            untouch.bind(1, current)
            untouch.bind(2, before)
            try untouch.run()
            drop.bind(1, current)
            try drop.run()
            current = place.parent
        }
    }

    private func bind(_ statement: PreparedStatement) {
        statement.bind(1, before)
        statement.bind(2, into)
    }

    private func integers(_ sql: String) throws -> [Int64] {
        let rows = try db.prepared(sql)
        bind(rows)
        defer { rows.reset() }
        var result: [Int64] = []
        while try rows.step() { result.append(rows.integer(0)) }
        return result
    }

    private func integers(_ rows: PreparedStatement, _ directory: Int64) throws -> [Int64] {
        bind(rows)
        rows.bind(3, directory)
        defer { rows.reset() }
        var result: [Int64] = []
        while try rows.step() { result.append(rows.integer(0)) }
        return result
    }
}
