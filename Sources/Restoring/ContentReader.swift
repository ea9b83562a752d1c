// The content of one file, from front to back.
// In: an entry.  Out: its bytes in pieces; holes as zeros.
// Invariant: a chunk is given out only when its SHA-256 matches.

package import Archiving
package import Cataloging
package import Encrypting
internal import Storing

package struct ContentReader {
    private let catalog: Catalog
    private let shelf: ArchiveShelf
    private let opener: FrameOpener
    private var payload: [UInt8] = []
    /// Which frame `payload` holds.
    private var current: (archive: UInt64, frame: UInt32)?

    package init(catalog: Catalog, shelf: ArchiveShelf, keys: [SecretKey]) throws {
        self.catalog = catalog
        self.shelf = shelf
        opener = try FrameOpener(keys: keys)
    }

    /// Calls `body` with each piece, in order.
    ///
    /// - Throws: `ArchiveError` for content that is lost or damaged; pieces before it were right. What `body` throws.
    /// - Complexity: Each frame is decoded once for a run of chunks in it; the memory of one frame.
    package mutating func forEachPiece(of entry: Entry, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var holes = entry.content.holes[...]
        var offset: UInt64 = 0
        func writeHoles() throws {
            while let hole = holes.first, hole.offset <= offset {
                try ContentReader.zeros(hole.length, body)
                offset += hole.length
                holes = holes.dropFirst()
            }
        }
        let locations = try catalog.locations(of: entry.content.chunks)
        for (chunk, location) in zip(entry.content.chunks, locations) {
            try writeHoles()
            guard let piece = Piece(chunk, at: location, file: 0, place: offset) else {
                throw ArchiveError(.malformed, "chunk \(chunk.digest) is in no archive")
            }
            try load(piece)
            try piece.bytes(in: payload, body)
            offset += UInt64(chunk.length)
        }
        try writeHoles()
    }

    private mutating func load(_ piece: Piece) throws {
        if let current, current == (piece.archive, piece.frame) { return }
        current = nil
        try shelf.reader(piece.archive).checkedFrame(Int(piece.frame), into: &payload, opener: opener)
        current = (piece.archive, piece.frame)
    }

    private static func zeros(_ count: UInt64, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let zeros = [UInt8](repeating: 0, count: Int(min(count, 1 << 20)))
        var left = count
        while left > 0 {
            try zeros.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<Int(min(left, UInt64($0.count)))])) }
            left -= min(left, UInt64(zeros.count))
        }
    }
}
