import Compressing
import Kernel
import Testing

struct CompressorTests {
    private func compress(_ input: [UInt8], _ text: String, _ compressor: Compressor) throws -> (Codec, [UInt8]) {
        var output: [UInt8] = []
        let level = try #require(CompressionLevel(text))
        let codec = try input.withUnsafeBytes { try compressor.compress($0, level, into: &output) }
        return (codec, output)
    }

    private func decompress(_ codec: Codec, _ bytes: [UInt8], _ count: Int) throws -> [UInt8] {
        var output: [UInt8] = [9, 9, 9]
        try bytes.withUnsafeBytes { try Decompressor().decompress(codec, $0, expectedCount: count, into: &output) }
        return output
    }

    @Test(arguments: ["none", "zstd:1", "zstd:3", "zstd:12", "zstd:19", "xz:0", "xz:3", "xz:6", "xz:9"])
    func contentOfEveryLengthComesBack(level: String) throws {
        let compressor = try Compressor()
        for count in [0, 1, 2, 15, 100, 4095, 4096, 4097, 70_000, 300_001] {
            for input in [Samples.text(count), Samples.noise(count), [UInt8](repeating: 0, count: count)] {
                let (codec, output) = try compress(input, level, compressor)
                #expect(output.count <= input.count)
                #expect(codec == .stored || output.count < input.count)
                #expect(try decompress(codec, output, count) == input)
            }
        }
    }

    @Test(arguments: ["zstd:3", "zstd:19", "xz:6"])
    func textShrinksAndNoiseIsStored(level: String) throws {
        let compressor = try Compressor()
        let (codec, output) = try compress(Samples.text(200_000), level, compressor)
        #expect(codec != .stored && output.count < 60_000)
        let noise = Samples.noise(200_000)
        let (stored, same) = try compress(noise, level, compressor)
        #expect(stored == .stored && same == noise)
    }

    @Test func outputIsAppended() throws {
        var output: [UInt8] = Array("before".utf8)
        let compressor = try Compressor()
        let codec = try Samples.text(5000).withUnsafeBytes { try compressor.compress($0, .fast, into: &output) }
        #expect(codec == .zstd && output.starts(with: "before".utf8))
        let end = output.count
        #expect(try Samples.noise(5000).withUnsafeBytes { try compressor.compress($0, .deep, into: &output) } == .stored)
        #expect(output.count == end + 5000)
    }

    /// What repeats only far apart looks like noise to samples of it, and still pays.
    @Test func distantRepetitionIsFound() throws {
        let block = Samples.noise(150_000)
        let (codec, output) = try compress(block + block, "xz:6", Compressor())
        #expect(codec == .xz && output.count < 160_000)
    }

    @Test func xzOpensTheStreams() throws {
        let scratch = try ScratchDirectory()
        let input = Samples.text(100_000)
        let (codec, output) = try compress(input, "xz:6", Compressor())
        #expect(codec == .xz)
        try scratch.file("a.xz").replaceFile(with: output, mode: 0o600)
        #expect(try scratch.shell("xz -dk a.xz && xz -lvv a.xz > list") == 0)
        #expect(try scratch.file("a").readFile() == input)
        let list = String(decoding: try scratch.file("list").readFile(), as: UTF8.self)
        // 64 KiB are too few for the content, 128 KiB more than it needs.
        #expect(list.contains("dict=96KiB") || list.contains("dict=128KiB"), "\(list)")
        #expect(list.contains("CRC32"))
    }

    @Test func zstdOpensTheFrames() throws {
        let scratch = try ScratchDirectory()
        let input = Samples.text(100_000)
        let (codec, output) = try compress(input, "zstd:3", Compressor())
        #expect(codec == .zstd)
        try scratch.file("a.zst").replaceFile(with: output, mode: 0o600)
        #expect(try scratch.shell("zstd -dq a.zst && zstd -lv a.zst > list 2>&1") == 0)
        #expect(try scratch.file("a").readFile() == input)
        let list = String(decoding: try scratch.file("list").readFile(), as: UTF8.self)
        #expect(list.contains("100000 B"), "the frame names the size of its content: \(list)")
        #expect(list.contains("Check: None"), "\(list)")
    }
}
