import Compressing
import Kernel
import Testing

struct DecompressorTests {
    private let input = Samples.text(3000)

    private func compressed(_ level: CompressionLevel) throws -> [UInt8] {
        var output: [UInt8] = []
        let codec = try input.withUnsafeBytes { try Compressor().compress($0, level, into: &output) }
        #expect(codec == level.codec)
        return output
    }

    private func code(_ codec: Codec, _ bytes: [UInt8], _ count: Int, _ decompressor: Decompressor) -> CompressionError.Code? {
        var output: [UInt8] = [1]
        do throws(CompressionError) {
            try bytes.withUnsafeBufferPointer { bytes throws(CompressionError) in
                try decompressor.decompress(codec, UnsafeRawBufferPointer(bytes), expectedCount: count, into: &output)
            }
            return nil
        } catch {
            #expect(output.isEmpty)
            return error.code
        }
    }

    @Test(arguments: [CompressionLevel.fast, .deep, .stored])
    func anotherLengthIsRefused(level: CompressionLevel) throws {
        let bytes = try compressed(level)
        let decompressor = try Decompressor()
        for count in [0, 1, input.count - 1, input.count + 1, 2 * input.count, -1] {
            #expect(code(level.codec, bytes, count, decompressor) == .length)
        }
        #expect(code(level.codec, bytes, input.count, decompressor) == nil)
    }

    @Test(arguments: [CompressionLevel.fast, .deep, .stored])
    func whatFollowsTheStreamIsRefused(level: CompressionLevel) throws {
        let bytes = try compressed(level)
        let decompressor = try Decompressor()
        for rest in [[0], [0, 0, 0, 0], bytes] {
            #expect(code(level.codec, bytes + rest, input.count, decompressor) == .length)
        }
    }

    @Test(arguments: [CompressionLevel.fast, .deep, .stored])
    func everyTruncationIsRefused(level: CompressionLevel) throws {
        let bytes = try compressed(level)
        let decompressor = try Decompressor()
        for count in 0..<bytes.count {
            #expect(code(level.codec, Array(bytes[..<count]), input.count, decompressor) != nil)
        }
    }

    @Test func everyDamagedByteOfXZIsFound() throws {
        let bytes = try compressed(.deep)
        let decompressor = try Decompressor()
        for index in bytes.indices {
            for mask: UInt8 in [0x01, 0x80, 0xFF] {
                var damaged = bytes
                damaged[index] ^= mask
                #expect(code(.xz, damaged, input.count, decompressor) != nil, "byte \(index)")
            }
        }
    }

    /// A zstd frame has no checksum here: damage may change the content, never its length.
    @Test func damagedZstdKeepsItsBounds() throws {
        let bytes = try compressed(.fast)
        let decompressor = try Decompressor()
        for index in bytes.indices {
            for mask: UInt8 in [0x01, 0x10, 0x80, 0xFF] {
                var damaged = bytes
                damaged[index] ^= mask
                var output: [UInt8] = []
                let done: Void? = try? damaged.withUnsafeBytes {
                    try decompressor.decompress(.zstd, $0, expectedCount: input.count, into: &output)
                }
                #expect(output.count == (done == nil ? 0 : input.count))
            }
        }
    }

    @Test func noiseIsRefused() throws {
        let decompressor = try Decompressor()
        for seed in UInt64(0)..<50 {
            let bytes = Samples.noise(500, seed: seed)
            #expect(code(.xz, bytes, 1000, decompressor) == .format)
            #expect(code(.zstd, bytes, 1000, decompressor) != nil)
        }
    }

    /// The same decompressor reads a good frame after a bad one.
    @Test func anErrorLeavesTheDecompressorUsable() throws {
        let decompressor = try Decompressor()
        for level in [CompressionLevel.fast, .deep] {
            let bytes = try compressed(level)
            #expect(code(level.codec, Array(bytes.dropLast(9)), input.count, decompressor) != nil)
            var output: [UInt8] = []
            try bytes.withUnsafeBytes { try decompressor.decompress(level.codec, $0, expectedCount: input.count, into: &output) }
            #expect(output == input)
        }
    }

    /// A few bytes can ask for a dictionary of 1 GiB: it must not be allocated.
    @Test func aHugeDictionaryIsRefused() throws {
        let bytes = Samples.withHugeDictionary(try compressed(.deep))
        #expect(code(.xz, bytes, input.count, try Decompressor()) == .memoryLimit)
    }
}
