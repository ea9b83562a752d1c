// Takes paths out of all of history.
// In: a path.  Out: rows of it and of everything below it, in every version.
// Invariant: one transaction; what other paths show does not change. Archives still list the path until they are rewritten.

internal import Archiving
internal import GRDB
package import Kernel

extension Catalog {
    /// How many states of `path`, and of what is below it, kept snapshots show.
    package func versionCount(below path: Path) throws -> Int {
        try read { db in
            var count = 0
            try Catalog.forEachPlace(below: path, in: db) { condition, bind in
                for table in ["live", "past"] {
                    let rows = try db.prepared("SELECT count(*) FROM \(table) WHERE \(condition)")
                    bind(rows)
                    count += Int(try rows.firstInteger() ?? 0)
                }
            }
            return count
        }
    }

    /// The kept snapshots whose manifests list `path` or anything below it: a full one lists what it shows, an incremental one what
    /// began or ended with it.
    package func snapshotsListing(below path: Path) throws -> Set<UInt64> {
        try read { db in
            let rows = try SnapshotTable.rows(in: db)
            let kept = rows.map { Int64($0.number) }
            let fulls = rows.filter { $0.kind == .full }.map { Int64($0.number) }
            var result: Set<UInt64> = []
            try Catalog.forEachPlace(below: path, in: db) { condition, bind in
                for (table, until) in [("live", "\(Int64.max)"), ("past", "until")] {
                    let versions = try db.prepared("SELECT first, \(until) FROM \(table) WHERE \(condition)")
                    bind(versions)
                    defer { versions.reset() }
                    while try versions.step() {
                        let first = versions.integer(0)
                        let until = versions.integer(1)
                        if let begin = kept.shown(from: first, until: .max)?.lowerBound { result.insert(begin) }
                        if let end = kept.shown(from: until, until: .max)?.lowerBound { result.insert(end) }
                        for full in fulls where full >= first && full < until { result.insert(UInt64(full)) }
                    }
                }
            }
            return result
        }
    }

    /// Removes `path` and everything below it from every snapshot.
    package func purge(below path: Path) throws {
        try write { db in
            try Catalog.forEachPlace(below: path, in: db) { condition, bind in
                for table in ["live", "past"] {
                    let remove = try db.prepared("DELETE FROM \(table) WHERE \(condition)")
                    bind(remove)
                    try remove.run()
                }
            }
        }
    }

    /// The row of the path itself, then all rows of each directory at or below it.
    private static func forEachPlace(
        below path: Path, in db: Database, _ body: (_ condition: String, _ bind: (PreparedStatement) -> Void) throws -> Void
    ) throws {
        let paths = try PathTable(db)
        if let place = try paths.place(of: path) {
            try body("parent = ?1 AND name = ?2") { statement in
                statement.bind(1, place.parent)
                statement.bind(2, place.name)
            }
        }
        guard let top = try paths.directory(path) else { return }
        var waiting = [top]
        while let directory = waiting.popLast() {
            try body("parent = ?1") { $0.bind(1, directory) }
            let children = try db.prepared("SELECT id FROM directory WHERE parent = ?")
            children.bind(1, directory)
            while try children.step() { waiting.append(children.integer(0)) }
            children.reset()
        }
    }
}
