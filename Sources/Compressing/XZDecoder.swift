// Decompresses what `xz` writes, piece by piece: also several streams one after the other, and padding between them.
// In: compressed pieces.  Out: content, given to a sink as it is decoded.
// Invariant: memory is bounded by the limit, whatever the length; a stream without its end is an error at `finish`.

internal import CLZMA

/// Each block's check comes after its content: the sink has received a block before its damage is known.
package struct XZDecoder: ~Copyable {
    private var stream: XZStream
    private let buffer: UnsafeMutableRawBufferPointer
    private var usable = true

    /// - Parameter memoryLimit: What the stream may ask for, in bytes; xz:9 needs 65 MiB.
    /// - Throws: `.outOfMemory`.
    package init(memoryLimit: UInt64 = Decompressor.memoryLimit) throws(CompressionError) {
        var stream = XZStream()
        try stream.startDecoder(memoryLimit: memoryLimit, concatenated: true)
        self.stream = stream
        buffer = .allocate(byteCount: 64 << 10, alignment: 16)
    }

    deinit {
        buffer.deallocate()
    }

    /// Takes the next piece.
    ///
    /// - Parameter sink: Receives 0 or more pieces of 1...65,536 bytes, valid during the call.
    /// - Throws: What `sink` throws; `CompressionError`. The decoder then only throws `.misuse`.
    package mutating func write(_ input: UnsafeRawBufferPointer, to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard usable else { throw CompressionError(.misuse, "the xz decoder has ended") }
        usable = false
        stream.setInput(input)
        // A full buffer says that more may follow from the same input.
        var full = false
        while stream.unread > 0 || full {
            stream.setOutput(buffer)
            _ = try stream.step(LZMA_RUN)
            full = stream.room == 0
            try give(to: sink)
        }
        usable = true
    }

    /// Ends the input.
    ///
    /// - Throws: `.truncated` when a stream is not complete, and as `write`.
    package mutating func finish(to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard usable else { throw CompressionError(.misuse, "the xz decoder has ended") }
        usable = false
        stream.setInput(UnsafeRawBufferPointer(start: nil, count: 0))
        while true {
            stream.setOutput(buffer)
            let step = try stream.step(LZMA_FINISH)
            try give(to: sink)
            switch step {
            case .end: return
            case .stuck: throw CompressionError(.truncated, "the xz stream ends too early")
            case .more: continue
            }
        }
    }

    private func give(to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        let count = buffer.count - stream.room
        // The coder has written the first `count` bytes.
        if count > 0 { try sink(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
    }
}
