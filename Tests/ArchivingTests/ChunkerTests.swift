import Archiving
import Encrypting
import Testing

struct ChunkerTests {
    private func lengths(_ bytes: [UInt8], _ sizes: Chunker.Sizes = .normal) -> [Int] {
        let chunker = Chunker(sizes)
        var lengths: [Int] = []
        bytes.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let length = chunker.chunkLength(in: UnsafeRawBufferPointer(rebasing: bytes[start...]))
                lengths.append(length)
                if length == 0 { break }
                start += length
            }
        }
        return lengths
    }

    private func digests(_ bytes: [UInt8]) -> [Digest] {
        var start = 0
        return lengths(bytes).map { length in
            defer { start += length }
            return SHA256.digest(of: Array(bytes[start..<start + length]))
        }
    }

    /// Where this fails, nothing that is stored would be found again.
    @Test func cutsAreWhereTheyAlwaysWere() {
        var random = SeededGenerator(seed: 41)
        #expect(lengths(random.bytes(2 << 20)) == [231896, 361119, 310387, 241489, 317100, 137185, 390085, 107891])
    }

    @Test func chunksCoverTheContentWithinTheSizes() {
        var random = SeededGenerator(seed: 42)
        for sizes in [Chunker.Sizes.normal, .large] {
            let bytes = random.bytes(24 << 20)
            let found = lengths(bytes, sizes)
            #expect(found.reduce(0, +) == bytes.count)
            #expect(found.dropLast().allSatisfy { (sizes.minimum...sizes.maximum).contains($0) })
            let mean = found.reduce(0, +) / found.count
            #expect((sizes.average * 3 / 4...sizes.average * 5 / 4).contains(mean), "mean \(mean)")
        }
    }

    @Test func smallContentIsOneChunk() {
        let chunker = Chunker()
        for count in [0, 1, 65_535, 65_536] {
            let bytes = [UInt8](repeating: 5, count: count)
            #expect(bytes.withUnsafeBytes { chunker.chunkLength(in: $0) } == count)
        }
        #expect(lengths([UInt8](repeating: 0, count: 3 << 20)).allSatisfy { $0 <= 1 << 20 })
    }

    @Test func anInsertionMovesFewCuts() {
        var random = SeededGenerator(seed: 43)
        let bytes = random.bytes(16 << 20)
        let before = Set(digests(bytes))
        for place in [0, 1000, 8 << 20, 16 << 20] {
            var changed = bytes
            changed.insert(contentsOf: random.bytes(1001), at: place)
            let new = digests(changed).filter { !before.contains($0) }
            #expect((1...3).contains(new.count), "insertion at \(place)")
        }
    }

    /// More bytes behind the cut do not move it, so that a reader may take the file in pieces.
    @Test func aCutDependsOnItsChunkAlone() {
        var random = SeededGenerator(seed: 44)
        let bytes = random.bytes(3 << 20)
        let chunker = Chunker()
        let whole = bytes.withUnsafeBytes { chunker.chunkLength(in: $0) }
        let piece = Array(bytes[..<(1 << 20)])
        #expect(piece.withUnsafeBytes { chunker.chunkLength(in: $0) } == whole)
    }

    @Test func veryLargeFilesGetLargerChunks() {
        #expect(Chunker.Sizes.sizes(forFileOf: 0) == .normal)
        #expect(Chunker.Sizes.sizes(forFileOf: 1 << 40) == .large)
        #expect(Chunker.Sizes.large.maximum <= Int(Chunk.maximumLength))
    }
}
