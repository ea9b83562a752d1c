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
        let header = try authenticate(token, place)
        do throws(CompressionError) {
            try plaintext.withUnsafeBufferPointer { bytes throws(CompressionError) in
                // The header was read from the first 32 bytes, so there are as many.
                let compressed = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[FrameHeader.size...]))
                try decompressor.decompress(header.codec, compressed, expectedCount: Int(header.count), into: &payload)
            }
        } catch {
            throw ArchiveError(error.code == .outOfMemory ? .noMemory : .malformed, error.reason, frame: place.number)
        }
    }

    /// As `open`, but the payload stays compressed and is not looked at.
    package func openCompressed(
        _ token: UnsafeRawBufferPointer, at place: FramePlace
    ) throws(ArchiveError) -> CompressedFrame {
        let header = try authenticate(token, place)
        return CompressedFrame(codec: header.codec, count: Int(header.count), bytes: Array(plaintext[FrameHeader.size...]))
    }

    /// Decrypts to `plaintext`.
    private func authenticate(_ token: UnsafeRawBufferPointer, _ place: FramePlace) throws(ArchiveError) -> FrameHeader {
        guard token.count <= FrameLimit.token else {
            throw ArchiveError(.tooLarge, "a token of \(token.count) bytes is above the limit", frame: place.number)
        }
        for offset in ciphers.indices {
            let index = (latest + offset) % ciphers.count
            do throws(EncryptionError) {
                try ciphers[index].open(token, into: &plaintext)
            } catch {
                if error.code == .cryptography { throw ArchiveError(.noMemory, error.reason, frame: place.number) }
                continue
            }
            latest = index
            return try FrameHeader(decoding: Array(plaintext.prefix(FrameHeader.size)), at: place)
        }
        throw ArchiveError(
            .authentication, "the token fails authentication: it is damaged, or was made with another key", frame: place.number)
    }
}
