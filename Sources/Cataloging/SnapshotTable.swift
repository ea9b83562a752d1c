// Rows of `snapshot`, written and read.
// In: SnapshotRecord.  Out: SnapshotRow, with the pins and tags that are valid now.

package import Archiving
internal import Encrypting
internal import GRDB
internal import Kernel

/// One kept snapshot.
package struct SnapshotRow: Hashable, Sendable {
    package var record: SnapshotRecord
    /// How it is recorded: full or incremental.
    package var kind: ArchiveKind
    /// Number of the archive with its manifest.
    package var archive: UInt64
    /// Texts of its pins; one without a reason has an empty text.
    package var pins: [[UInt8]] = []
    package var tags: [[UInt8]] = []

    package var number: UInt64 { record.number }
    /// Milliseconds since 1970.
    package var time: Int64 { record.time }
    package var isPinned: Bool { !pins.isEmpty }
}

enum SnapshotTable {
    enum Choice {
        case number(Int64)
        case newest
        case below(Int64)
        /// The newest one of this time or before it: milliseconds since 1970.
        case atOrBefore(Int64)
    }

    static func insert(_ record: SnapshotRecord, kind: ArchiveKind, archive: UInt64, in db: Database) throws {
        let row = try db.prepared(
            "INSERT OR REPLACE INTO snapshot (\(columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        row.bind(1, Int64(record.number))
        row.bind(2, Int64(archive))
        row.bind(3, Int64(kind.rawValue))
        row.bind(4, record.time)
        row.bind(5, record.host)
        var sources = CompactWriter()
        for source in record.sources { sources.add(source.bytes) }
        row.bind(6, sources.bytes)
        row.bind(7, record.identity.bytes)
        row.bind(8, optional: record.parent.map { Int64(bitPattern: $0.number) })
        row.bind(9, record.parent?.identity.bytes ?? [])
        row.bind(10, bits: record.coversFrom)
        var archives = CompactWriter()
        for number in record.dataArchives { archives.add(number) }
        row.bind(11, archives.bytes)
        row.bind(12, bits: record.statistics.entries)
        row.bind(13, bits: record.statistics.bytesSource)
        row.bind(14, bits: record.statistics.entriesChanged)
        row.bind(15, bits: record.statistics.bytesAdded)
        row.bind(16, record.isStandalone ? 1 : 0)
        try row.run()
    }

    static func row(_ choice: Choice, in db: Database) throws -> SnapshotRow? {
        let row: PreparedStatement
        switch choice {
        case .number(let number):
            row = try db.prepared("SELECT \(columns) FROM snapshot WHERE number = ?")
            row.bind(1, number)
        case .newest:
            row = try db.prepared("SELECT \(columns) FROM snapshot ORDER BY number DESC LIMIT 1")
        case .below(let number):
            row = try db.prepared("SELECT \(columns) FROM snapshot WHERE number < ? ORDER BY number DESC LIMIT 1")
            row.bind(1, number)
        case .atOrBefore(let time):
            row = try db.prepared("SELECT \(columns) FROM snapshot WHERE time <= ? ORDER BY time DESC, number DESC LIMIT 1")
            row.bind(1, time)
        }
        defer { row.reset() }
        guard try row.step() else { return nil }
        var decoder = Decoder()
        var result = try decoder.snapshot(row)
        let remarks = try db.prepared("SELECT kind, text FROM remark WHERE snapshot = ? ORDER BY rowid")
        remarks.bind(1, Int64(result.number))
        defer { remarks.reset() }
        while try remarks.step() { add(remarks.integer(0), remarks.array(1), to: &result) }
        return result
    }

    /// All of them, by ascending number.
    static func rows(in db: Database) throws -> [SnapshotRow] {
        var result: [SnapshotRow] = []
        var decoder = Decoder()
        let rows = try db.prepared("SELECT \(columns) FROM snapshot ORDER BY number")
        defer { rows.reset() }
        while try rows.step() { result.append(try decoder.snapshot(rows)) }
        let remarks = try db.prepared("SELECT snapshot, kind, text FROM remark ORDER BY snapshot, rowid")
        defer { remarks.reset() }
        var index = 0
        while try remarks.step() {
            let number = UInt64(bitPattern: remarks.integer(0))
            while index < result.count, result[index].number < number { index += 1 }
            // A remark on a snapshot that is merged away waits for the next record archive, which lacks it.
            if index < result.count, result[index].number == number {
                add(remarks.integer(1), remarks.array(2), to: &result[index])
            }
        }
        return result
    }

    private static let columns = """
        number, archive, kind, time, host, sources, identity, parent, parent_identity, covers_from, data_archives, \
        entries, bytes_source, entries_changed, bytes_added, standalone
        """

    private static func add(_ kind: Int64, _ text: [UInt8], to row: inout SnapshotRow) {
        switch Remark.Kind(rawValue: UInt8(truncatingIfNeeded: kind)) {
        case .pin: row.pins.append(text)
        case .tag: row.tags.append(text)
        case nil: break
        }
    }

    /// Shares what nearly all snapshots have in common: host and sources.
    private struct Decoder {
        private var host: [UInt8] = []
        private var sourceBytes: [UInt8] = []
        private var sources: [Path] = []

        mutating func snapshot(_ row: PreparedStatement) throws -> SnapshotRow {
            guard let kind = ArchiveKind(rawValue: UInt8(truncatingIfNeeded: row.integer(2))), let identity = Digest(bytes: row.bytes(6))
            else { throw CatalogError.ownRows }
            if !row.bytes(4).elementsEqual(host) { host = row.array(4) }
            if !row.bytes(5).elementsEqual(sourceBytes) {
                sourceBytes = row.array(5)
                sources = try Decoder.paths(row.bytes(5))
            }
            var parent: SnapshotRecord.Parent?
            if let number = row.optional(7) {
                guard let identity = Digest(bytes: row.bytes(8)) else { throw CatalogError.ownRows }
                parent = SnapshotRecord.Parent(number: UInt64(bitPattern: number), identity: identity)
            }
            let statistics = SnapshotRecord.Statistics(
                entries: row.bits(11), bytesSource: row.bits(12), entriesChanged: row.bits(13), bytesAdded: row.bits(14))
            let record = SnapshotRecord(
                number: row.bits(0), time: row.integer(3), host: host, sources: sources, identity: identity, parent: parent,
                coversFrom: row.bits(9), dataArchives: try Decoder.numbers(row.bytes(10)), statistics: statistics,
                isStandalone: row.integer(15) != 0)
            return SnapshotRow(record: record, kind: kind, archive: row.bits(1))
        }

        private static func paths(_ bytes: UnsafeRawBufferPointer) throws -> [Path] {
            var reader = CompactReader(bytes)
            var result: [Path] = []
            while !reader.isAtEnd {
                guard let text = reader.text() else { throw CatalogError.ownRows }
                result.append(Path(unchecked: text))
            }
            return result
        }

        private static func numbers(_ bytes: UnsafeRawBufferPointer) throws -> [UInt64] {
            var reader = CompactReader(bytes)
            var result: [UInt64] = []
            while !reader.isAtEnd {
                guard let number = reader.number() else { throw CatalogError.ownRows }
                result.append(number)
            }
            return result
        }
    }
}
