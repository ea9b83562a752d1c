// Makes frames: compresses, ties to the place, encrypts, and proves that it can all be undone.
// In: a payload, or one that is compressed already.  Out: length field and token, ready to be written.
// Invariant: with `verifies`, nothing is given out that does not open to the same bytes.

package import Compressing
package import Encrypting

/// One per worker thread. Keeps its contexts and buffers: about twice the largest payload.
package final class FrameSealer {
    private let compressor: Compressor
    private let cipher: FernetCipher
    private let verifies: Bool
    private let decompressor: Decompressor
    private var compressed: [UInt8] = []
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
        compressed.reserveCapacity(payload.count)
        let codec = try compressor.compress(payload, level, into: &compressed)
        let header = FrameHeader(place: place, codec: codec, count: UInt32(payload.count))
        return try compressed.withUnsafeBytes { bytes in
            if verifies, try !unpacks(bytes, codec, to: payload) { throw selfCheck(place) }
            return try sealed(header, bytes, time)
        }
    }

    /// As `seal`, for a payload that is already compressed: a frame that moves keeps it as it is.
    package func reseal(_ frame: CompressedFrame, at place: FramePlace, time: UInt64) throws -> [UInt8] {
        guard (0...PayloadLimit.payload).contains(frame.count), frame.bytes.count <= PayloadLimit.payload else {
            throw ArchiveError(.tooLarge, "a payload of \(frame.count) bytes is above 64 MiB", frame: place.number)
        }
        let header = FrameHeader(place: place, codec: frame.codec, count: UInt32(frame.count))
        return try frame.bytes.withUnsafeBytes { try sealed(header, $0, time) }
    }

    private func sealed(_ header: FrameHeader, _ bytes: UnsafeRawBufferPointer, _ time: UInt64) throws -> [UInt8] {
        let tokenCount = Fernet.tokenCount(forPlaintext: FrameHeader.size + bytes.count)
        var frame: [UInt8] = []
        frame.reserveCapacity(FrameLimit.lengthField + tokenCount)
        frame.append(integer: UInt32(tokenCount))
        try header.encode().withUnsafeBytes { head in
            try cipher.seal(head, bytes, timeSeconds: time, into: &frame)
            if verifies, try !opens(frame, to: head, bytes) { throw selfCheck(header.place) }
        }
        return frame
    }

    private func unpacks(_ bytes: UnsafeRawBufferPointer, _ codec: Codec, to payload: UnsafeRawBufferPointer) throws -> Bool {
        if codec == .stored { return areEqual(bytes, payload) }
        do throws(CompressionError) {
            try decompressor.decompress(codec, bytes, expectedCount: payload.count, into: &unpacked)
        } catch {
            if error.code == .outOfMemory { throw error }
            return false
        }
        return unpacked.withUnsafeBytes { areEqual($0, payload) }
    }

    private func opens(_ frame: [UInt8], to head: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer) throws -> Bool {
        do {
            return try frame.withUnsafeBytes {
                try cipher.opens(UnsafeRawBufferPointer(rebasing: $0[FrameLimit.lengthField...]), to: head, bytes)
            }
        } catch let error as EncryptionError where error.code != .cryptography {
            return false
        }
    }

    private func selfCheck(_ place: FramePlace) -> ArchiveError {
        ArchiveError(
            .selfCheck, "what was sealed does not open to the same bytes; the memory of this machine may be faulty", frame: place.number)
    }
}
