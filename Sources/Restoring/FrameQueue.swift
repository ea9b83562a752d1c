// Decodes the frames that a batch of files needs, each once, on all cores.
// In: pieces (which chunk goes where).  Out: calls with the payload that holds them, or with why there is none.
// Invariant: damage to one frame fails its own pieces alone, and those only when no other copy of the chunk can be read.

internal import Archiving
internal import Cataloging
internal import Encrypting
internal import Kernel
internal import Storing
internal import Synchronization

struct FrameQueue: Sendable {
    /// Gets pieces of one frame that belong to one file, in the file's order, with the frame's payload, or the reason why
    /// there is none. Called from several threads at once.
    typealias Body = @Sendable (ArraySlice<Piece>, Result<[UInt8], any Error>) -> Void

    let shelf: ArchiveShelf
    let keys: [SecretKey]
    /// All places of a chunk, the first choice first.
    let copies: @Sendable (Digest) throws -> [ChunkLocation]
    let isCancelled: @Sendable () -> Bool

    /// Hands out every piece, frame by frame, unless it is cancelled.
    func run(_ pieces: [Piece], _ body: @escaping Body) {
        let sorted = FrameQueue.sorted(pieces)
        let frames = FrameQueue.frames(of: sorted)
        let next = Atomic(0)
        withThreads(min(Machine.processors, frames.count)) {
            let opener = Result { try FrameOpener(keys: keys) }
            var payload: [UInt8] = []
            while !isCancelled() {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < frames.count else { return }
                decode(sorted[frames[index]], opener, &payload, body)
            }
        }
    }

    private func decode(
        _ pieces: ArraySlice<Piece>, _ opener: Result<FrameOpener, any Error>, _ payload: inout [UInt8], _ body: Body
    ) {
        guard let first = pieces.first else { return }
        let result: Result<[UInt8], any Error>
        do {
            try shelf.reader(first.archive).checkedFrame(Int(first.frame), into: &payload, opener: opener.get())
            result = .success(payload)
        } catch {
            result = .failure(error)
        }
        guard case .failure = result else { return FrameQueue.handOut(pieces, result, body) }
        var moved: [Piece] = []
        var given: [Piece] = []
        for piece in pieces {
            if let copy = (try? copies(piece.digest)).flatMap({ piece.moved(along: $0) }) { moved.append(copy) } else { given.append(piece) }
        }
        FrameQueue.handOut(given[...], result, body)
        // Each round tries the next copy of every chunk, so their number bounds the depth.
        let sorted = FrameQueue.sorted(moved)
        for frame in FrameQueue.frames(of: sorted) { decode(sorted[frame], opener, &payload, body) }
    }

    private static func sorted(_ pieces: [Piece]) -> [Piece] {
        pieces.sorted { ($0.archive, $0.frame, $0.file, $0.place) < ($1.archive, $1.frame, $1.file, $1.place) }
    }

    private static func frames(of sorted: [Piece]) -> [Range<Int>] {
        var frames: [Range<Int>] = []
        var start = 0
        for index in sorted.indices where index + 1 == sorted.count || !sorted[index].isSameFrame(as: sorted[index + 1]) {
            frames.append(start..<index + 1)
            start = index + 1
        }
        return frames
    }

    private static func handOut(_ pieces: ArraySlice<Piece>, _ result: Result<[UInt8], any Error>, _ body: Body) {
        var start = pieces.startIndex
        for index in pieces.indices where index + 1 == pieces.endIndex || pieces[index + 1].file != pieces[index].file {
            body(pieces[start..<index + 1], result)
            start = index + 1
        }
    }
}

extension ArchiveReader {
    /// As `frame`, with an error instead of a trap for a number that the archive does not have.
    func checkedFrame(_ number: Int, into payload: inout [UInt8], opener: FrameOpener) throws {
        guard contents.frames.indices.contains(number), contents.frames[number].kind == .data else {
            throw ArchiveError(.malformed, "there is no such data frame", archive: name.text, frame: UInt32(clamping: number))
        }
        try frame(number, into: &payload, opener: opener)
    }
}

/// Runs `body` on `count` threads (on this one when a thread cannot be made) and waits for all of them.
private func withThreads(_ count: Int, _ body: @escaping @Sendable () -> Void) {
    let running = Monitor(0)
    for _ in 1..<max(1, count) {
        running.withLock { $0 += 1 }
        do throws(Errno) {
            // It is waited for below, through the count.
            _ = try Thread(name: "restore", priority: .normal) {
                body()
                running.withLock { $0 -= 1 }
            }
        } catch {
            running.withLock { $0 -= 1 }
        }
    }
    body()
    running.wait { $0 == 0 ? () : nil }
}
