// Files whose content is fetched together, so that each frame is decoded once for all of them.
// In: entries with their places.  Out: pieces, and the files that cannot be whole.
// Invariant: every piece belongs to a file of the batch; a file with a lost chunk has no pieces.

internal import Archiving
internal import Cataloging
internal import Kernel

struct FileBatch: Sendable {
    struct File: Sendable {
        var place: Path
        /// Without its chunks.
        var entry: Entry
        /// Pieces that it needs.
        var pieceCount: Int
        /// Why it cannot be whole.
        var loss: String?
    }

    private(set) var files: [File] = []
    private(set) var chunks: [Chunk] = []
    private var places: [UInt64] = []

    mutating func add(_ entry: Entry, at place: Path) {
        var file = File(place: place, entry: entry, pieceCount: 0)
        file.entry.content.chunks = []
        if ContentLayout.fills(entry.size, entry.content) {
            file.pieceCount = entry.content.chunks.count
            var layout = ContentLayout(holes: entry.content.holes)
            for chunk in entry.content.chunks { places.append(layout.place(chunk.length)) }
            chunks += entry.content.chunks
        } else {
            file.loss = "its chunks and holes do not add up to its size"
        }
        files.append(file)
    }

    /// - Parameter locations: Those of `chunks`.
    mutating func takePieces(_ locations: [ChunkLocation?]) -> [Piece] {
        var pieces: [Piece] = []
        pieces.reserveCapacity(chunks.count)
        var next = 0
        for index in files.indices {
            let range = next..<next + files[index].pieceCount
            next = range.upperBound
            let first = pieces.count
            for chunk in range {
                if let piece = Piece(chunks[chunk], at: locations[chunk], file: index, place: places[chunk]) {
                    pieces.append(piece)
                } else {
                    files[index].loss = "its chunk \(chunks[chunk].digest) is in no archive"
                    pieces.removeLast(pieces.count - first)
                    break
                }
            }
        }
        chunks = []
        places = []
        return pieces
    }
}
