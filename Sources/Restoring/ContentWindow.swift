// A run of entries in tree order, with as much of their content as fits into memory.
// In: entries and chunks, in the order in which they are to come out; then the chunks' bytes, in any order.
// Out: items, whose content stands in one buffer. Each frame that the run needs is decoded once, on all cores.
// Invariant: bytes that could not be had are zeros, and their item says why.

internal import Archiving
internal import Cataloging
internal import Kernel
internal import Synchronization

final class ContentWindow {
    enum Segment {
        case zeros(UInt64)
        /// Within `buffer`.
        case bytes(Range<Int>)
    }

    /// An entry, or a part of a file that is larger than the window.
    struct Item {
        /// Without its chunks.
        var entry: Entry
        /// The path under which the same file came before.
        var first: Path?
        var segments: [Segment] = []
        var isFirst = true
        var isLast = true
        /// Why some of its bytes are zeros.
        var failure: String?
    }

    /// Bytes of content that fit.
    let limit: Int
    private(set) var items: [Item] = []
    private var filled = 0
    private var wanted: [(chunk: Chunk, item: Int, place: Int)] = []
    private let room: Room

    /// - Parameter limit: At least that of the longest chunk.
    init(limit: Int) {
        self.limit = max(limit, Int(Chunk.maximumLength))
        room = Room(byteCount: self.limit)
    }

    var remaining: Int { limit - filled }
    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(room.bytes) }

    func append(_ item: Item) {
        items.append(item)
    }

    /// Adds to the latest item. `chunk` is not longer than `remaining`.
    func append(_ chunk: Chunk) {
        let place = filled
        filled += Int(chunk.length)
        wanted.append((chunk, items.count - 1, place))
        items[items.count - 1].segments.append(.bytes(place..<filled))
    }

    /// Adds to the latest item.
    func append(zeros count: UInt64) {
        if count > 0 { items[items.count - 1].segments.append(.zeros(count)) }
    }

    /// The latest item, a file, goes on in the next window.
    func interrupt() {
        items[items.count - 1].isLast = false
    }

    func removeAll() {
        items.removeAll(keepingCapacity: true)
        wanted.removeAll(keepingCapacity: true)
        filled = 0
    }

    /// Fills the buffer, unless the queue is cancelled meanwhile.
    ///
    /// - Throws: What `locate` throws.
    func fetch(_ queue: FrameQueue, locate: ([Chunk]) throws -> [ChunkLocation?]) throws {
        let locations = try locate(wanted.map(\.chunk))
        var pieces: [Piece] = []
        pieces.reserveCapacity(wanted.count)
        for ((chunk, item, place), location) in zip(wanted, locations) {
            if let piece = Piece(chunk, at: location, file: item, place: UInt64(place)) {
                pieces.append(piece)
            } else {
                items[item].failure = "its chunk \(chunk.digest) is in no archive"
                room.clear(at: place, count: Int(chunk.length))
            }
        }
        let failures = Mutex<[Int: String]>([:])
        let room = room
        queue.run(pieces) { pieces, payload in
            for piece in pieces {
                do {
                    try piece.bytes(in: payload.get()) { room.copy($0, at: Int(piece.place)) }
                } catch {
                    room.clear(at: Int(piece.place), count: Int(piece.length))
                    failures.withLock { $0[piece.file] = $0[piece.file] ?? "\(error)" }
                }
            }
        }
        for (item, failure) in failures.withLock({ $0 }) where items[item].failure == nil { items[item].failure = failure }
    }
}

extension ContentWindow {
    /// Memory that several threads write to, each at its own places.
    fileprivate final class Room: @unchecked Sendable {  // No two pieces of a window overlap, and it is read after all are written.
        let bytes: UnsafeMutableRawBufferPointer

        init(byteCount: Int) {
            bytes = .allocate(byteCount: byteCount, alignment: 16)
        }

        deinit {
            bytes.deallocate()
        }

        /// The window gave each chunk a place within its limit; a slice outside of it would trap.
        func copy(_ source: UnsafeRawBufferPointer, at place: Int) {
            UnsafeMutableRawBufferPointer(rebasing: bytes[place..<place + source.count]).copyMemory(from: source)
        }

        func clear(at place: Int, count: Int) {
            UnsafeMutableRawBufferPointer(rebasing: bytes[place..<place + count]).initializeMemory(as: UInt8.self, repeating: 0)
        }
    }
}
