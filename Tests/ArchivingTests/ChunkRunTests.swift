import Archiving
import Encrypting
import Kernel
import Testing

/// What a large file that changed a little costs in an incremental manifest.
struct ChunkRunTests {
    private func roundTrip(_ chunks: [Chunk], against previous: [Chunk]) throws -> (entry: ManifestRecord?, count: Int) {
        var writer = ManifestWriter()
        writer.add(upsert: file("disk.img", chunks), previous: previous)
        let payload = writer.takeFrame()
        let records = try readAll(payload) { asked in
            #expect(asked == path("disk.img"))
            return previous
        }
        return (records.first, payload.count)
    }

    @Test func aChangedChunkCostsOneChunk() throws {
        var random = SeededGenerator(seed: 11)
        let previous = random.chunks(4000)
        var chunks = previous
        chunks[1234] = random.chunks(1)[0]
        let (entry, count) = try roundTrip(chunks, against: previous)
        #expect(entry == .upsert(file("disk.img", chunks)))
        #expect(count < 150)
    }

    @Test func insertionsRemovalsAndMovesComeBack() throws {
        var random = SeededGenerator(seed: 12)
        for round in 0..<200 {
            let previous = random.chunks(Int.random(in: 16...64, using: &random))
            var chunks = previous
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let place = Int.random(in: 0..<max(1, chunks.count), using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: chunks.insert(contentsOf: random.chunks(2), at: place)
                case 1: if chunks.count > 1 { chunks.remove(at: place) }
                case 2: chunks.append(chunks[place])
                default: chunks.reverse()
                }
            }
            #expect(try roundTrip(chunks, against: previous).entry == .upsert(file("disk.img", chunks)), "seed 12, round \(round)")
        }
    }

    @Test func repeatedChunksAreOneRun() throws {
        var random = SeededGenerator(seed: 13)
        let zero = random.chunks(1)[0]
        let previous = [Chunk](repeating: zero, count: 1000)
        let (entry, count) = try roundTrip(previous, against: previous)
        #expect(entry == .upsert(file("disk.img", previous)))
        #expect(count < 80)
    }

    @Test func aFileThatIsAllNewListsItsChunks() throws {
        var random = SeededGenerator(seed: 14)
        let previous = random.chunks(100)
        let chunks = random.chunks(100)
        var writer = ManifestWriter()
        writer.add(upsert: file("x", chunks), previous: previous)
        var isAsked = false
        let records = try readAll(writer.takeFrame()) { _ in
            isAsked = true
            return previous
        }
        #expect(records == [.upsert(file("x", chunks))])
        #expect(!isAsked)
    }

    @Test func aParentThatIsNotThereIsNamed() throws {
        struct Lost: Error {}
        var random = SeededGenerator(seed: 15)
        let chunks = random.chunks(20)
        var writer = ManifestWriter()
        writer.add(upsert: file("x", chunks), previous: chunks)
        let payload = writer.takeFrame()
        #expect(code { try readAll(payload) { _ in throw Lost() } } == .parentMissing)
        #expect(code { try readAll(payload) { _ in [] } } == .parentMissing)
        #expect(code { try readAll(payload) { _ in Array(chunks.dropLast()) } } == .parentMissing)
    }

    /// A few bytes could otherwise ask for more memory than there is.
    @Test func runsCannotAskForMoreChunksThanARecordCanList() throws {
        let previous = [Chunk](repeating: Chunk(digest: SHA256.digest(of: [1]), length: 1), count: 100_000)
        var runs: [UInt8] = []
        // 100,000 kept chunks from 0, thirty times.
        for _ in 0..<30 { runs += [0xC1, 0x9A, 0x0C, 0] }
        var body: [UInt8] = [2, 0, 1, 0x78, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
        body += [8, UInt8(runs.count)] + runs
        #expect(code { try readAll([UInt8(body.count) | 0x80, UInt8(body.count >> 7)] + body) { _ in previous } } == .tooLarge)
    }
}
