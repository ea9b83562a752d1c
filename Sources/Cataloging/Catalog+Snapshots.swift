// Which snapshots and archives there are.

package import Archiving
internal import Encrypting
internal import GRDB
internal import Kernel
package import Storing

/// One archive that the catalog knows.
package struct ArchiveRow: Hashable, Sendable {
    package var archive: StoredArchive
    /// The snapshot whose manifest it holds; nil of a commit that cannot be used, for want of its parent.
    package var snapshot: UInt64?
    /// How its data is compressed; nil when nobody has looked yet.
    package var lane: Lane?
    /// When it was last read back whole: milliseconds since 1970.
    package var verified: Int64?

    package enum Lane: Int64, Sendable {
        /// Some of it can become smaller when there is time.
        case fast = 0
        case deep = 1
    }
}

extension Catalog {
    /// All kept snapshots, by ascending number. Complexity: 50,000 in under 0.2 seconds.
    package func snapshots() throws -> [SnapshotRow] {
        try read { try SnapshotTable.rows(in: $0) }
    }

    package func snapshot(_ number: UInt64) throws -> SnapshotRow? {
        try read { try SnapshotTable.row(.number(Int64(clamping: number)), in: $0) }
    }

    package func newest() throws -> SnapshotRow? {
        try read { try SnapshotTable.row(.newest, in: $0) }
    }

    /// The newest one with a lower number.
    package func newest(below number: UInt64) throws -> SnapshotRow? {
        try read { try SnapshotTable.row(.below(Int64(clamping: number)), in: $0) }
    }

    /// Snapshots whose manifest no archive holds any more: the catalog alone knows their state.
    package func snapshotsWithoutArchive() throws -> [UInt64] {
        try read { db in
            let rows = try db.prepared(
                "SELECT number FROM snapshot WHERE NOT EXISTS (SELECT 1 FROM archive WHERE archive.number = snapshot.archive) ORDER BY number")
            defer { rows.reset() }
            var result: [UInt64] = []
            while try rows.step() { result.append(rows.bits(0)) }
            return result
        }
    }

    /// The snapshot whose state was valid at a moment: the newest one of that time or before.
    package func newest(atOrBefore milliseconds: Int64) throws -> SnapshotRow? {
        try read { try SnapshotTable.row(.atOrBefore(milliseconds), in: $0) }
    }

    /// All archives, by ascending number.
    package func archives() throws -> [ArchiveRow] {
        try read { try Catalog.archives("ORDER BY number", in: $0) }
    }

    /// Those of these numbers that are known, by ascending number.
    package func archives(_ numbers: [UInt64]) throws -> [ArchiveRow] {
        try read { db in
            try numbers.sorted().flatMap { try Catalog.archives("WHERE number = ?", Int64(clamping: $0), in: db) }
        }
    }

    /// Those of one kind, by ascending number.
    package func archives(of kind: ArchiveKind) throws -> [ArchiveRow] {
        try read { try Catalog.archives("WHERE kind = ? ORDER BY number", Int64(kind.rawValue), in: $0) }
    }

    /// Those whose data nobody has looked at, or is compressed by the fast lane; records are never among them.
    package func archivesOutsideTheDeepLane() throws -> [ArchiveRow] {
        try read { try Catalog.archives("WHERE lane IS NOT 1 ORDER BY number", in: $0) }
    }

    /// Commits that are there and whose snapshot cannot be used.
    package func unusableCommits() throws -> [ArchiveRow] {
        try read { db in
            try [ArchiveKind.full, .incremental].flatMap {
                try Catalog.archives("WHERE kind = ? AND snapshot IS NULL ORDER BY number", Int64($0.rawValue), in: db)
            }
        }
    }

    package func hasArchives() throws -> Bool {
        try read { try $0.prepared("SELECT 1 FROM archive LIMIT 1").firstInteger() != nil }
    }

    private static func archives(_ condition: String, _ value: Int64? = nil, in db: Database) throws -> [ArchiveRow] {
        let rows = try db.prepared("SELECT number, time, kind, digest, size, snapshot, lane, verified FROM archive \(condition)")
        if let value { rows.bind(1, value) }
        defer { rows.reset() }
        var result: [ArchiveRow] = []
        while try rows.step() {
            guard let kind = ArchiveKind(rawValue: UInt8(truncatingIfNeeded: rows.integer(2))), let digest = Digest(bytes: rows.bytes(3))
            else { throw CatalogError.ownRows }
            let name = ArchiveName(number: rows.bits(0), time: rows.integer(1), kind: kind, digest: digest)
            result.append(
                ArchiveRow(
                    archive: StoredArchive(name: name, size: rows.bits(4)), snapshot: rows.optional(5).map { UInt64(bitPattern: $0) },
                    lane: rows.optional(6).flatMap(ArchiveRow.Lane.init), verified: rows.optional(7)))
        }
        return result
    }

    /// The highest numbers ever seen, also of what is gone: new ones are above them. 0 before the first.
    package func highestNumbers() throws -> (archive: UInt64, snapshot: UInt64) {
        try read { db in
            (UInt64(try Meta.number(.highestArchive, in: db)), UInt64(try Meta.number(.highestSnapshot, in: db)))
        }
    }

    /// Takes note of the number of an archive that is there and could not be recorded: it is not given again.
    package func raiseHighest(archive number: UInt64) throws {
        try write { try Meta.raise(.highestArchive, to: Int64(clamping: number), in: $0) }
    }

    /// Remembers that archives were read back whole.
    package func markVerified(_ archives: [UInt64], at milliseconds: Int64) throws {
        try update(archives, "UPDATE archive SET verified = ?2 WHERE number = ?1", milliseconds)
    }

    /// Remembers how the data of archives is compressed.
    package func mark(_ archives: [UInt64], lane: ArchiveRow.Lane) throws {
        try update(archives, "UPDATE archive SET lane = ?2 WHERE number = ?1", lane.rawValue)
    }

    /// Remembers of archives that this program wrote how their data is compressed, and when they were read back whole.
    package func mark(_ archives: [UInt64], lane: ArchiveRow.Lane, verified milliseconds: Int64) throws {
        try write { db in
            let update = try db.prepared("UPDATE archive SET lane = ?2, verified = ?3 WHERE number = ?1")
            for number in archives {
                update.bind(1, Int64(clamping: number))
                update.bind(2, lane.rawValue)
                update.bind(3, milliseconds)
                try update.run()
            }
        }
    }

    /// What `Storage.stamp` said when the catalog last knew exactly the archives that are there.
    package func stamp() throws -> String? {
        try read { try Meta.stamp(in: $0) }
    }

    package func setStamp(_ stamp: String) throws {
        try write { try Meta.setStamp(stamp, in: $0) }
    }

    private func update(_ archives: [UInt64], _ sql: String, _ value: Int64) throws {
        try write { db in
            let update = try db.prepared(sql)
            for number in archives {
                update.bind(1, Int64(clamping: number))
                update.bind(2, value)
                try update.run()
            }
        }
    }
}
