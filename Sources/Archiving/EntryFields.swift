// Reads the fields of an upsert record.
// In: the rest of the record.  Out: content, target, attributes, flags of the entry.
// Invariant: at most one content; as many chunks as one record could list at most.

internal import Encrypting
internal import Kernel

struct EntryFields {
    private var hasChunks = false
    /// One bit for each tag that has been read.
    private var seen: UInt16 = 0
    private let recording: ManifestRecording

    init(_ recording: ManifestRecording) {
        self.recording = recording
    }

    /// Reads up to the end of the part that `reader` is narrowed to.
    mutating func read(
        from reader: inout ByteReader, into entry: inout Entry, _ previousChunks: (Path) throws -> [Chunk]
    ) throws(ArchiveError) {
        while !reader.isAtEnd {
            let tag = try reader.varint()
            let count = try reader.count()
            let outer = try reader.enter(count)
            if tag != EntryField.attribute, tag < 16 {
                guard seen & (1 << UInt16(tag)) == 0 else { throw reader.error(.malformed, "field \(tag) stands twice") }
                seen |= 1 << UInt16(tag)
            }
            switch tag {
            case EntryField.chunks:
                try beginChunks(of: entry, reader)
                // Reserved by what the bytes pay for: each chunk takes 33 at least.
                entry.content.chunks.reserveCapacity(count / (Digest.byteCount + 1))
                while !reader.isAtEnd { entry.content.chunks.append(try reader.chunk()) }
            case EntryField.chunkRuns:
                if recording == .full { throw reader.error(.malformed, "a full manifest has chunk runs") }
                try beginChunks(of: entry, reader)
                entry.content.chunks = try readRuns(&reader, entry.path, previousChunks)
            case EntryField.holes:
                guard entry.kind == .file, entry.content.holes.isEmpty else {
                    throw reader.error(.malformed, "holes stand where they cannot")
                }
                entry.content.holes = try readHoles(&reader)
            case EntryField.target:
                guard count <= Path.maximumLength else { throw reader.error(.tooLarge, "a target is above 1 MiB") }
                entry.target = reader.rest()
                if entry.target.contains(0) { throw reader.error(.malformed, "a target holds a NUL") }
            case EntryField.special:
                entry.special = DeviceNumber(major: try reader.varint32(), minor: try reader.varint32())
            case EntryField.attribute:
                entry.attributes.append(try readAttribute(&reader))
            case EntryField.inodeFlags:
                entry.inodeFlags = try reader.varint32()
            case EntryField.marks:
                entry.marks = Entry.Marks(rawValue: UInt8(truncatingIfNeeded: try reader.varint()))
                    .intersection([.changedWhileRead, .racy])
            default:
                reader.leave(outer)
                continue
            }
            try reader.leaveExactly(outer)
        }
    }

    private mutating func beginChunks(of entry: Entry, _ reader: ByteReader) throws(ArchiveError) {
        guard entry.kind == .file, !hasChunks else { throw reader.error(.malformed, "chunks stand where they cannot") }
        hasChunks = true
    }

    private func readRuns(
        _ reader: inout ByteReader, _ path: Path, _ previousChunks: (Path) throws -> [Chunk]
    ) throws(ArchiveError) -> [Chunk] {
        var chunks: [Chunk] = []
        var previous: [Chunk]?
        while !reader.isAtEnd {
            let head = try reader.varint()
            guard head >> 1 > 0, head >> 1 <= UInt64(PayloadLimit.chunksPerEntry - chunks.count) else {
                throw reader.error(head >> 1 == 0 ? .malformed : .tooLarge, "a run is empty, or a file has too many chunks")
            }
            let count = Int(head >> 1)
            if head & 1 == 0 {
                for _ in 0..<count { chunks.append(try reader.chunk()) }
                continue
            }
            let start = try reader.varint()
            let known: [Chunk]
            if let previous { known = previous } else { known = try chunksBefore(path, reader, previousChunks) }
            previous = known
            guard start <= UInt64(known.count), count <= known.count - Int(start) else {
                throw reader.error(.parentMissing, "\(path): the previous version has fewer chunks than this one refers to")
            }
            chunks += known[Int(start)..<Int(start) + count]
        }
        return chunks
    }

    private func chunksBefore(
        _ path: Path, _ reader: ByteReader, _ previousChunks: (Path) throws -> [Chunk]
    ) throws(ArchiveError) -> [Chunk] {
        do {
            return try previousChunks(path)
        } catch let error as ArchiveError {
            throw error
        } catch {
            throw reader.error(.parentMissing, "\(path): the previous version cannot be had: \(error)")
        }
    }

    private func readHoles(_ reader: inout ByteReader) throws(ArchiveError) -> [Hole] {
        var holes: [Hole] = []
        var end: UInt64 = 0
        while !reader.isAtEnd {
            let (offset, wrapped) = end.addingReportingOverflow(try reader.varint())
            let length = try reader.varint()
            let (next, overflow) = offset.addingReportingOverflow(length)
            guard !wrapped, !overflow, length > 0 else { throw reader.error(.malformed, "a hole is empty or reaches beyond 2^64") }
            holes.append(Hole(offset: offset, length: length))
            end = next
        }
        return holes
    }

    private func readAttribute(_ reader: inout ByteReader) throws(ArchiveError) -> ExtendedAttribute {
        let count = try reader.count()
        guard (1...PayloadLimit.attributeName).contains(count) else {
            throw reader.error(.malformed, "an attribute's name is not of 1 to 255 bytes")
        }
        let name = try reader.array(count)
        if name.contains(0) { throw reader.error(.malformed, "an attribute's name holds a NUL") }
        guard reader.remaining <= PayloadLimit.attributeValue else {
            throw reader.error(.tooLarge, "an attribute's value is above 64 KiB")
        }
        return ExtendedAttribute(name: name, value: reader.rest())
    }
}
