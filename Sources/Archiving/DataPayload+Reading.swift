// What a data payload holds, from itself alone: for archives whose table of contents is lost.
// In: a decompressed payload, which may be hostile.  Out: its chunks, with the digests of the bytes that are there.
// Source: RepositoryFormat, "Data payload".

internal import Encrypting

extension DataPayload {
    /// The chunks of a payload, in its order.
    ///
    /// - Parameter payload: 0...64 MiB: whole tar entries, without the closing blocks.
    /// - Throws: `malformed`, `truncated`, `tooLarge` for what this program would not have written: an entry that is no file of
    ///   1 byte to 4 MiB, or is cut off. Nothing is known of the chunks before it then, for the payload was sealed as a whole.
    /// - Complexity: O(payload): each chunk is hashed once, none is copied.
    package static func chunks(ofPayload payload: [UInt8]) throws(ArchiveError) -> [PayloadChunk] {
        guard payload.count <= PayloadLimit.payload else {
            throw ArchiveError(.tooLarge, "a payload of \(payload.count) bytes is above 64 MiB")
        }
        return try payload.withUnsafeBufferPointer { bytes throws(ArchiveError) in
            try chunks(in: UnsafeRawBufferPointer(bytes))
        }
    }

    private static func chunks(in bytes: UnsafeRawBufferPointer) throws(ArchiveError) -> [PayloadChunk] {
        var reader = TarReader()
        var chunks: [PayloadChunk] = []
        var position = 0
        // Where the latest entry ends, and where its content stands until it has come.
        var end = 0
        var expected: Range<Int>?
        while let event = try reader.next(in: bytes, at: &position) {
            switch event {
            case .entry(let entry):
                guard entry.kind == .file, (1...UInt64(Chunk.maximumLength)).contains(entry.size) else {
                    throw ArchiveError(.malformed, "an entry of the payload is no chunk", offset: UInt64(position))
                }
                // Both are within the payload's limit and a chunk's: no overflow.
                expected = position..<position + Int(entry.size)
            case .content(let content):
                // All of the payload is one piece, so content that comes in parts was cut off.
                guard content == expected else {
                    throw ArchiveError(.truncated, "the payload ends within a chunk", offset: UInt64(position))
                }
                let digest = SHA256.digest(of: UnsafeRawBufferPointer(rebasing: bytes[content]))
                chunks.append(PayloadChunk(digest: digest, offset: UInt32(content.lowerBound), length: UInt32(content.count)))
                expected = nil
                end = entryEnd(content.upperBound)
            case .end:
                throw ArchiveError(.malformed, "the payload holds closing blocks", offset: UInt64(position))
            }
        }
        guard expected == nil, end == bytes.count else {
            throw ArchiveError(.truncated, "the payload ends within an entry", offset: UInt64(position))
        }
        return chunks
    }
}
