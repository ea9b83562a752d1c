// Makes frames: compresses, ties to the place, encrypts, and proves that it can all be undone.
// In: a payload, or one that is compressed already.  Out: length field and token, ready to be written.
// Invariant: with `verifies`, nothing is given out that does not open to the same bytes.

package import Compressing
package import Encrypting

/// One per worker thread. Keeps its contexts and buffers: about three times the largest payload.
package final class FrameSealer {
    private let compressor: Compressor
    private let cipher: FernetCipher
    private let verifies: Bool
    private let decompressor: Decompressor
    private var compressed: [UInt8] = []
    private var reopened: [UInt8] = []
    private var unpacked: [UInt8] = []

    /// - Parameter verifies: Whether each frame is decoded again and compared, which finds bad memory and faulty codecs before
    ///   they are believed. Costs the time of decrypting and decompressing.
    /// - Throws: EncryptionError, CompressionError: no memory.
    package init(key: SecretKey, verifies: Bool) throws {
        compressor = try Compressor()
        decompressor = try Decompressor()
        cipher = try FernetCipher(key: key)
        self.verifies = verifies
    }

    /// The frame of a payload: length field and token.
    ///
    /// - Parameters:
    ///   - payload: Uncompressed, 0...64 MiB.
    ///   - time: Seconds since 1970; everyone can read it.
    /// - Throws: `ArchiveError.tooLarge`, `.selfCheck`; EncryptionError and CompressionError when there is no memory. The sealer
    ///   can be used on.
    package func seal(
        _ payload: UnsafeRawBufferPointer, at place: FramePlace, level: CompressionLevel, time: UInt64
    ) throws -> [UInt8] {
        guard payload.count <= PayloadLimit.payload else {
            throw ArchiveError(.tooLarge, "a payload of \(payload.count) bytes is above 64 MiB", frame: place.number)
        }
        compressed.removeAll(keepingCapacity: true)
        let codec = try compressor.compress(payload, level, into: &compressed)
        let header = FrameHeader(place: place, codec: codec, count: UInt32(payload.count))
        let frame = try compressed.withUnsafeBytes { try sealed(header, $0, time) }
        if verifies {
            try reopen(frame, header)
            try compare(payload, header)
        }
        return frame
    }

    /// As `seal`, for a payload that is already compressed: a frame that moves keeps it as it is.
    package func reseal(_ frame: CompressedFrame, at place: FramePlace, time: UInt64) throws -> [UInt8] {
        guard (0...PayloadLimit.payload).contains(frame.count), frame.bytes.count <= PayloadLimit.payload else {
            throw ArchiveError(.tooLarge, "a payload of \(frame.count) bytes is above 64 MiB", frame: place.number)
        }
        let header = FrameHeader(place: place, codec: frame.codec, count: UInt32(frame.count))
        return try frame.bytes.withUnsafeBytes { bytes in
            let sealed = try sealed(header, bytes, time)
            if verifies {
                try reopen(sealed, header)
                let same = reopened.withUnsafeBytes { areEqual(UnsafeRawBufferPointer(rebasing: $0[FrameHeader.size...]), bytes) }
                if !same { throw selfCheck(header) }
            }
            return sealed
        }
    }

    private func sealed(_ header: FrameHeader, _ bytes: UnsafeRawBufferPointer, _ time: UInt64) throws -> [UInt8] {
        let tokenCount = Fernet.tokenCount(forPlaintext: FrameHeader.size + bytes.count)
        var frame: [UInt8] = []
        frame.reserveCapacity(FrameLimit.lengthField + tokenCount)
        frame.append(integer: UInt32(tokenCount))
        try header.encode().withUnsafeBytes { try cipher.seal($0, bytes, timeSeconds: time, into: &frame) }
        return frame
    }

    /// Decrypts `frame` to `reopened`, which then begins with `header`.
    private func reopen(_ frame: [UInt8], _ header: FrameHeader) throws {
        do {
            try frame.withUnsafeBytes { bytes in
                let token = UnsafeRawBufferPointer(rebasing: bytes[FrameLimit.lengthField...])
                _ = try cipher.open(token, into: &reopened)
            }
        } catch let error as EncryptionError where error.code != .cryptography {
            throw selfCheck(header)
        }
        guard try FrameHeader(decoding: Array(reopened.prefix(FrameHeader.size)), at: header.place) == header else {
            throw selfCheck(header)
        }
    }

    /// Decompresses `reopened` and compares.
    private func compare(_ payload: UnsafeRawBufferPointer, _ header: FrameHeader) throws {
        do {
            try reopened.withUnsafeBytes { bytes in
                try decompressor.decompress(
                    header.codec, UnsafeRawBufferPointer(rebasing: bytes[FrameHeader.size...]), expectedCount: payload.count,
                    into: &unpacked)
            }
        } catch let error as CompressionError where error.code != .outOfMemory {
            throw selfCheck(header)
        }
        guard unpacked.withUnsafeBytes({ areEqual($0, payload) }) else { throw selfCheck(header) }
    }

    private func selfCheck(_ header: FrameHeader) -> ArchiveError {
        ArchiveError(
            .selfCheck, "what was sealed does not open to the same bytes; the memory of this machine may be faulty",
            frame: header.place.number)
    }
}
