// Compresses content of any length as one .xz stream, piece by piece.
// In: pieces.  Out: compressed pieces, given to a sink as they are made.
// Invariant: memory is bounded by the level and the threads, whatever the length.

internal import CLZMA

/// Writes what `xz` writes. After an error it only throws `.misuse`; what the sink has received is not a whole stream.
package struct XZEncoder: ~Copyable {
    private var stream: XZStream
    private let buffer: UnsafeMutableRawBufferPointer
    private var usable = true

    /// - Parameters:
    ///   - level: 0...9.
    ///   - threads: 1...; each needs about 165 MiB at level 6, and takes blocks of 24 MiB.
    /// - Throws: `.unsupported` for another level, `.outOfMemory`.
    package init(level: Int = 6, threads: Int = 1) throws(CompressionError) {
        guard (0...9).contains(level) else { throw CompressionError(.unsupported, "xz has no level \(level)") }
        var stream = XZStream()
        if threads > 1 {
            try stream.startParallelEncoder(level: level, threads: threads, check: LZMA_CHECK_CRC64)
        } else {
            try stream.startEncoder(level: level, contentCount: nil, check: LZMA_CHECK_CRC64)
        }
        self.stream = stream
        buffer = .allocate(byteCount: 64 << 10, alignment: 16)
    }

    deinit {
        buffer.deallocate()
    }

    /// Takes the next piece.
    ///
    /// - Parameter sink: Receives 0 or more pieces of 1...65,536 bytes, valid during the call.
    /// - Throws: What `sink` throws; `CompressionError`.
    package mutating func write(_ input: UnsafeRawBufferPointer, to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard usable else { throw CompressionError(.misuse, "the xz encoder has ended") }
        usable = false
        stream.setInput(input)
        while stream.unread > 0 {
            stream.setOutput(buffer)
            _ = try stream.step(LZMA_RUN)
            try give(to: sink)
        }
        usable = true
    }

    /// Ends the stream and gives out the rest.
    package mutating func finish(to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard usable else { throw CompressionError(.misuse, "the xz encoder has ended") }
        usable = false
        stream.setInput(UnsafeRawBufferPointer(start: nil, count: 0))
        while true {
            stream.setOutput(buffer)
            let step = try stream.step(LZMA_FINISH)
            try give(to: sink)
            switch step {
            case .end: return
            case .more: continue
            case .stuck: throw CompressionError(.misuse, "the xz encoder cannot end its stream")
            }
        }
    }

    private func give(to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        let count = buffer.count - stream.room
        // The coder has written the first `count` bytes.
        if count > 0 { try sink(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
    }
}
