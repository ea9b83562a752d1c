import Compressing
import Kernel
import Testing

struct XZStreamingTests {
    /// Gives `bytes` to `body` in pieces of `size`.
    private func inPieces(_ bytes: [UInt8], _ size: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
        try bytes.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let end = min(start + size, bytes.count)
                try body(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                start = end
            }
        }
    }

    private func encode(_ bytes: [UInt8], _ size: Int, level: Int = 3, threads: Int = 1) throws -> [UInt8] {
        var output: [UInt8] = []
        var encoder = try XZEncoder(level: level, threads: threads)
        try inPieces(bytes, size) { try encoder.write($0) { output.append(contentsOf: $0) } }
        try encoder.finish { output.append(contentsOf: $0) }
        return output
    }

    private func decode(_ bytes: [UInt8], _ size: Int) throws -> [UInt8] {
        var output: [UInt8] = []
        var decoder = try XZDecoder()
        try inPieces(bytes, size) { try decoder.write($0) { output.append(contentsOf: $0) } }
        try decoder.finish { output.append(contentsOf: $0) }
        return output
    }

    @Test(arguments: [1, 7, 4096, 1 << 20])
    func contentComesBackInPiecesOfAnySize(size: Int) throws {
        for count in [0, 1, 65_536, 200_003] {
            let input = Samples.text(count)
            #expect(try decode(encode(input, size), size) == input)
        }
    }

    @Test func xzReadsWhatIsWrittenAndTheOtherWayRound() throws {
        let scratch = try ScratchDirectory()
        let input = Samples.text(500_000) + Samples.noise(100_000)
        for threads in [1, 2] {
            try scratch.file("a.xz").replaceFile(with: encode(input, 100_000, threads: threads), mode: 0o600)
            #expect(try scratch.shell("xz -dc a.xz > a && xz -t a.xz") == 0)
            #expect(try scratch.file("a").readFile() == input)
        }
        #expect(try scratch.shell("xz -9c a > b.xz && xz -T2 --block-size=65536 -c a > c.xz && cat b.xz c.xz b.xz > d.xz") == 0)
        #expect(try decode(scratch.file("b.xz").readFile(), 3000) == input)
        #expect(try decode(scratch.file("c.xz").readFile(), 3000) == input)
        #expect(try decode(scratch.file("d.xz").readFile(), 3000) == input + input + input)
    }

    @Test func everyTruncationIsFound() throws {
        let bytes = try encode(Samples.text(2000), 2000)
        for count in 0..<bytes.count {
            #expect(throws: CompressionError.self) { try decode(Array(bytes[..<count]), 64) }
        }
    }

    @Test func everyDamagedByteIsFound() throws {
        let bytes = try encode(Samples.text(2000), 2000)
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x20
            #expect(throws: CompressionError.self, "byte \(index)") { try decode(damaged, 1000) }
        }
    }

    @Test func garbageAfterTheStreamIsFound() throws {
        let bytes = try encode(Samples.text(2000), 2000)
        #expect(throws: CompressionError.self) { try decode(bytes + Samples.noise(64), 1000) }
        #expect(throws: CompressionError.self) { try decode(bytes + [0], 1000) }
        // Stream padding of four zeros is allowed by the format.
        #expect(try decode(bytes + [0, 0, 0, 0], 1000) == Samples.text(2000))
    }

    private struct SinkFull: Error {}

    @Test func anErrorOfTheSinkEndsTheStream() throws {
        let noise = Samples.noise(300_000)
        var encoder = try XZEncoder(level: 0)
        #expect(throws: SinkFull.self) {
            try noise.withUnsafeBytes { try encoder.write($0) { _ in throw SinkFull() } }
        }
        #expect(throws: CompressionError.self) { try encoder.finish { _ in } }
    }

    @Test func aHugeDictionaryIsRefused() throws {
        let bytes = Samples.withHugeDictionary(try encode(Samples.text(1000), 1000))
        let error = #expect(throws: CompressionError.self) { try decode(bytes, 100) }
        #expect(error?.code == .memoryLimit)
    }

    @Test func unknownLevelsAreRefused() {
        #expect(throws: CompressionError.self) { _ = try XZEncoder(level: 10) }
        #expect(throws: CompressionError.self) { _ = try XZEncoder(level: -1) }
    }
}
