// Reading archives that are damaged, hostile, or somewhere else than they belong.

import Archiving
import Compressing
import Encrypting
import Kernel
import Storing
import Testing

struct ArchiveReaderTests {
    private let fixture: ArchiveFixture
    private let archive: PublishedArchive
    private let bytes: [UInt8]

    init() throws {
        fixture = try ArchiveFixture()
        let writer = try fixture.writer(9)
        for seed: UInt64 in 1...2 {
            let payload = noise(100, seed: seed)
            try writer.appendData(payload: payload, chunks: [fixture.chunk(payload)], level: .fast)
        }
        try writer.appendManifest(noise(50, seed: 3), level: .deep)
        archive = try writer.finish(kind: .full, time: 5000, snapshot: fixture.snapshot, highestSnapshot: 3)
        let name = archive.stored.name
        bytes = fixture.memory.state.withLock { $0.archives[name] ?? [] }
    }

    /// Opens other bytes under a name, and reads every frame.
    private func readAll(_ bytes: [UInt8], name: ArchiveName? = nil, repository: ArchiveID? = nil) throws {
        let reader = try ArchiveReader(
            MemorySource(bytes), name: name ?? archive.stored.name, keys: [fixture.key], repository: repository ?? fixture.repository)
        let opener = try fixture.opener()
        var payload: [UInt8] = []
        for number in reader.contents.frames.indices { try reader.frame(number, into: &payload, opener: opener) }
    }

    private func refusal(_ bytes: [UInt8], name: ArchiveName? = nil, repository: ArchiveID? = nil) -> ArchiveError? {
        #expect(throws: ArchiveError.self) { try readAll(bytes, name: name, repository: repository) }
    }

    @Test func wholeArchiveIsRead() throws {
        try readAll(bytes)
        try fixture.reader(archive.stored.name).verifyDigest()
    }

