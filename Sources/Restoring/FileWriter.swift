// Writes the regular files of one batch while their chunks arrive from several threads, in any order.
// In: files with their pieces; payloads as frames are decoded.  Out: files with content, holes and metadata; problems.
// Invariant: a file gets its own name only when all of its content is there; one that lacks a chunk is removed again.

internal import Archiving
internal import Kernel
internal import Synchronization

final class FileWriter: Sendable {
    struct Outcome: Sendable {
        /// Of all batches so far.
        var done: RestoreProgress
        var problems: [RestoreProblem]
    }

    private struct State: Sendable {
        /// Pieces that are not written yet.
        var remaining: [Int]
        /// Those with a name, or with a problem.
        var ended: Set<Int> = []
        /// Those with a temporary name.
        var begun: Set<Int> = []
        var done: RestoreProgress
        var problems: [RestoreProblem] = []
    }

    private let target: TargetDirectory
    private let metadata: MetadataRestorer
    private let files: [FileBatch.File]
    private let state: Mutex<State>
    private let progress: @Sendable (RestoreProgress) -> Void
    /// Each file is written under this prefix and its index, in its own directory.
    private let prefix = TemporaryName.prefix()

    init(
        target: TargetDirectory, metadata: MetadataRestorer, files: [FileBatch.File], doneBefore: RestoreProgress,
        progress: @escaping @Sendable (RestoreProgress) -> Void
    ) {
        self.target = target
        self.metadata = metadata
        self.progress = progress
        self.files = files
        state = Mutex(State(remaining: files.map(\.pieceCount), done: doneBefore))
    }

    /// Files without chunks, and those that cannot be whole.
    func begin() {
        for (index, file) in files.enumerated() {
            if let loss = file.loss {
                fail(index, loss)
            } else if file.pieceCount == 0 {
                complete(index) { _ in }
            }
        }
    }

    /// Writes pieces of one file that one frame holds.
    func write(_ pieces: ArraySlice<Piece>, _ payload: Result<[UInt8], any Error>) {
        guard let index = pieces.first?.file, !state.withLock({ $0.ended.contains(index) }) else { return }
        do {
            let payload = try payload.get()
            if pieces.count == files[index].pieceCount {
                try writeWhole(index, pieces, payload)
            } else {
                try writePart(index, pieces, payload)
            }
        } catch {
            fail(index, reason(error))
        }
    }

    /// To be called when no piece comes any more. Files that still lack some, after it was cancelled, are removed.
    func finish() -> Outcome {
        let unfinished = state.withLock { state in state.begun.subtracting(state.ended) }
        for index in unfinished { removeTemporary(index) }
        return state.withLock { Outcome(done: $0.done, problems: $0.problems) }
    }

    /// Nearly every file: all of it is in one frame, so that it is opened once.
    private func writeWhole(_ index: Int, _ pieces: ArraySlice<Piece>, _ payload: [UInt8]) throws {
        // Checked before anything is made, so that damage leaves no file behind.
        for piece in pieces { try piece.bytes(in: payload) { _ in } }
        complete(index) { file in
            for piece in pieces { try piece.write(from: payload, to: file) }
        }
    }

    private func writePart(_ index: Int, _ pieces: ArraySlice<Piece>, _ payload: [UInt8]) throws {
        for piece in pieces { try piece.bytes(in: payload) { _ in } }
        state.withLock { state in _ = state.begun.insert(index) }
        do {
            let file = try openTemporary(index)
            for piece in pieces { try piece.write(from: payload, to: file) }
        }
        let (isLast, isEnded) = state.withLock { state in
            state.remaining[index] -= pieces.count
            return (state.remaining[index] == 0, state.ended.contains(index))
        }
        if isEnded {
            // Another thread gave it up meanwhile, and may have removed it before this one made it again.
            removeTemporary(index)
        } else if isLast {
            complete(index) { _ in }
        }
    }

    private func temporaryPlace(_ index: Int) -> Path {
        (files[index].place.parent ?? .root).appending(prefix + Array("\(index)".utf8))
    }

    private func openTemporary(_ index: Int) throws(Errno) -> Descriptor {
        let file = try target.open(temporaryPlace(index), [.readWrite, .create, .noFollow], mode: 0o600)
        metadata.applyStorageFlags(of: files[index].entry, to: file)
        return file
    }

    private func removeTemporary(_ index: Int) {
        let temporary = temporaryPlace(index)
        try? target.directory(ofParent: temporary).remove(TargetDirectory.name(temporary.name))
    }

    /// Fills, sizes, and names a file, and sets its metadata.
    private func complete(_ index: Int, fill: (borrowing Descriptor) throws -> Void) {
        let file = files[index]
        do {
            let descriptor = try openTemporary(index)
            try fill(descriptor)
            try descriptor.complete(
                file.entry, at: file.place, under: TargetDirectory.name(temporaryPlace(index).name),
                in: target.directory(ofParent: file.place), metadata)
            state.withLock { state in
                state.ended.insert(index)
                state.done.files += 1
                state.done.bytes &+= file.entry.size
                progress(state.done)
            }
        } catch {
            fail(index, reason(error))
            removeTemporary(index)
        }
    }

    private func reason(_ error: any Error) -> String {
        error is Errno ? "it cannot be written: \(error)" : "\(error)"
    }

    private func fail(_ index: Int, _ reason: String) {
        let wasBegun = state.withLock { state in
            guard state.ended.insert(index).inserted else { return false }
            state.problems.append(RestoreProblem(place: files[index].place, reason: reason, isLoss: true))
            return state.begun.contains(index)
        }
        if wasBegun { removeTemporary(index) }
    }
}

extension Descriptor {
    /// Gives a file that has its content its size, metadata and name.
    ///
    /// - Throws: The file still has its temporary name.
    borrowing func complete(
        _ entry: Entry, at place: Path, under temporary: [CChar], in directory: borrowing Descriptor, _ metadata: MetadataRestorer
    ) throws(Errno) {
        // Holes at the end, and files that are one hole, get their size here.
        try truncate(to: entry.size)
        metadata.apply(entry, at: place, to: self)
        try directory.rename(temporary, to: TargetDirectory.name(place.name), in: directory)
        metadata.applyFlags(of: entry, at: place, to: self)
    }
}

extension Piece {
    fileprivate func write(from payload: [UInt8], to file: borrowing Descriptor) throws {
        // `bytes(in:)` has checked the bounds and the digest of this piece.
        try payload.withUnsafeBytes { bytes in
            try file.write(UnsafeRawBufferPointer(rebasing: bytes[Int(offset)..<Int(offset) + Int(length)]), at: place)
        }
    }
}
