// The bytes of the contents payload.
// In: a table of contents.  Out: fields; and back, from bytes that may be hostile.
// Invariant: what is read keeps the rules of ArchiveContents, and every chunk lies in a data frame. Source: RepositoryFormat, "Contents payload".

internal import Encrypting

private enum ContentsField {
    static let repository: UInt64 = 1
    static let number: UInt64 = 2
    static let kind: UInt64 = 3
    static let time: UInt64 = 4
    static let frames: UInt64 = 5
    static let chunks: UInt64 = 6
    static let snapshot: UInt64 = 7
    static let replaces: UInt64 = 8
    static let recordHead: UInt64 = 9
    static let remark: UInt64 = 10
    static let highestSnapshot: UInt64 = 11
}

extension ArchiveContents {
    /// The payload of the contents frame.
    package func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        // 32 bytes and two short varints for a chunk, 5 for a frame, and little else.
        bytes.reserveCapacity(1024 + chunks.count * 38 + frames.count * 5)
        bytes.append(field: ContentsField.repository, repository.bytes)
        bytes.append(field: ContentsField.number, varint: number)
        bytes.append(field: ContentsField.kind, [kind.rawValue])
        var scratch: [UInt8] = []
        scratch.append(zigzag: time)
        bytes.append(field: ContentsField.time, scratch)
        scratch.removeAll(keepingCapacity: true)
        for frame in frames {
            scratch.append(frame.kind.rawValue)
            scratch.append(varint: UInt64(frame.tokenCount))
        }
        bytes.append(field: ContentsField.frames, scratch)
        appendChunks(to: &bytes)
        if let snapshot { bytes.append(field: ContentsField.snapshot, snapshot.encode()) }
        if !replaces.isEmpty { bytes.append(field: ContentsField.replaces, numbers(replaces)) }
        if let recordHead { bytes.append(field: ContentsField.recordHead, recordHead.bytes) }
        for remark in remarks {
            scratch = [remark.kind.rawValue]
            scratch.append(varint: remark.snapshot)
            scratch += remark.text
            bytes.append(field: ContentsField.remark, scratch)
        }
        bytes.append(field: ContentsField.highestSnapshot, varint: highestSnapshot)
        return bytes
    }

    private func appendChunks(to bytes: inout [UInt8]) {
        var field: [UInt8] = []
        var index = 0
        while index < chunks.count {
            let frame = chunks[index].frame
            field.removeAll(keepingCapacity: true)
            field.append(varint: UInt64(frame))
            var end: UInt32 = 0
            while index < chunks.count, chunks[index].frame == frame {
                let chunk = chunks[index]
                field.append(digest: chunk.digest)
                field.append(varint: UInt64(chunk.offset - end))
                field.append(varint: UInt64(chunk.length))
                end = chunk.offset + chunk.length
                index += 1
            }
            bytes.append(field: ContentsField.chunks, field)
        }
    }

    /// Reads the payload of a contents frame.
    ///
    /// - Throws: `malformed`, `truncated`, `tooLarge`, `hostilePath`; `offset` is within the payload.
    /// - Complexity: O(length). Unknown fields are skipped.
    package init(decoding payload: [UInt8]) throws(ArchiveError) {
        var reader = ByteReader(payload)
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
        guard let repository = fields.repository, let number = fields.number, let kind = fields.kind, let time = fields.time,
            let highest = fields.highestSnapshot
        else { throw ArchiveError(.malformed, "the contents lack repository, number, kind, time or highest snapshot") }
        self.init(
            repository: repository, number: number, kind: kind, time: time, frames: fields.frames ?? [], chunks: fields.chunks,
            snapshot: fields.snapshot, replaces: fields.replaces ?? [], recordHead: fields.recordHead, remarks: fields.remarks,
            highestSnapshot: highest)
        try check()
    }

    /// What holds between fields.
    private func check() throws(ArchiveError) {
        guard number > 0 else { throw ArchiveError(.malformed, "the archive's number is 0") }
        guard kind.isCommit == (snapshot != nil) else {
            throw ArchiveError(.malformed, kind.isCommit ? "a commit without a snapshot" : "a snapshot in an archive that is no commit")
        }
        if let snapshot {
            guard kind == .full || snapshot.parent != nil else { throw ArchiveError(.malformed, "an incremental snapshot has no parent") }
            guard snapshot.number <= highestSnapshot else {
                throw ArchiveError(.malformed, "the snapshot's number is above the highest snapshot's")
            }
        }
        guard remarks.isEmpty || kind == .record else { throw ArchiveError(.malformed, "remarks in an archive that is no record") }
        var manifestFollows = false
        for frame in frames {
            switch frame.kind {
            case .data: if manifestFollows { throw ArchiveError(.malformed, "a data frame stands behind a manifest frame") }
            case .manifest: manifestFollows = true
            case .contents: throw ArchiveError(.malformed, "a second contents frame")
            }
        }
        for chunk in chunks where chunk.frame >= UInt32(clamping: frames.count) || frames[Int(chunk.frame)].kind != .data {
            throw ArchiveError(.malformed, "a chunk stands in frame \(chunk.frame), which is no data frame")
        }
    }
}

