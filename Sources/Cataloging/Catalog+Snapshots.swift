// Which snapshots and archives there are.

internal import Archiving
internal import Encrypting
internal import GRDB
internal import Kernel
package import Storing

/// One archive that the catalog knows.
package struct ArchiveRow: Hashable, Sendable {
    package var archive: StoredArchive
    /// The snapshot whose manifest it holds.
    package var snapshot: UInt64?
    /// Its chunks do not count as stored any more: it is about to be replaced.
    package var isWithdrawn: Bool
    /// When it was last read back whole: milliseconds since 1970.
    package var verified: Int64?
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

    /// The snapshot whose state was valid at a moment: the newest one of that time or before.
    package func newest(atOrBefore milliseconds: Int64) throws -> SnapshotRow? {
        try read { try SnapshotTable.row(.atOrBefore(milliseconds), in: $0) }
    }

    /// All archives, by ascending number.
    package func archives() throws -> [ArchiveRow] {
        try read { db in
            let rows = try db.prepared(
                "SELECT number, time, kind, digest, size, snapshot, withdrawn, verified FROM archive ORDER BY number")
            defer { rows.reset() }
            var result: [ArchiveRow] = []
            while try rows.step() {
                guard let kind = ArchiveKind(rawValue: UInt8(truncatingIfNeeded: rows.integer(2))),
                    let digest = Digest(bytes: rows.bytes(3))
                else { throw CatalogError.ownRows }
                let name = ArchiveName(number: rows.bits(0), time: rows.integer(1), kind: kind, digest: digest)
                result.append(
                    ArchiveRow(
                        archive: StoredArchive(name: name, size: rows.bits(4)), snapshot: rows.optional(5).map { UInt64(bitPattern: $0) },
                        isWithdrawn: rows.integer(6) != 0, verified: rows.optional(7)))
            }
            return result
        }
    }

    /// The highest numbers ever seen, also of what is gone: new ones are above them. 0 before the first.
    package func highestNumbers() throws -> (archive: UInt64, snapshot: UInt64) {
        try read { db in
            (UInt64(try Meta.number(.highestArchive, in: db)), UInt64(try Meta.number(.highestSnapshot, in: db)))
        }
    }

    /// Remembers that archives were read back whole.
    package func markVerified(_ archives: [UInt64], at milliseconds: Int64) throws {
        try update(archives, "UPDATE archive SET verified = ?2 WHERE number = ?1", milliseconds)
    }

    /// Takes archives that are about to be replaced out of deduplication: their chunks count as stored only if another
    /// archive holds them too. They are still read.
    package func withdraw(_ archives: [UInt64]) throws {
        try update(archives, "UPDATE archive SET withdrawn = ?2 WHERE number = ?1", 1)
    }

    /// Undoes `withdraw`, when the replacement came to nothing.
    package func reinstate(_ archives: [UInt64]) throws {
        try update(archives, "UPDATE archive SET withdrawn = ?2 WHERE number = ?1", 0)
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