    @Test func everyFlippedByteIsRefusedWithThePlace() {
        let seed = UInt64.random(in: .min ... .max)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1 << UInt8(truncatingIfNeeded: (seed &+ UInt64(index)) % 8)
            guard let error = refusal(changed) else {
                Issue.record("byte \(index), seed \(seed)")
                continue
            }
            #expect(error.archive == archive.stored.name.text)
            #expect(!error.description.isEmpty)
        }
    }

    @Test func everyShorterOrLongerFileIsRefused() {
        for count in bytes.indices { #expect(refusal(Array(bytes[..<count])) != nil, "\(count) bytes") }
        _ = refusal(bytes + [0])
        _ = refusal([0] + bytes)
    }

    @Test func damageToOneFrameCostsThatFrameAlone() throws {
        let reader = try fixture.reader(archive.stored.name)
        let opener = try fixture.opener()
        // The length field of frame 1, and a byte inside its token.
        let start = 32 + 4 + Int(reader.contents.frames[0].tokenCount)
        for index in [start, start + 60] {
            var changed = bytes
            changed[index] ^= 1
            let damaged = try ArchiveReader(
                MemorySource(changed), name: archive.stored.name, keys: [fixture.key], repository: fixture.repository)
            var payload: [UInt8] = []
            try damaged.frame(0, into: &payload, opener: opener)
            #expect(payload == noise(100, seed: 1))
            try damaged.frame(2, into: &payload, opener: opener)
            #expect(payload == noise(50, seed: 3))
            let error = #expect(throws: ArchiveError.self) { try damaged.frame(1, into: &payload, opener: opener) }
            #expect(error?.frame == 1)
            #expect(error?.offset == UInt64(start))
            #expect(error?.archive == archive.stored.name.text)
        }
    }

    @Test func renamedArchiveIsRefused() {
        var name = archive.stored.name
        name.number += 1
        #expect(refusal(bytes, name: name)?.code == .misplaced)
        name = archive.stored.name
        name.time += 1
        #expect(refusal(bytes, name: name)?.code == .misplaced)
        name = archive.stored.name
        name.kind = .incremental
        #expect(refusal(bytes, name: name)?.code == .misplaced)
    }

    @Test func archiveOfAnotherRepositoryIsRefused() throws {
        #expect(refusal(bytes, repository: .random())?.code == .misplaced)
        _ = try ArchiveReader(MemorySource(bytes), name: archive.stored.name, keys: [fixture.key], repository: nil)
    }

    @Test func keysAreTriedAndAWrongOneFails() throws {
        let other = try SecretKey.generate()
        let name = archive.stored.name
        _ = try ArchiveReader(MemorySource(bytes), name: name, keys: [other, fixture.key], repository: nil)
        for keys in [[other], []] {
            let error = #expect(throws: ArchiveError.self) {
                try ArchiveReader(MemorySource(bytes), name: name, keys: keys, repository: nil)
            }
            #expect(error?.code == .authentication)
        }
    }

    @Test func newerVersionIsSaidSo() {
        var changed = bytes
        changed[8] = 2
        #expect(refusal(changed)?.code == .unknownVersion)
    }

    @Test func unreadableFileIsNotDamage() throws {
        let storage = FaultyStorage(fixture.memory)
        let fault = StorageError(.io, "bad sector", at: .root, errno: .ioError)
        storage.fail(.read, after: 2, with: fault)
        let reader = try fixture.reader(archive.stored.name, in: storage)
        var payload: [UInt8] = []
        let error = #expect(throws: StorageError.self) { try reader.frame(0, into: &payload, opener: fixture.opener()) }
        #expect(error == fault)
    }

    @Test func largeContentsAreReadToo() throws {
        let writer = try fixture.writer(10)
        // 3,000 chunks are about 100 KB of contents: more than is read with the trailer.
        let payload = noise(3000, seed: 4)
        let chunks = (0..<3000).map { PayloadChunk(digest: SHA256.digest(of: [payload[$0], UInt8($0 >> 8), UInt8($0 & 255)]), offset: UInt32($0), length: 1) }
        try writer.appendData(payload: payload, chunks: chunks, level: .stored)
        let published = try writer.finish(kind: .data, time: 1, highestSnapshot: 0)
        #expect(published.stored.size > 90_000)
        #expect(try fixture.reader(published.stored.name).contents.chunks.count == 3000)
    }

    // MARK: Archives that hold the key and lie

    /// Puts an archive together from tokens that all open, with a table of contents that may not fit.
    private func forge(
        _ frames: [(FrameKind, [UInt8])], contents change: (inout ArchiveContents) -> Void, contentsNumber: UInt32? = nil,
        gap: [UInt8] = []
    ) throws -> [UInt8] {
        let sealer = try FrameSealer(key: fixture.key, verifies: false)
        let id = ArchiveID.random()
        var file = ArchiveHeader(id: id).encode()
        var records: [FrameRecord] = []
        for (index, frame) in frames.enumerated() {
            let place = FramePlace(archive: id, number: UInt32(index), kind: frame.0, isLast: false)
            let sealed = try frame.1.withUnsafeBytes { try sealer.seal($0, at: place, level: .stored, time: 1) }
            records.append(FrameRecord(kind: frame.0, tokenCount: UInt32(sealed.count - 4)))
            file += sealed
        }
        file += gap
        var contents = ArchiveContents(
            repository: fixture.repository, number: 9, kind: .full, time: 5000, frames: records, snapshot: fixture.snapshot,
            highestSnapshot: 3)
        change(&contents)
        let place = FramePlace(archive: id, number: contentsNumber ?? UInt32(frames.count), kind: .contents, isLast: true)
        let sealed = try contents.encode().withUnsafeBytes { try sealer.seal($0, at: place, level: .fast, time: 1) }
        let trailer = ArchiveTrailer(offset: UInt64(file.count), tokenCount: UInt32(sealed.count - 4))
        return file + sealed + trailer.encode()
    }

    @Test func truthfulForgeryIsRead() throws {
        try readAll(forge([(.data, [1]), (.manifest, [2])], contents: { _ in }))
    }

    @Test func tableThatDoesNotFillTheSpaceIsRefused() throws {
        #expect(try refusal(forge([(.data, [1])], contents: { $0.frames[0].tokenCount += 1 }))?.code == .malformed)
        #expect(try refusal(forge([(.data, [1])], contents: { _ in }, gap: [0, 0]))?.code == .malformed)
        #expect(try refusal(forge([(.data, [1]), (.data, [2])], contents: { $0.frames.removeLast() })) != nil)
        #expect(try refusal(forge([(.data, [1])], contents: { $0.frames[0].tokenCount = 1 << 26 })) != nil)
    }

    @Test func tableThatMovesABoundaryIsRefusedAtTheFrame() throws {
        let file = try forge([(.data, noise(40, seed: 1)), (.data, noise(40, seed: 2))], contents: {
            $0.frames[0].tokenCount += 16
            $0.frames[1].tokenCount -= 16
        })
        #expect(refusal(file)?.frame == 0)
    }

    @Test func contentsWithTheWrongNumberAreRefused() throws {
        #expect(try refusal(forge([(.data, [1])], contents: { _ in }, contentsNumber: 7))?.code == .misplaced)
    }

    @Test func frameOfAnotherKindIsRefused() throws {
        #expect(try refusal(forge([(.data, [1])], contents: { $0.frames[0].kind = .manifest }))?.code == .misplaced)
    }
}
