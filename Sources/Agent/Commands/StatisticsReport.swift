// Where the space goes: `stats --json`, a contract with scripts. Members are only ever added.
// In: the catalog's sums.  Out: sums with their ratios.

internal import Archiving
internal import Cataloging
package import Controlling
internal import Kernel

package struct StatisticsReport: Codable, Hashable, Sendable {
    package struct Snapshots: Codable, Hashable, Sendable {
        package var count: Int
        /// ISO 8601.
        @Nullable package var oldest: String?
        @Nullable package var newest: String?
    }

    package struct Kind: Codable, Hashable, Sendable {
        /// full, incremental, data or record
        package var kind: String
        package var count: UInt64
        package var bytes: UInt64
    }

    package struct Archives: Codable, Hashable, Sendable {
        package var count: UInt64
        package var bytes: UInt64
        package var kinds: [Kind]
    }

    package struct Sum: Codable, Hashable, Sendable {
        package var count: UInt64
        package var bytes: UInt64

        init(_ amount: Amount) {
            count = amount.count
            bytes = amount.bytes
        }
    }

    /// Bytes are those before compression.
    package struct Chunks: Codable, Hashable, Sendable {
        package var count: UInt64
        package var bytes: UInt64
        /// Needed by the newest snapshot.
        package var newest: Sum
        /// Needed only by older ones.
        package var older: Sum
        /// Needed by none.
        package var dead: Sum
        /// Further copies, in standalone snapshots.
        package var copies: Sum
    }

    package struct Newest: Codable, Hashable, Sendable {
        package var number: UInt64
        package var entries: UInt64
        /// Sum of the sizes of its files, each name counted.
        package var bytesSource: UInt64
    }

    package struct FileType: Codable, Hashable, Sendable {
        /// What follows the last dot of the names, in lower case; empty for names without it.
        package var type: String
        package var files: UInt64
        package var bytes: UInt64
    }

    package struct Directory: Codable, Hashable, Sendable {
        package var path: String
        package var files: UInt64
        package var bytes: UInt64
    }

    package var snapshots: Snapshots
    package var archives: Archives
    package var chunks: Chunks
    @Nullable package var newestSnapshot: Newest?
    /// The bytes of the newest snapshot's files for each byte of chunks that it needs.
    @Nullable package var deduplication: Double?
    /// The bytes of all chunks, copies included, for each byte of archives.
    @Nullable package var compression: Double?
    /// Of the newest snapshot, the ten largest.
    package var types: [FileType]
    /// Of the newest snapshot, the five largest of the directories directly in a source, each with all that is below it.
    package var directories: [Directory]
}

extension StatisticsReport {
    /// - Throws: `CatalogError`.
    init(_ catalog: Catalog) throws {
        let rows = try catalog.snapshots()
        let kinds = try catalog.archiveSpace()
        let chunks = try catalog.chunkSpace()
        let files = try catalog.fileSpace(below: rows.last?.record.sources ?? [], types: 10, directories: 5)
        func moment(_ row: SnapshotRow?) -> String? { row.map { Timestamp(milliseconds: $0.time).iso8601 } }
        snapshots = Snapshots(count: rows.count, oldest: moment(rows.first), newest: moment(rows.last))
        archives = Archives(
            count: kinds.reduce(0) { $0 + $1.amount.count }, bytes: kinds.reduce(0) { $0 + $1.amount.bytes },
            kinds: kinds.map { Kind(kind: $0.kind.text, count: $0.amount.count, bytes: $0.amount.bytes) })
        self.chunks = Chunks(
            count: chunks.all.count, bytes: chunks.all.bytes, newest: Sum(chunks.newest), older: Sum(chunks.older), dead: Sum(chunks.dead),
            copies: Sum(chunks.copies))
        let newest = rows.last.map {
            Newest(number: $0.number, entries: $0.record.statistics.entries, bytesSource: $0.record.statistics.bytesSource)
        }
        newestSnapshot = newest
        deduplication = StatisticsReport.ratio(newest?.bytesSource ?? 0, chunks.newest.bytes)
        compression = StatisticsReport.ratio(chunks.all.bytes &+ chunks.copies.bytes, kinds.reduce(0) { $0 + $1.amount.bytes })
        types = files.types.map { FileType(type: printable($0.name), files: $0.files.count, bytes: $0.files.bytes) }
        directories = files.directories.map { Directory(path: "\($0.name)", files: $0.files.count, bytes: $0.files.bytes) }
    }

    /// To hundredths; nil where there is nothing to divide.
    static func ratio(_ whole: UInt64, _ part: UInt64) -> Double? {
        if whole == 0 || part == 0 { return nil }
        return (Double(whole) / Double(part) * 100).rounded() / 100
    }
}
