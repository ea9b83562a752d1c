// What the agent's upkeep asks: totals, versions that need a chunk, marks of kept snapshots only, refreshed metadata.
// In: numbers, digests, entries.  Out: rows.

package import Archiving
package import Encrypting
internal import GRDB
package import Kernel

/// Numbers for the status.
package struct CatalogTotals: Hashable, Sendable {
    package var snapshots = 0
    package var archives = 0
    /// Of all archives.
    package var bytes: UInt64 = 0
    package var latestFull: Full?

    package struct Full: Hashable, Sendable {
        package var number: UInt64
        /// Milliseconds since 1970.
        package var time: Int64
    }
}

/// One state of a file that needs certain chunks.
package struct NeedingVersion: Hashable, Sendable {
    package var path: Path
    /// The first and the last kept snapshot that show it.
    package var snapshots: ClosedRange<UInt64>
}

extension Catalog {
    /// - Complexity: a millisecond for 50,000 snapshots.
    package func totals() throws -> CatalogTotals {
        try read { db in
            var totals = CatalogTotals()
            totals.snapshots = Int(try db.prepared("SELECT count(*) FROM snapshot").firstInteger() ?? 0)
            totals.archives = Int(try db.prepared("SELECT count(*) FROM archive").firstInteger() ?? 0)
            totals.bytes = UInt64(clamping: try Meta.number(.archiveBytes, in: db))
            let full = try db.prepared("SELECT number, time FROM snapshot WHERE kind = 1 ORDER BY number DESC LIMIT 1")
            defer { full.reset() }
            if try full.step() { totals.latestFull = .init(number: full.bits(0), time: full.integer(1)) }
            return totals
        }
    }

    /// Replaces what the newest state says of entries whose restorable state did not change: change time, marks, device.
    ///
    /// An entry that is not there is passed over.
    package func refresh(_ entries: [Entry]) throws {
        try write { db in
            let update = try db.prepared(
                "UPDATE live SET changed = ?3, changed_ns = ?4, marks = ?5, device = ?6 WHERE parent = ?1 AND name = ?2")
            for entry in entries {
                guard let place = try PathTable(db).place(of: entry.path) else { continue }
                update.bind(1, place.parent)
                update.bind(2, place.name)
                update.bind(3, entry.changed.seconds)
                update.bind(4, Int64(entry.changed.nanoseconds))
                update.bind(5, Int64(entry.marks.rawValue))
                update.bind(6, Int64(bitPattern: entry.device))
                try update.run()
            }
        }
    }

    /// The states that need any of `chunks`, at most `limit` of them, in no particular order.
    ///
    /// - Complexity: O(versions): a second for two million.
    package func versions(needing chunks: [Digest], limit: Int) throws -> [NeedingVersion] {
        if chunks.isEmpty { return [] }
        return try read { db in
            let table = try ChunkTable(db)
            return try Catalog.versions(needing: Set(try chunks.compactMap { try table.row(of: $0)?.id }), limit, in: db)
        }
    }

    /// The states that need a chunk of which this archive is the first choice.
    package func versions(storedIn archive: UInt64, limit: Int) throws -> [NeedingVersion] {
        try read { db in
            let rows = try db.prepared("SELECT id FROM chunk WHERE archive = ?")
            rows.bind(1, Int64(clamping: archive))
            return try Catalog.versions(needing: try Catalog.ids(rows), limit, in: db)
        }
    }

    /// The states that need a chunk that no archive holds.
    package func versionsOfLostChunks(limit: Int) throws -> [NeedingVersion] {
        try read { db in
            try Catalog.versions(needing: try Catalog.ids(db.prepared("SELECT id FROM chunk WHERE archive IS NULL")), limit, in: db)
        }
    }

    /// The paths whose newest state needs a chunk that no archive holds, in no particular order: to be read again while they are there.
    ///
    /// - Complexity: Nothing when no chunk is lost; else O(entries).
    package func livePathsOfLostChunks() throws -> [Path] {
        try read { db in
            let lost = try Catalog.ids(db.prepared("SELECT id FROM chunk WHERE archive IS NULL"))
            return try Catalog.versions(needing: lost, .max, in: db, tables: [("live", "\(Int64.max)")]).map(\.path)
        }
    }

    private static func ids(_ rows: PreparedStatement) throws -> Set<Int64> {
        defer { rows.reset() }
        var result: Set<Int64> = []
        while try rows.step() { result.insert(rows.integer(0)) }
        return result
    }

    private static func versions(
        needing chunks: Set<Int64>, _ limit: Int, in db: Database,
        tables: [(name: String, until: String)] = [("live", "\(Int64.max)"), ("past", "until")]
    ) throws -> [NeedingVersion] {
        if chunks.isEmpty { return [] }
        let kept = try SnapshotTable.rows(in: db).map { Int64($0.number) }
        var result: [NeedingVersion] = []
        for (table, until) in tables {
            let rows = try db.prepared("SELECT parent, name, first, \(until), content FROM \(table) WHERE kind = 1")
            defer { rows.reset() }
            while try rows.step(), result.count < limit {
                var isNeeding = false
                let isWhole = ContentCode.forEachRun(in: rows.bytes(4)) { ids in
                    if !isNeeding { isNeeding = ids.contains { chunks.contains($0) } }
                }
                if !isWhole { throw CatalogError.ownRows }
                guard isNeeding, let range = kept.shown(from: rows.integer(2), until: rows.integer(3)) else { continue }
                let name = Array(rows.bytes(1))
                let directory = try PathTable(db).path(ofDirectory: rows.integer(0))
                result.append(NeedingVersion(path: directory.appending(name), snapshots: range))
            }
        }
        return result
    }
}

extension [Int64] {
    /// The first and last of these ascending numbers with first <= number < until.
    func shown(from first: Int64, until: Int64) -> ClosedRange<UInt64>? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < first { low = middle + 1 } else { high = middle }
        }
        guard low < count, self[low] < until else { return nil }
        var last = low
        var end = count
        while last + 1 < end {
            let middle = (last + end) / 2
            if self[middle] < until { last = middle } else { end = middle }
        }
        return UInt64(self[low])...UInt64(self[last])
    }
}
