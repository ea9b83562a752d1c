// The history of one path with its moments: what it was, from which snapshot to which.
// In: a path.  Out: versions with the numbers and times of the snapshots that show them.
// Invariant: times are those of kept snapshots. What was merged away between them stands at the kept one that follows it.

package import Archiving
internal import GRDB
package import Kernel

/// What a path was, and when.
package struct DatedVersion: Hashable, Sendable {
    /// A kept snapshot.
    package struct Moment: Hashable, Sendable {
        package var snapshot: UInt64
        /// Milliseconds since 1970.
        package var time: Int64

        package init(snapshot: UInt64, time: Int64) {
            self.snapshot = snapshot
            self.time = time
        }
    }

    /// The first snapshot that shows it.
    package var first: Moment
    /// The number of the last one that does.
    package var last: UInt64
    /// The first snapshot that does not; nil while the newest one does.
    package var until: Moment?
    package var entry: Entry

    package init(first: Moment, last: UInt64, until: Moment?, entry: Entry) {
        self.first = first
        self.last = last
        self.until = until
        self.entry = entry
    }
}

extension Catalog {
    /// Every state of `path` that a kept snapshot shows, the oldest first. Empty for a path that none shows.
    ///
    /// - Complexity: O(versions of the path), whatever the number of snapshots.
    package func datedHistory(of path: Path) throws -> [DatedVersion] {
        let versions = try history(of: path)
        return try read { db in
            let last = try db.prepared("SELECT max(number) FROM snapshot WHERE number < ?")
            return try versions.compactMap { version in
                // A snapshot that was merged away since stands at the one that follows it.
                guard let first = try Catalog.moment(atOrAfter: version.first, in: db) else { return nil }
                last.bind(1, version.until.map { Int64(clamping: $0) } ?? .max)
                guard let number = try last.firstInteger() else { return nil }
                return DatedVersion(
                    first: first, last: UInt64(number), until: try version.until.flatMap { try Catalog.moment(atOrAfter: $0, in: db) },
                    entry: version.entry)
            }
        }
    }

    private static func moment(atOrAfter number: UInt64, in db: Database) throws -> DatedVersion.Moment? {
        let find = try db.prepared("SELECT number, time FROM snapshot WHERE number >= ? ORDER BY number LIMIT 1")
        find.bind(1, Int64(clamping: number))
        defer { find.reset() }
        return try find.step() ? DatedVersion.Moment(snapshot: find.bits(0), time: find.integer(1)) : nil
    }
}
