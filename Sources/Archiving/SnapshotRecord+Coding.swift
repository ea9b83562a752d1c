// The bytes of the snapshot field, and a snapshot's identity. Source: RepositoryFormat, "Contents payload".

package import Encrypting
internal import Kernel

private enum SnapshotField {
    static let number: UInt64 = 1
    static let time: UInt64 = 2
    static let host: UInt64 = 3
    static let source: UInt64 = 4
    static let identity: UInt64 = 5
    static let parentIdentity: UInt64 = 6
    static let parentNumber: UInt64 = 7
    static let coversFrom: UInt64 = 8
    static let dataArchives: UInt64 = 9
    static let statistics: UInt64 = 10
    static let marks: UInt64 = 11
}

extension SnapshotRecord {
    /// The identity of a snapshot that is recorded for the first time.
    ///
    /// - Parameters:
    ///   - time: Milliseconds since 1970.
    ///   - parent: The parent's identity; nil for the first snapshot.
    ///   - manifest: SHA-256 of all manifest payloads, decompressed, one after the other.
    package static func identity(
        repository: RepositoryID, number: UInt64, time: Int64, parent: Digest?, manifest: Digest
    ) -> Digest {
        var bytes = Array("auto-backup snapshot 1\n".utf8)
        bytes += repository.bytes
        bytes.append(integer: number)
        bytes.append(integer: time)
        bytes += parent?.bytes ?? [UInt8](repeating: 0, count: Digest.byteCount)
        bytes += manifest.bytes
        return bytes.withUnsafeBytes { SHA256.digest(of: $0) }
    }

    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(field: SnapshotField.number, varint: number)
        var scratch: [UInt8] = []
        scratch.append(zigzag: time)
        bytes.append(field: SnapshotField.time, scratch)
        bytes.append(field: SnapshotField.host, host)
        for source in sources { bytes.append(field: SnapshotField.source, source.bytes) }
        bytes.append(field: SnapshotField.identity, identity.bytes)
        if let parent {
            bytes.append(field: SnapshotField.parentIdentity, parent.identity.bytes)
            bytes.append(field: SnapshotField.parentNumber, varint: parent.number)
        }
        bytes.append(field: SnapshotField.coversFrom, varint: coversFrom)
        if !dataArchives.isEmpty { bytes.append(field: SnapshotField.dataArchives, numbers(dataArchives)) }
        let values = [statistics.entries, statistics.bytesSource, statistics.entriesChanged, statistics.bytesAdded]
        bytes.append(field: SnapshotField.statistics, numbers(values))
        if isStandalone { bytes.append(field: SnapshotField.marks, varint: 1) }
        return bytes
    }

    /// Reads up to the end of the part that `reader` is narrowed to.
    init(from reader: inout ByteReader) throws(ArchiveError) {
        var fields = DecodedFields()
        while !reader.isAtEnd {
            let tag = try reader.varint()
            let outer = try reader.enter(try reader.count())
            if try fields.read(tag, from: &reader) {
                try reader.leaveExactly(outer)
            } else {
                reader.leave(outer)
            }
        }
        guard let number = fields.number, let time = fields.time, let host = fields.host, let identity = fields.identity,
            let coversFrom = fields.coversFrom, let statistics = fields.statistics
        else { throw reader.error(.malformed, "the snapshot lacks number, time, host, identity, range or statistics") }
        guard (fields.parentIdentity == nil) == (fields.parentNumber == nil) else {
            throw reader.error(.malformed, "the snapshot's parent lacks its number or its identity")
        }
        var parent: Parent?
        if let parentNumber = fields.parentNumber, let identity = fields.parentIdentity {
            guard parentNumber > 0, parentNumber < number else { throw reader.error(.malformed, "the parent is not an earlier snapshot") }
            parent = Parent(number: parentNumber, identity: identity)
        }
        guard coversFrom > 0, coversFrom <= number else { throw reader.error(.malformed, "the range does not end at the snapshot") }
        self.init(
            number: number, time: time, host: host, sources: fields.sources, identity: identity, parent: parent,
            coversFrom: coversFrom, dataArchives: fields.dataArchives ?? [], statistics: statistics,
            isStandalone: (fields.marks ?? 0) & 1 != 0)
    }

    /// The fields as they come.
    private struct DecodedFields {
        var number: UInt64?
        var time: Int64?
        var host: [UInt8]?
        var sources: [Path] = []
        var identity: Digest?
        var parentIdentity: Digest?
        var parentNumber: UInt64?
        var coversFrom: UInt64?
        var dataArchives: [UInt64]?
        var statistics: Statistics?
        var marks: UInt64?

        /// False for a field that is not known.
        mutating func read(_ tag: UInt64, from reader: inout ByteReader) throws(ArchiveError) -> Bool {
            switch tag {
            case SnapshotField.number: try once(&number, reader, try reader.varint())
            case SnapshotField.time: try once(&time, reader, try reader.zigzag())
            case SnapshotField.host: try once(&host, reader, reader.rest())
            case SnapshotField.source:
                guard let source = Path(validating: reader.rest()) else {
                    throw reader.error(.hostilePath, "a source breaks the rules of paths")
                }
                sources.append(source)
            case SnapshotField.identity: try once(&identity, reader, try reader.digest())
            case SnapshotField.parentIdentity: try once(&parentIdentity, reader, try reader.digest())
            case SnapshotField.parentNumber: try once(&parentNumber, reader, try reader.varint())
            case SnapshotField.coversFrom: try once(&coversFrom, reader, try reader.varint())
            case SnapshotField.dataArchives: try once(&dataArchives, reader, try reader.numbers())
            case SnapshotField.statistics:
                let entries = try reader.varint()
                let source = try reader.varint()
                let changed = try reader.varint()
                let added = try reader.varint()
                let value = Statistics(entries: entries, bytesSource: source, entriesChanged: changed, bytesAdded: added)
                try once(&statistics, reader, value)
            case SnapshotField.marks: try once(&marks, reader, try reader.varint())
            default: return false
            }
            return true
        }
    }
}
