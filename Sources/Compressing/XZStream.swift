// An lzma_stream that is owned by exactly one variable. Starting a new coder on it reuses the memory of the last one.
// Source: lzma/base.h and lzma/container.h of liblzma.

internal import CLZMA

struct XZStream: ~Copyable {
    // At a stable address: liblzma's documentation does not allow the structure to move while it is in use.
    private let stream: UnsafeMutablePointer<lzma_stream>

    enum Step {
        /// Input used up or output full.
        case more
        /// No progress without more input or more room.
        case stuck
        /// The end of the stream.
        case end
    }

    init() {
        stream = .allocate(capacity: 1)
        // LZMA_STREAM_INIT is all zeros.
        stream.initialize(to: lzma_stream())
    }

    deinit {
        lzma_end(stream)
        stream.deallocate()
    }

    /// Bytes that the current coder has given out.
    var produced: UInt64 { stream.pointee.total_out }
    var unread: Int { stream.pointee.avail_in }
    var room: Int { stream.pointee.avail_out }

    /// Starts one .xz stream of one block.
    ///
    /// - Parameter contentCount: When known, the dictionary is no larger than it needs.
    mutating func startEncoder(level: Int, contentCount: Int?, check: lzma_check) throws(CompressionError) {
        var options = lzma_options_lzma()
        if lzma_lzma_preset(&options, UInt32(clamping: level)) != 0 {
            throw CompressionError(.unsupported, "liblzma has no level \(level)")
        }
        if let contentCount {
            options.dict_size = min(options.dict_size, XZStream.dictionarySize(for: contentCount))
        }
        // The options are copied by the call.
        let result = withUnsafeMutablePointer(to: &options) { options in
            let filters = [
                lzma_filter(id: 0x21 /* LZMA_FILTER_LZMA2 */, options: options),
                lzma_filter(id: UInt64.max /* LZMA_VLI_UNKNOWN */, options: nil),
            ]
            return lzma_stream_encoder(stream, filters, check)
        }
        try XZStream.check(result)
    }

    /// Starts one .xz stream of several blocks, compressed on `threads` threads.
    mutating func startParallelEncoder(level: Int, threads: Int, check: lzma_check) throws(CompressionError) {
        var options = lzma_mt()
        options.threads = UInt32(clamping: threads)
        options.preset = UInt32(clamping: level)
        options.check = check
        try XZStream.check(lzma_stream_encoder_mt(stream, &options))
    }

    /// Starts decoding one .xz stream, or with `concatenated` one after the other, as many as there are.
    mutating func startDecoder(memoryLimit: UInt64, concatenated: Bool) throws(CompressionError) {
        try XZStream.check(lzma_stream_decoder(stream, memoryLimit, concatenated ? 0x08 /* LZMA_CONCATENATED */ : 0))
    }

    /// What is read next. The memory must stay valid until `unread` is 0 or a new coder is started.
    mutating func setInput(_ input: UnsafeRawBufferPointer) {
        stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = input.count
    }

    /// Where the output goes. The memory must stay valid during the calls of `step`.
    mutating func setOutput(_ output: UnsafeMutableRawBufferPointer) {
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = output.count
    }

    mutating func step(_ action: lzma_action) throws(CompressionError) -> Step {
        let result = lzma_code(stream, action)
        switch result {
        case LZMA_STREAM_END: return .end
        case LZMA_BUF_ERROR: return .stuck
        default:
            try XZStream.check(result)
            return .more
        }
    }

    private static func check(_ result: lzma_ret) throws(CompressionError) {
        switch result {
        case LZMA_OK, LZMA_STREAM_END: return
        case LZMA_MEM_ERROR: throw CompressionError(.outOfMemory, "no memory for xz")
        case LZMA_MEMLIMIT_ERROR: throw CompressionError(.memoryLimit, "the xz stream needs more memory than is allowed")
        case LZMA_FORMAT_ERROR: throw CompressionError(.format, "not an xz stream")
        case LZMA_OPTIONS_ERROR: throw CompressionError(.unsupported, "the xz stream uses options that are not supported")
        case LZMA_DATA_ERROR: throw CompressionError(.damaged, "the xz stream is damaged")
        case LZMA_BUF_ERROR: throw CompressionError(.truncated, "the xz stream ends too early")
        default: throw CompressionError(.misuse, "xz failed with code \(result.rawValue)")
        }
    }

    /// The smallest size of the form 2^n or 2^n + 2^(n-1), at least 4 KiB (LZMA_DICT_SIZE_MIN), that holds `count` bytes:
    /// the sizes that the .xz format can name. Source: The .xz File Format, "LZMA2".
    static func dictionarySize(for count: Int) -> UInt32 {
        var size: UInt64 = 4096
        while size < count {
            let between = size + size / 2
            if between >= count { return UInt32(clamping: between) }
            size *= 2
        }
        return UInt32(clamping: size)
    }
}
