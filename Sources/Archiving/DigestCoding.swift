// Digests and chunks in payloads: 32 bytes, then the length.

internal import Encrypting

extension ByteReader {
    @inline(__always)
    mutating func digest() throws(ArchiveError) -> Digest {
        guard remaining >= Digest.byteCount else { throw truncated() }
        let start = position
        // start + 32 <= end <= bytes.count, as checked above.
        let digest = bytes.withUnsafeBytes {
            Digest(bytes: UnsafeRawBufferPointer(rebasing: $0[start..<start + Digest.byteCount]))
        }
        guard let digest else { throw truncated() }
        try skip(Digest.byteCount)
        return digest
    }

    @inline(__always)
    mutating func chunk() throws(ArchiveError) -> Chunk {
        let digest = try digest()
        let length = try varint()
        guard length > 0, length <= UInt64(Chunk.maximumLength) else { throw error(.malformed, "a chunk is not of 1 byte to 4 MiB") }
        return Chunk(digest: digest, length: UInt32(length))
    }
}

extension [UInt8] {
    @inline(__always)
    mutating func append(digest: Digest) {
        digest.withUnsafeBytes { append(contentsOf: $0) }
    }

    @inline(__always)
    mutating func append(chunk: Chunk) {
        append(digest: chunk.digest)
        append(varint: UInt64(chunk.length))
    }
}
