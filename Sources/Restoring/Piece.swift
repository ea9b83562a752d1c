// A chunk, where it is stored, and where it is needed.
// In: catalog locations.  Out: verified bytes of a frame's payload.

internal import Archiving
internal import Cataloging
internal import Encrypting

struct Piece: Sendable {
    var digest: Digest
    var archive: UInt64
    var frame: UInt32
    /// In the decompressed payload.
    var offset: UInt32
    var length: UInt32
    /// Index of the file in its batch.
    var file: Int
    /// Of its first byte, in the file or wherever it is put.
    var place: UInt64
    /// How many copies of the chunk were found damaged before this one.
    var attempt = 0

    /// Nil when the location is not that of this chunk.
    init?(_ chunk: Chunk, at location: ChunkLocation?, file: Int, place: UInt64) {
        guard let location, location.length == chunk.length else { return nil }
        digest = chunk.digest
        archive = location.archive
        frame = location.frame
        offset = location.offset
        length = location.length
        self.file = file
        self.place = place
    }

    func isSameFrame(as other: Piece) -> Bool { archive == other.archive && frame == other.frame }

    /// The same chunk in the next of its `copies`; nil when all were tried.
    func moved(along copies: [ChunkLocation]) -> Piece? {
        guard attempt + 1 < copies.count, copies[attempt + 1].length == length else { return nil }
        var piece = self
        piece.attempt += 1
        piece.archive = copies[piece.attempt].archive
        piece.frame = copies[piece.attempt].frame
        piece.offset = copies[piece.attempt].offset
        return piece
    }

    /// The chunk's bytes in the frame's payload.
    ///
    /// - Throws: `ArchiveError` when the payload has none there, or others.
    func bytes<Output>(in payload: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Output) throws -> Output {
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard !overflow, Int(end) <= payload.count else {
            throw ArchiveError(.malformed, "chunk \(digest) reaches past its frame", frame: frame)
        }
        // Bounds: offset + length <= payload.count, checked above.
        return try payload.withUnsafeBytes { payload in
            let bytes = UnsafeRawBufferPointer(rebasing: payload[Int(offset)..<Int(end)])
            guard SHA256.digest(of: bytes) == digest else {
                throw ArchiveError(.digestMismatch, "the content of chunk \(digest) is another", frame: frame)
            }
            return try body(bytes)
        }
    }
}

/// Where each chunk stands in its file: one after the other, leaving out the holes.
struct ContentLayout {
    private var holes: ArraySlice<Hole>
    private var offset: UInt64 = 0

    init(holes: [Hole]) {
        self.holes = holes[...]
    }

    /// The place of the next chunk.
    mutating func place(_ length: UInt32) -> UInt64 {
        while let hole = holes.first, hole.offset <= offset {
            offset = max(offset, hole.offset &+ hole.length)
            holes = holes.dropFirst()
        }
        defer { offset &+= UInt64(length) }
        return offset
    }

    /// True when chunks and holes fill exactly `size` bytes, no chunk lies in a hole, and none is longer than a chunk can be.
    static func fills(_ size: UInt64, _ content: Content) -> Bool {
        var end: UInt64 = 0
        var holes = content.holes[...]
        func take(_ length: UInt64) -> Bool {
            let (sum, overflow) = end.addingReportingOverflow(length)
            end = sum
            return !overflow
        }
        func skipHoles() -> Bool {
            while let hole = holes.first, hole.offset == end {
                guard take(hole.length) else { return false }
                holes = holes.dropFirst()
            }
            return true
        }
        for chunk in content.chunks {
            guard chunk.length <= Chunk.maximumLength, skipHoles(), take(UInt64(chunk.length)) else { return false }
            if let hole = holes.first, hole.offset < end { return false }
        }
        return skipHoles() && holes.isEmpty && end == size
    }
}
