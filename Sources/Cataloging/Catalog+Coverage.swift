// What verification has covered: when each archive was last read back whole.
// In: times of readings.  Out: how many archives wait for one, and since when; the same again after a rebuild.
// Invariant: a time belongs to an archive's whole name, digest included: other bytes under the same number have none of it.

internal import Archiving
internal import Encrypting
internal import GRDB
package import Kernel
package import Storing

/// When archives were read back whole: milliseconds since 1970.
package typealias Readings = [ArchiveName: Int64]

/// How far back the readings of all archives reach. Times are milliseconds since 1970.
package struct VerificationCoverage: Hashable, Sendable {
    package var archives = 0
    /// Of those, the ones that were not read since the moment that was asked for, or never.
    package var unread = 0
    /// When the archive that was read longest ago was read; nil when one was never read, or there is none.
    package var oldest: Int64?
    /// Since when the one that waits longest has been waiting: its reading, or its own time when it was never read. Nil without archives.
    package var waitingSince: Int64?

    package init() {}
}

extension Catalog {
    /// - Parameter moment: Milliseconds since 1970.
    /// - Complexity: O(archives).
    package func coverage(since moment: Int64) throws -> VerificationCoverage {
        try read { db in
            let row = try db.prepared(
                """
                SELECT count(*), count(verified), min(verified), min(ifnull(verified, time)), \
                count(*) - count(CASE WHEN verified >= ? THEN 1 END) FROM archive
                """)
            row.bind(1, moment)
            defer { row.reset() }
            var coverage = VerificationCoverage()
            guard try row.step() else { return coverage }
            coverage.archives = Int(row.integer(0))
            coverage.oldest = row.integer(0) == row.integer(1) ? row.optional(2) : nil
            coverage.waitingSince = row.optional(3)
            coverage.unread = Int(row.integer(4))
            return coverage
        }
    }

    /// Takes over readings of another catalog of the same archives. Archives that are not here are passed over, and so is a reading
    /// older than one that is known.
    package func adopt(_ readings: Readings) throws {
        if readings.isEmpty { return }
        try write { db in
            let update = try db.prepared(
                "UPDATE archive SET verified = ?3 WHERE number = ?1 AND digest = ?2 AND ifnull(verified, ?4) < ?3")
            for (name, time) in readings {
                update.bind(1, Int64(clamping: name.number))
                update.bind(2, name.digest.bytes)
                update.bind(3, time)
                update.bind(4, .min)
                try update.run()
            }
        }
    }

    /// The readings that a catalog remembers which is about to be thrown away; none when it cannot be read. Nothing is thrown or changed.
    ///
    /// - Parameter path: The file of any catalog: damaged, or of another version of this program.
    package static func readings(leftAt path: Path) -> Readings {
        guard path.exists, let text = String(validating: path.bytes, as: UTF8.self) else { return [:] }
        var configuration = Configuration()
        configuration.readonly = true
        let readings = try? DatabaseQueue(path: "/" + text, configuration: configuration).read { db in
            let rows = try db.prepared("SELECT number, time, kind, digest, verified FROM archive WHERE verified IS NOT NULL")
            defer { rows.reset() }
            var result: Readings = [:]
            while try rows.step() {
                // Of a damaged file what can be understood.
                guard let kind = ArchiveKind(rawValue: UInt8(truncatingIfNeeded: rows.integer(2))), let digest = Digest(bytes: rows.bytes(3))
                else { continue }
                result[ArchiveName(number: rows.bits(0), time: rows.integer(1), kind: kind, digest: digest)] = rows.integer(4)
            }
            return result
        }
        return readings ?? [:]
    }
}
