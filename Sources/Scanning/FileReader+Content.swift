// The content of an open file, in chunks, without its holes.
// In: a descriptor and its status.  Out: Content, and each chunk to the sink.
// Invariant: no more is read than the file had when the reading began, so that one that grows without end has an end here.

internal import Archiving
internal import Encrypting
internal import Kernel

extension FileReader {
    /// - Returns: The content and its size: that of the status, or less when the file became shorter meanwhile.
    func readContent(
        of file: borrowing Descriptor, _ status: FileStatus, _ path: Path, _ sink: PlacedChunkSink
    ) throws -> (Content, UInt64) {
        if status.size <= UInt64(FileReader.smallFileLimit) {
            return try readSmall(file, Int(status.size), path, sink)
        }
        file.adviseSequential()
        let chunker = Chunker(Chunker.Sizes.sizes(forFileOf: status.size))
        var content = Content.empty
        var position: UInt64 = 0
        // As many blocks as bytes: there is no room for a hole.
        let mayHaveHoles = status.blocks < (status.size + 511) / 512
        while position < status.size {
            var start = position
            var end = status.size
            if mayHaveHoles {
                let run = nextData(file, from: position)
                start = min(run?.start ?? status.size, status.size)
                end = min(run?.end ?? status.size, status.size)
            }
            if start > position { content.holes.append(Hole(offset: position, length: start - position)) }
            position = try readRun(file, start..<max(start, end), chunker, path, &content, sink)
            if position < end {
                // It became shorter. What was taken for a hole at its end is gone as well.
                if position == start { position -= content.dropLastHole(endingAt: start) }
                break
            }
        }
        return (content, position)
    }

    /// File systems that know no holes say so with EINVAL: then all of it is data.
    private func nextData(_ file: borrowing Descriptor, from offset: UInt64) -> (start: UInt64, end: UInt64)? {
        do throws(Errno) {
            return try file.nextData(from: offset)
        } catch {
            return (offset, .max)
        }
    }

    private func readSmall(
        _ file: borrowing Descriptor, _ size: Int, _ path: Path, _ sink: PlacedChunkSink
    ) throws -> (Content, UInt64) {
        if size == 0 { return (.empty, 0) }
        let count = try fill(file, at: 0, from: 0, to: size, path)
        if count == 0 { return (.empty, 0) }
        let chunk = try buffer.withBytes(0..<count) { bytes in try hand(bytes, at: 0, sink) }
        return (Content(chunks: [chunk]), UInt64(count))
    }

    /// Reads one run of data and cuts it.
    ///
    /// - Returns: Where it ended: the end of `run`, or less when the file became shorter.
    private func readRun(
        _ file: borrowing Descriptor, _ run: Range<UInt64>, _ chunker: Chunker, _ path: Path,
        _ content: inout Content, _ sink: PlacedChunkSink
    ) throws -> UInt64 {
        buffer.reserve(2 * chunker.sizes.maximum)
        // buffer[begin..<end] holds the bytes of the file at `position`, not yet handed on.
        var position = run.lowerBound
        var begin = 0
        var end = 0
        var limit = run.upperBound
        while position < limit {
            let wanted = min(UInt64(chunker.sizes.maximum), limit - position)
            if UInt64(end - begin) < wanted {
                buffer.moveToFront(begin..<end)
                end -= begin
                begin = 0
                let room = min(UInt64(buffer.count), limit - position)
                let filled = try fill(file, at: position + UInt64(end), from: end, to: Int(room), path)
                if filled < Int(room) { limit = position + UInt64(filled) }
                end = filled
                if begin == end { break }
            }
            let chunk = try buffer.withBytes(begin..<end) { bytes in
                // At the end of a run fewer bytes than the maximum are all that there are.
                let length = chunker.chunkLength(in: bytes)
                return try hand(UnsafeRawBufferPointer(rebasing: bytes[..<length]), at: position, sink)
            }
            content.chunks.append(chunk)
            begin += Int(chunk.length)
            position += UInt64(chunk.length)
        }
        return position
    }

    /// Reads into buffer[start..<end] from `offset` on.
    ///
    /// - Returns: Where the bytes end: `end`, or less at the end of the file.
    private func fill(
        _ file: borrowing Descriptor, at offset: UInt64, from start: Int, to end: Int, _ path: Path
    ) throws -> Int {
        buffer.reserve(end)
        var place = start
        while place < end {
            var count = 0
            let portion = min(end - place, limit?.portion ?? .max)
            do throws(Errno) {
                count = try file.read(into: buffer.room(place..<place + portion), at: offset + UInt64(place - start))
            } catch {
                throw ScanProblem(path: path, errno: error, step: .reading)
            }
            if count == 0 { break }
            place += count
            try limit?.pay(count)
        }
        return place
    }

    private func hand(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ sink: PlacedChunkSink) throws -> Chunk {
        let digest = SHA256.digest(of: bytes)
        try sink(bytes, digest, offset)
        // At most Chunk.maximumLength.
        return Chunk(digest: digest, length: UInt32(bytes.count))
    }
}

extension Content {
    /// Takes away a hole that ends at `offset`; its length, or 0.
    fileprivate mutating func dropLastHole(endingAt offset: UInt64) -> UInt64 {
        guard let hole = holes.last, hole.offset + hole.length == offset else { return 0 }
        holes.removeLast()
        return hole.length
    }
}
