import Archiving
import Encrypting
import Kernel
import Testing

/// Decoders of hostile bytes end with a value or an ArchiveError, never with a trap.
struct FuzzTests {
    private static let rounds = 3000

    /// Bytes that are a little wrong: flipped, cut, doubled, overwritten with extreme numbers.
    private func damaged(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.removeSubrange(place...)
            case 3: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 20)], at: place)
            case 4: bytes.replaceSubrange(place..<min(bytes.count, place + 9), with: [UInt8](repeating: 0xFF, count: 9))
            default: bytes.remove(at: place)
            }
        }
        return bytes
    }

    private func survives(_ seed: UInt64, _ whole: [UInt8], _ decode: ([UInt8]) throws(ArchiveError) -> Void) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<FuzzTests.rounds {
            let bytes = Bool.random(using: &random) ? damaged(whole, &random) : random.bytes(Int.random(in: 0...600, using: &random))
            do throws(ArchiveError) { try decode(bytes) } catch { #expect(!error.reason.isEmpty, "seed \(seed)") }
        }
    }

    @Test func manifests() {
        var writer = ManifestWriter()
        var random = SeededGenerator(seed: 50)
        let previous = random.chunks(30)
        for var entry in sampleEntries() {
            entry.attributes.removeAll { $0.value.count > 100 }
            writer.add(upsert: entry, previous: entry.content.chunks.count > 16 ? previous + entry.content.chunks : nil)
        }
        survives(51, writer.takeFrame()) { bytes throws(ArchiveError) in
            for record in try readAll(bytes, previous: { _ in previous }) {
                #expect(Path(validating: record.path.bytes) != nil)
            }
        }
    }

    @Test func contents() {
        for kind in ArchiveKind.allCases {
            survives(52, ContentsTests.sample(kind).encode()) { bytes throws(ArchiveError) in
                let contents = try ArchiveContents(decoding: bytes)
                let again = try ArchiveContents(decoding: contents.encode())
                #expect(again == contents)
            }
        }
    }

    @Test func tarFiles() {
        survives(53, TarTests.archive(TarTests.entries)) { bytes throws(ArchiveError) in
            for entry in try TarTests.read(bytes, pieces: 100).entries { _ = try? entry.snapshotEntry() }
        }
    }

    /// The checksum stops nearly all damage; here it is made right again, so that the fields are looked at.
    @Test func tarHeadersWithRightChecksums() throws {
        var header: [UInt8] = []
        TarWriter.append(header: TarTests.entries[0], to: &header)
        var random = SeededGenerator(seed: 56)
        for _ in 0..<FuzzTests.rounds {
            var block = header
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<512, using: &random)
                let value = [0, 0x20, 0x37, 0x67, 0x78, 0x80, 0xFF, UInt8.random(in: 0...255, using: &random)].randomElement(using: &random) ?? 0
                let end = min(512, place + Int.random(in: 1...12, using: &random))
                for index in place..<end { block[index] = value }
            }
            block.replaceSubrange(148..<156, with: [UInt8](repeating: 0x20, count: 8))
            let sum = block.reduce(0) { $0 + Int($1) }
            block.replaceSubrange(148..<155, with: Array(padded(UInt(String(sum, radix: 8)) ?? 0, 6).utf8) + [0])
            let file = block + random.bytes(512) + [UInt8](repeating: 0, count: 2048)
            do throws(ArchiveError) {
                for entry in try TarTests.read(file, pieces: 300).entries { _ = try? entry.snapshotEntry() }
            } catch {
                #expect(!error.reason.isEmpty, "seed 56")
            }
        }
    }

    @Test func headersAndTrailers() {
        survives(54, ArchiveHeader(id: .random()).encode()) { bytes throws(ArchiveError) in _ = try ArchiveHeader(decoding: bytes) }
        survives(55, ArchiveTrailer(offset: 32, tokenCount: 9).encode()) { bytes throws(ArchiveError) in
            _ = try ArchiveTrailer(decoding: bytes, archiveSize: 69)
        }
    }
}
