// Compresses one payload after the other and keeps its contexts between them.
// In: the payload of a frame.  Out: its compressed form, or the bytes themselves when compression does not pay.
// Invariant: what is appended is never longer than the input.

internal import CLZMA
internal import CZstd

/// One per thread. Holds what the largest level used so far needs: about 100 MiB for xz:6 on 16 MiB, 10 MiB for zstd:3.
package final class Compressor {
    private let zstd: OpaquePointer
    private var xz = XZStream()

    /// - Throws: `.outOfMemory`.
    package init() throws(CompressionError) {
        guard let context = ZSTD_createCCtx() else { throw CompressionError(.outOfMemory, "no memory for zstd") }
        zstd = context
    }

    deinit {
        ZSTD_freeCCtx(zstd)
    }

    /// Appends `input`, compressed, to `output`.
    ///
    /// xz writes one .xz stream with CRC32 and a dictionary no larger than the input; zstd one frame with its content
    /// size and without a checksum, for the token around it is authenticated.
    /// - Returns: The codec used: that of `level`, or `.stored` when nothing would be gained.
    /// - Throws: `.outOfMemory`; `output` is as it was.
    /// - Complexity: On 4 MiB about 10 ms with zstd:3 and 1.5 s with xz:6. What cannot be compressed costs xz and the higher
    ///   zstd levels no more than zstd:1, which is asked first.
    package func compress(
        _ input: UnsafeRawBufferPointer, _ level: CompressionLevel, into output: inout [UInt8]
    ) throws(CompressionError) -> Codec {
        let before = output.count
        var gained = false
        if input.count > 0, level.codec != .stored {
            try output.append(addingCapacity: input.count) { span throws(CompressionError) in
                try span.withUnsafeMutableBufferPointer { buffer, count throws(CompressionError) in
                    // At most input.count - 1 bytes are written: what does not fit does not pay.
                    let room = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<(input.count - 1)])
                    if let size = try self.compress(input, level, room) {
                        count = size
                        gained = true
                    }
                }
            }
        }
        if gained { return level.codec }
        output.removeLast(output.count - before)
        output.append(contentsOf: input)
        return .stored
    }

    /// Bytes written to `room`; nil when they would not fit.
    private func compress(
        _ input: UnsafeRawBufferPointer, _ level: CompressionLevel, _ room: UnsafeMutableRawBufferPointer
    ) throws(CompressionError) -> Int? {
        switch level.codec {
        case .stored: return nil
        case .zstd:
            // The lower levels skip what they cannot compress as fast as the question could be answered.
            if level.level > 5, try !pays(input, room) { return nil }
            return try compressZstd(input, level.level, room)
        case .xz:
            if try !pays(input, room) { return nil }
            return try compressXZ(input, level.level, room)
        }
    }

    /// Whether zstd:1 saves 1/64 or more. The whole input is tried: at a hundredth of the time of xz that is as quick as
    /// samples, and misses nothing.
    private func pays(_ input: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Bool {
        // Headers alone can outweigh that on short input.
        if input.count < 4096 { return true }
        let enough = UnsafeMutableRawBufferPointer(rebasing: room[..<(input.count - input.count / 64)])
        return try compressZstd(input, 1, enough) != nil
    }

    private func compressZstd(
        _ input: UnsafeRawBufferPointer, _ level: Int, _ room: UnsafeMutableRawBufferPointer
    ) throws(CompressionError) -> Int? {
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, Int32(clamping: level))
        let size = ZSTD_compress2(zstd, room.baseAddress, room.count, input.baseAddress, input.count)
        if ZSTD_isError(size) == 0 { return size }
        if ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall { return nil }
        throw CompressionError(.outOfMemory, "zstd failed: \(String(cString: ZSTD_getErrorName(size)))")
    }

    private func compressXZ(
        _ input: UnsafeRawBufferPointer, _ level: Int, _ room: UnsafeMutableRawBufferPointer
    ) throws(CompressionError) -> Int? {
        try xz.startEncoder(level: level, contentCount: input.count, check: LZMA_CHECK_CRC32)
        xz.setInput(input)
        xz.setOutput(room)
        while true {
            switch try xz.step(LZMA_FINISH) {
            case .end: return room.count - xz.room
            case .stuck: return nil
            case .more: if xz.room == 0 { return nil }
            }
        }
    }
}
