// Decompresses one payload after the other and keeps its contexts between them.
// In: a payload and the exact size of its content.  Out: exactly that content, or an error.
// Invariant: no input, however damaged, traps or makes more than the expected size of output.

internal import CLZMA
internal import CZstd

/// One per thread.
package final class Decompressor {
    /// What an .xz stream may ask for. xz:9 needs 65 MiB.
    package static let memoryLimit: UInt64 = 128 << 20

    private let zstd: OpaquePointer
    private var xz = XZStream()

    /// - Throws: `.outOfMemory`.
    package init() throws(CompressionError) {
        guard let context = ZSTD_createDCtx() else { throw CompressionError(.outOfMemory, "no memory for zstd") }
        zstd = context
    }

    deinit {
        ZSTD_freeDCtx(zstd)
    }

    /// Replaces `output` with the content of `input`, which is exactly one stream of `codec`.
    ///
    /// - Parameter expectedCount: The size of the content; the caller has checked it against its own limit. As much is
    ///   allocated, and no more.
    /// - Throws: `.length` when the content is longer or shorter or something follows it, else what is wrong with the stream;
    ///   `output` is empty.
    package func decompress(
        _ codec: Codec, _ input: UnsafeRawBufferPointer, expectedCount: Int, into output: inout [UInt8]
    ) throws(CompressionError) {
        output.removeAll(keepingCapacity: true)
        guard expectedCount >= 0 else { throw CompressionError(.length, "a negative size is promised") }
        switch codec {
        case .stored:
            guard input.count == expectedCount else { throw wrongLength(input.count, expectedCount) }
            output.append(contentsOf: input)
            return
        case .zstd: try checkFrame(input, expectedCount)
        case .xz: break
        }
        output.reserveCapacity(expectedCount)
        try output.append(addingCapacity: expectedCount) { span throws(CompressionError) in
            try span.withUnsafeMutableBufferPointer { buffer, count throws(CompressionError) in
                let room = UnsafeMutableRawBufferPointer(buffer)
                if codec == .xz {
                    try self.decompressXZ(input, room)
                } else {
                    try self.decompressZstd(input, room)
                }
                // Only here is all of the buffer initialized.
                count = expectedCount
            }
        }
    }

    /// One frame, from the first byte to the last, that names the expected size. Nothing is allocated for another.
    private func checkFrame(_ input: UnsafeRawBufferPointer, _ expectedCount: Int) throws(CompressionError) {
        let size = ZSTD_findFrameCompressedSize(input.baseAddress, input.count)
        if ZSTD_isError(size) != 0 { throw zstdError(size) }
        if size != input.count { throw CompressionError(.length, "\(input.count - size) bytes follow the zstd frame") }
        // Streaming writers leave the size out; the room for the output is the bound then. "Damaged" is no size that anyone expects.
        let content = ZSTD_getFrameContentSize(input.baseAddress, input.count)
        let unknown = UInt64.max  // ZSTD_CONTENTSIZE_UNKNOWN, (0ULL - 1)
        if content != unknown, content != UInt64(expectedCount) {
            throw CompressionError(.length, "the zstd frame does not hold the \(expectedCount) bytes that are promised")
        }
    }

    /// In one call, so that the output is the window and no other is allocated.
    private func decompressZstd(_ input: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer) throws(CompressionError) {
        let size = ZSTD_decompressDCtx(zstd, room.baseAddress, room.count, input.baseAddress, input.count)
        if ZSTD_isError(size) != 0 { throw zstdError(size) }
        if size != room.count { throw wrongLength(size, room.count) }
    }

    private func decompressXZ(_ input: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer) throws(CompressionError) {
        try xz.startDecoder(memoryLimit: Decompressor.memoryLimit, concatenated: false)
        xz.setInput(input)
        xz.setOutput(room)
        while true {
            switch try xz.step(LZMA_FINISH) {
            case .more: continue
            case .stuck:
                if xz.room == 0 {
                    throw CompressionError(.length, "the xz stream holds more than the \(room.count) bytes that are promised")
                }
                throw CompressionError(.truncated, "the xz stream ends too early")
            case .end:
                if xz.room != 0 { throw wrongLength(room.count - xz.room, room.count) }
                if xz.unread != 0 { throw CompressionError(.length, "\(xz.unread) bytes follow the xz stream") }
                return
            }
        }
    }

    private func zstdError(_ size: Int) -> CompressionError {
        let name = String(cString: ZSTD_getErrorName(size))
        return switch ZSTD_getErrorCode(size) {
        case ZSTD_error_prefix_unknown: CompressionError(.format, "not a zstd frame")
        case ZSTD_error_srcSize_wrong: CompressionError(.truncated, "the zstd frame ends too early")
        case ZSTD_error_dstSize_tooSmall: CompressionError(.length, "the zstd frame holds more than is promised")
        case ZSTD_error_memory_allocation: CompressionError(.outOfMemory, "no memory for zstd")
        case ZSTD_error_version_unsupported, ZSTD_error_frameParameter_unsupported, ZSTD_error_dictionary_wrong:
            CompressionError(.unsupported, "the zstd frame uses what is not supported: \(name)")
        default: CompressionError(.damaged, "the zstd frame is damaged: \(name)")
        }
    }

    private func wrongLength(_ count: Int, _ expectedCount: Int) -> CompressionError {
        CompressionError(.length, "the content is \(count) bytes long instead of \(expectedCount)")
    }
}