/// The fields as they come.
private struct DecodedFields {
    var repository: ArchiveID?
    var number: UInt64?
    var kind: ArchiveKind?
    var time: Int64?
    var frames: [FrameRecord]?
    var chunks: [StoredChunk] = []
    var snapshot: SnapshotRecord?
    var replaces: [UInt64]?
    var recordHead: Digest?
    var remarks: [Remark] = []
    var highestSnapshot: UInt64?

    /// False for a field that is not known.
    mutating func read(_ tag: UInt64, from reader: inout ByteReader) throws(ArchiveError) -> Bool {
        switch tag {
        case ContentsField.repository: try once(&repository, reader, ArchiveID(bytes: try reader.array(ArchiveID.count)))
        case ContentsField.number: try once(&number, reader, try reader.varint())
        case ContentsField.kind: try once(&kind, reader, ArchiveKind(rawValue: try reader.byte()))
        case ContentsField.time: try once(&time, reader, try reader.zigzag())
        case ContentsField.frames: try once(&frames, reader, try readFrames(&reader))
        case ContentsField.chunks: try readChunks(&reader)
        case ContentsField.snapshot: try once(&snapshot, reader, try SnapshotRecord(from: &reader))
        case ContentsField.replaces: try once(&replaces, reader, try reader.numbers())
        case ContentsField.recordHead: try once(&recordHead, reader, try reader.digest())
        case ContentsField.remark: try readRemark(&reader)
        case ContentsField.highestSnapshot: try once(&highestSnapshot, reader, try reader.varint())
        default: return false
        }
        return true
    }

    private func readFrames(_ reader: inout ByteReader) throws(ArchiveError) -> [FrameRecord] {
        var frames: [FrameRecord] = []
        while !reader.isAtEnd {
            guard let kind = FrameKind(rawValue: try reader.byte()) else { throw reader.error(.malformed, "an unknown kind of frame") }
            let count = try reader.varint32()
            guard count <= UInt32(FrameLimit.token) else { throw reader.error(.tooLarge, "a token is above the limit") }
            frames.append(FrameRecord(kind: kind, tokenCount: count))
        }
        return frames
    }

    private mutating func readChunks(_ reader: inout ByteReader) throws(ArchiveError) {
        let frame = try reader.varint32()
        if let last = chunks.last, last.frame >= frame { throw reader.error(.malformed, "chunks stand out of order") }
        var end: UInt64 = 0
        while !reader.isAtEnd {
            let digest = try reader.digest()
            let gap = try reader.varint()
            let length = try reader.varint32()
            guard (1...Chunk.maximumLength).contains(length) else { throw reader.error(.malformed, "a chunk is not of 1 byte to 4 MiB") }
            // end is at most 64 MiB, so neither sum can overflow once the gap is within it.
            guard gap <= UInt64(PayloadLimit.payload), end + gap + UInt64(length) <= UInt64(PayloadLimit.payload) else {
                throw reader.error(.malformed, "a chunk reaches beyond a payload's limit")
            }
            chunks.append(StoredChunk(digest: digest, frame: frame, offset: UInt32(end + gap), length: length))
            end += gap + UInt64(length)
        }
    }

    private mutating func readRemark(_ reader: inout ByteReader) throws(ArchiveError) {
        guard let kind = Remark.Kind(rawValue: try reader.byte()) else {
            throw reader.error(.malformed, "an unknown kind of remark")
        }
        let snapshot = try reader.varint()
        remarks.append(Remark(kind: kind, snapshot: snapshot, text: reader.rest()))
    }
}

/// Fills a field that may stand once; `value` is nil when what was read means nothing.
func once<Value>(_ field: inout Value?, _ reader: ByteReader, _ value: Value?) throws(ArchiveError) {
    guard field == nil else { throw reader.error(.malformed, "a field stands twice") }
    guard let value else { throw reader.error(.malformed, "a field's value is unknown") }
    field = value
}

func numbers(_ values: [UInt64]) -> [UInt8] {
    var bytes: [UInt8] = []
    for value in values { bytes.append(varint: value) }
    return bytes
}

extension ByteReader {
    mutating func numbers() throws(ArchiveError) -> [UInt64] {
        var values: [UInt64] = []
        while !isAtEnd { values.append(try varint()) }
        return values
    }
}
