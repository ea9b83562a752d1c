// Opens frames: authenticates, checks the place, decompresses.
// In: a token as it stands in an archive, and where it stands.  Out: its payload, or an ArchiveError.
// Invariant: nothing is looked at before it is authenticated, and no more is allocated than the limits say.

internal import Compressing
package import Encrypting

/// One per thread. Keeps its contexts and a buffer of the largest token's size.
package final class FrameOpener {
    private let ciphers: [FernetCipher]
    private let decompressor: Decompressor
    /// The key that opened the frame before: most likely it opens the next.
    private var latest = 0
    private var plaintext: [UInt8] = []

    /// - Parameter keys: All that may have sealed the frames; each is tried.
    /// - Throws: EncryptionError, CompressionError: no memory.
    package init(keys: [SecretKey]) throws {
        var ciphers: [FernetCipher] = []
        for key in keys { ciphers.append(try FernetCipher(key: key)) }
        self.ciphers = ciphers
        decompressor = try Decompressor()
    }

    /// Replaces `payload` with the decompressed payload of the frame at `place`.
    ///
    /// - Parameter token: Without the length field before it.
    /// - Throws: `tooLarge`, `authentication`, `misplaced`, `reservedNotZero`, `truncated`, `malformed`, `noMemory`; `payload` is empty.
    package func open(
        _ token: UnsafeRawBufferPointer, at place: FramePlace, into payload: inout [UInt8]
    ) throws(ArchiveError) {
        payload.removeAll(keepingCapacity: true)
        try decompress(authenticate(token, place), into: &payload)
    }

    /// As `open`, for a frame that was found where nothing says which one stands there: it is taken at its own word.
    ///
    /// - Returns: The place that it was sealed for, which the caller compares with what is known of the archive.
    /// - Throws: As `open`; `authentication` for what is no frame at all, another code for a frame that is of no use.
    package func openFound(_ token: UnsafeRawBufferPointer, into payload: inout [UInt8]) throws(ArchiveError) -> FramePlace {
        payload.removeAll(keepingCapacity: true)
        try authenticate(token, frame: nil)
        let start = Array(plaintext.prefix(FrameHeader.size))
        let header = try FrameHeader(decoding: start, at: FramePlace(sealedIn: start))
        try decompress(header, into: &payload)
        return header.place
    }

    /// As `open`, but the payload stays compressed and is not looked at.
    package func openCompressed(
        _ token: UnsafeRawBufferPointer, at place: FramePlace
    ) throws(ArchiveError) -> CompressedFrame {
        let header = try authenticate(token, place)
        return CompressedFrame(codec: header.codec, count: Int(header.count), bytes: Array(plaintext[FrameHeader.size...]))
    }

    private func authenticate(_ token: UnsafeRawBufferPointer, _ place: FramePlace) throws(ArchiveError) -> FrameHeader {
        try authenticate(token, frame: place.number)
        return try FrameHeader(decoding: Array(plaintext.prefix(FrameHeader.size)), at: place)
    }

    /// Decrypts to `plaintext`.
    ///
    /// - Parameter frame: For errors.
    private func authenticate(_ token: UnsafeRawBufferPointer, frame: UInt32?) throws(ArchiveError) {
        guard token.count <= FrameLimit.token else {
            throw ArchiveError(.tooLarge, "a token of \(token.count) bytes is above the limit", frame: frame)
        }
        for offset in ciphers.indices {
            let index = (latest + offset) % ciphers.count
            do throws(EncryptionError) {
                try ciphers[index].open(token, into: &plaintext)
            } catch {
                if error.code == .cryptography { throw ArchiveError(.noMemory, error.reason, frame: frame) }
                continue
            }
            latest = index
            return
        }
        throw ArchiveError(
            .authentication, "the token fails authentication: it is damaged, or was made with another key", frame: frame)
    }

    /// Decompresses what is behind the header in `plaintext`.
    private func decompress(_ header: FrameHeader, into payload: inout [UInt8]) throws(ArchiveError) {
        do throws(CompressionError) {
            try plaintext.withUnsafeBufferPointer { bytes throws(CompressionError) in
                // The header was read from the first 32 bytes, so there are as many.
                let compressed = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[FrameHeader.size...]))
                try decompressor.decompress(header.codec, compressed, expectedCount: Int(header.count), into: &payload)
            }
        } catch {
            throw ArchiveError(error.code == .outOfMemory ? .noMemory : .malformed, error.reason, frame: header.place.number)
        }
    }
}
