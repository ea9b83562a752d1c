// Chunks of a data payload, found without a table of contents.

import Archiving
import Encrypting
import Kernel
import Testing

struct PayloadReadingTests {
    /// A payload with a name that ustar cannot hold, a part of a larger file, and content that ends at a block.
    private static func sample() -> (payload: [UInt8], chunks: [PayloadChunk]) {
        var random = SeededGenerator(seed: 61)
        var payload = DataPayload()
        for (name, count, offset) in [("a", 1, nil), (String(repeating: "long/", count: 60) + "\u{e4}", 700, nil), ("b", 512, 4096 as UInt64?)] {
            let bytes = random.bytes(count)
            bytes.withUnsafeBytes { payload.append($0, digest: SHA256.digest(of: bytes), of: file(name), chunkOffset: offset) }
        }
        return payload.take()
    }

    @Test func whatWasAppendedIsFound() throws {
        let (payload, chunks) = PayloadReadingTests.sample()
        #expect(chunks.count == 3)
        #expect(try DataPayload.chunks(ofPayload: payload) == chunks)
        #expect(try DataPayload.chunks(ofPayload: []) == [])
    }

    @Test func everyTruncationIsRefusedOrEndsWithAnEntry() throws {
        let (payload, chunks) = PayloadReadingTests.sample()
        let ends = [0] + chunks.map { DataPayload.entryEnd(Int($0.offset) + Int($0.length)) }
        for count in 0...payload.count {
            let cut = Array(payload[..<count])
            if let whole = ends.firstIndex(of: count) {
                #expect(try DataPayload.chunks(ofPayload: cut) == Array(chunks[..<whole]))
            } else {
                #expect(throws: ArchiveError.self, "\(count) bytes") { try DataPayload.chunks(ofPayload: cut) }
            }
        }
    }

    @Test func whatIsNoChunkIsRefused() {
        func refusal(_ entries: [TarEntry], _ rest: [UInt8] = []) -> ArchiveError.Code? {
            var bytes: [UInt8] = []
            for entry in entries {
                TarWriter.append(header: entry, to: &bytes)
                bytes += [UInt8](repeating: 7, count: Int(entry.size))
                TarWriter.append(paddingAfter: entry.size, to: &bytes)
            }
            let error = #expect(throws: ArchiveError.self) { try DataPayload.chunks(ofPayload: bytes + rest) }
            return error?.code
        }
        var large = TarEntry(path: [0x61], kind: .file, mode: 0o644)
        large.size = UInt64(Chunk.maximumLength) + 1
        #expect(refusal([large]) == .malformed)
        for kind: TarEntry.Kind in [.file, .directory, .symlink, .hardLink, .fifo] {
            #expect(refusal([TarEntry(path: [0x61], kind: kind, mode: 0o644)]) == .malformed)
        }
        var small = large
        small.size = 5
        #expect(refusal([small], [UInt8](repeating: 0, count: 512)) == .truncated)
        #expect(refusal([small], [UInt8](repeating: 0, count: 1024)) == .malformed)
        #expect(refusal([small], [UInt8](repeating: 1, count: 512)) == .malformed)
        #expect(refusal([small], [1]) == .truncated)
    }

    @Test func hostilePayloadsNeverTrap() {
        let (payload, _) = PayloadReadingTests.sample()
        var random = SeededGenerator(seed: 62)
        for index in payload.indices {
            var changed = payload
            changed[index] = UInt8(truncatingIfNeeded: random.next())
            _ = try? DataPayload.chunks(ofPayload: changed)
        }
        for count in 0..<40 { _ = try? DataPayload.chunks(ofPayload: random.bytes(count * 512)) }
    }
}
