// Writing archives: order, bounds, and what every failure leaves behind.

import Archiving
import Compressing
import Encrypting
import Kernel
import Storing
import Testing

struct ArchiveWriterTests {
    private let full = StorageError(.full, "no space", at: .root)
    private let broken = CompressedFrame(codec: .zstd, count: -1, bytes: [1, 2, 3])

    @Test func framesComeBackInTheOrderInWhichTheyWereGiven() throws {
        let fixture = try ArchiveFixture(workers: 4)
        // Large and small ones by turns, so that later ones are sealed sooner.
        let payloads = (0..<60).map { noise($0 % 3 == 0 ? 400_000 : 50 + $0, seed: UInt64($0)) }
        let archive = try fixture.publish(payloads)
        #expect(try fixture.payloads(of: archive) == payloads)
        #expect(archive.contents.chunks.map(\.frame) == (0..<60).map { UInt32($0) })
        #expect(archive.contents.frames.allSatisfy { $0.kind == .data })
        try archive.readBack(from: fixture.memory, keys: [fixture.key])
    }

    @Test func everythingThatIsSaidOfAnArchiveIsReadAgain() throws {
        let fixture = try ArchiveFixture()
        let writer = try fixture.writer(77)
        let payload = noise(3000, seed: 1)
        try writer.appendData(payload: payload, chunks: [fixture.chunk(payload)], level: .deep)
        try writer.appendManifest(noise(500, seed: 2), level: .fast)
        try writer.appendManifest([], level: .stored)
        #expect(writer.chunkCount == 1)
        #expect(writer.frameCount == 3)
        let head = SHA256.digest(of: [9])
        let archive = try writer.finish(
            kind: .full, time: 1_795_411_080_123, snapshot: fixture.snapshot, replaces: [4, 5], recordHead: head, highestSnapshot: 8)
        #expect(archive.stored.name.text.hasPrefix("000000077-20261123T051800.123Z-full-"))
        let contents = try fixture.reader(archive.stored.name).contents
        #expect(contents == archive.contents)
        #expect(contents.snapshot == fixture.snapshot)
        #expect(contents.replaces == [4, 5])
        #expect(contents.recordHead == head)
        #expect(contents.highestSnapshot == 8)
        #expect(contents.frames.map(\.kind) == [.data, .manifest, .manifest])
        #expect(try fixture.payloads(of: archive) == [payload, noise(500, seed: 2), []])
    }

    @Test func recordArchiveHasOnlyItsContents() throws {
        let fixture = try ArchiveFixture()
        let remarks = [Remark(kind: .pin, snapshot: 2, text: []), Remark(kind: .tag, snapshot: 3, text: Array("before".utf8))]
        let archive = try fixture.writer(5).finish(kind: .record, time: 1, remarks: remarks, highestSnapshot: 3)
        let contents = try fixture.reader(archive.stored.name).contents
        #expect(contents.remarks == remarks)
        #expect(contents.frames.isEmpty)
    }

    @Test func movedFrameKeepsItsCompressedPayload() throws {
        let fixture = try ArchiveFixture()
        let payload = [UInt8](repeating: 7, count: 100_000)
        let old = try fixture.reader(fixture.publish([[1, 2, 3], payload]).stored.name)
        let frame = try old.compressedFrame(1, opener: fixture.opener())
        #expect(frame.bytes.count < 1000)
        let writer = try fixture.writer(2)
        try writer.appendCompressed(frame, chunks: [fixture.chunk(payload)])
        let moved = try writer.finish(kind: .data, time: 6000, highestSnapshot: 0)
        #expect(try fixture.payloads(of: moved) == [payload])
        #expect(try fixture.reader(moved.stored.name).compressedFrame(0, opener: fixture.opener()) == frame)
    }

    @Test func memoryInFlightStaysWithinItsBound() throws {
        let fixture = try ArchiveFixture(workers: 2, bytesInFlight: 1_000_000)
        let writer = try fixture.writer()
        for seed: UInt64 in 0..<40 {
            let payload = noise(150_000, seed: seed)
            try writer.appendData(payload: payload, chunks: [fixture.chunk(payload)], level: .stored)
            #expect(writer.sizeEstimate >= (seed + 1) * 150_000)
            #expect(writer.bytesInFlight <= 1_000_000)
        }
        let archive = try writer.finish(kind: .data, time: 1, highestSnapshot: 0)
        #expect(archive.contents.frames.count == 40)
    }

    @Test func payloadAboveTheBoundPassesAlone() throws {
        let fixture = try ArchiveFixture(workers: 2, bytesInFlight: 1000)
        let payloads = [noise(5000, seed: 1), noise(10, seed: 2), noise(7000, seed: 3)]
        #expect(try fixture.payloads(of: fixture.publish(payloads)) == payloads)
    }

    @Test func writersOfOneThreadDoNotWaitForEachOther() throws {
        let fixture = try ArchiveFixture(workers: 1, bytesInFlight: 1000)
        let writers = try [fixture.writer(1), fixture.writer(2)]
        for seed: UInt64 in 0..<20 {
            for writer in writers {
                let payload = noise(900, seed: seed)
                try writer.appendData(payload: payload, chunks: [fixture.chunk(payload)], level: .fast)
            }
        }
        for writer in writers { _ = try writer.finish(kind: .data, time: 1, highestSnapshot: 0) }
        #expect(try fixture.memory.list().count == 2)
    }

    @Test func workersErrorEndsTheArchive() throws {
        let fixture = try ArchiveFixture()
        let before = try fixture.publish([[1]])
        let writer = try fixture.writer(2)
        try writer.appendData(payload: [1], chunks: [fixture.chunk([1])], level: .fast)
        // It surfaces at a later call at the latest, once its turn has come.
        let error = #expect(throws: ArchiveError.self) {
            try writer.appendCompressed(broken, chunks: [])
            _ = try writer.finish(kind: .data, time: 1, highestSnapshot: 0)
        }
        #expect(error?.code == .tooLarge)
        let again = #expect(throws: ArchiveError.self) { try writer.appendManifest([1], level: .fast) }
        #expect(again == error)
        #expect(throws: ArchiveError.self) { try writer.finish(kind: .data, time: 1, highestSnapshot: 0) }
        #expect(try fixture.memory.list() == [before.stored])
        #expect(try fixture.memory.removeLeftovers() == 0)
        // The pool goes on for others.
        _ = try fixture.publish([[3]], number: 3)
    }

    @Test(arguments: 0..<8)
    func fullStorageEndsTheArchiveAtAnyWrite(after count: Int) throws {
        let fixture = try ArchiveFixture()
        let before = try fixture.publish([[1]])
        let storage = FaultyStorage(fixture.memory)
        // Header, five frames, contents, trailer: eight writes.
        storage.fail(.append, after: count, with: full)
        let error = #expect(throws: StorageError.self) {
            _ = try fixture.publish((0..<5).map { noise(5000, seed: $0) }, number: 2, in: storage)
        }
        #expect(error == full)
        #expect(try fixture.memory.list() == [before.stored])
        #expect(try fixture.memory.removeLeftovers() == 0, "the unfinished archive is gone")
    }

    @Test(arguments: [FaultyStorage.Operation.begin, .publish, .list])
    func failedStepLeavesNothing(operation: FaultyStorage.Operation) throws {
        let fixture = try ArchiveFixture()
        let before = try fixture.publish([[1]])
        let storage = FaultyStorage(fixture.memory)
        storage.fail(operation, with: full)
        let error = #expect(throws: StorageError.self) { try fixture.publish([[2]], number: 2, in: storage) }
        #expect(error == full)
        #expect(try fixture.memory.list() == [before.stored])
        #expect(try fixture.memory.removeLeftovers() == 0)
    }

    @Test func secondWriterIsNoticedAndOwnArchiveWithdrawn() throws {
        let fixture = try ArchiveFixture()
        let rival = ArchiveName(number: 2, time: 1, kind: .full, digest: SHA256.digest(of: [1]))
        let memory = fixture.memory
        let storage = FaultyStorage(memory, afterPublish: { memory.state.withLock { $0.archives[rival] = [1] } })
        let writer = try fixture.writer(2, in: storage)
        let error = #expect(throws: StorageError.self) { try writer.finish(kind: .data, time: 1, highestSnapshot: 0) }
        #expect(error?.code == .secondWriter)
        #expect(error?.code.exitStatus == 11)
        #expect(try fixture.memory.list().map(\.name) == [rival])
    }

    @Test func abandonedArchiveLeavesNothing() throws {
        let fixture = try ArchiveFixture()
        let writer = try fixture.writer()
        for seed: UInt64 in 0..<10 { try writer.appendManifest(noise(100_000, seed: seed), level: .fast) }
        writer.abandon()
        #expect(throws: StorageError.self) { try writer.appendManifest([1], level: .fast) }
        #expect(throws: StorageError.self) { try writer.finish(kind: .data, time: 1, highestSnapshot: 0) }
        #expect(try fixture.memory.list().isEmpty)
        #expect(try fixture.memory.removeLeftovers() == 0)
    }

    @Test func droppedWriterLeavesNothing() throws {
        let fixture = try ArchiveFixture()
        do { try fixture.writer().appendManifest([1], level: .fast) }
        #expect(try fixture.memory.removeLeftovers() == 0)
    }

    @Test func finishedWriterIsDone() throws {
        let fixture = try ArchiveFixture()
        let writer = try fixture.writer()
        let archive = try writer.finish(kind: .data, time: 1, highestSnapshot: 0)
        #expect(throws: StorageError.self) { try writer.appendManifest([1], level: .fast) }
        #expect(throws: StorageError.self) { try writer.finish(kind: .data, time: 1, highestSnapshot: 0) }
        writer.abandon()
        #expect(try fixture.memory.list() == [archive.stored])
    }

    @Test func contentsThatNoReaderTakesAreNotPublished() throws {
        let fixture = try ArchiveFixture()
        let writer = try fixture.writer()
        // A commit without a snapshot.
        let error = #expect(throws: ArchiveError.self) { try writer.finish(kind: .full, time: 1, highestSnapshot: 0) }
        #expect(error?.code == .malformed)
        #expect(try fixture.memory.list().isEmpty)
        #expect(try fixture.memory.removeLeftovers() == 0)
    }

    @Test func tooManyChunksAreRefused() throws {
        let fixture = try ArchiveFixture()
        let writer = try fixture.writer()
        let chunk = PayloadChunk(digest: SHA256.digest(of: []), offset: 0, length: 1)
        let most = [PayloadChunk](repeating: chunk, count: ArchiveWriter.maximumChunks)
        let error = #expect(throws: StorageError.self) { try writer.appendData(payload: [1], chunks: most + [chunk], level: .fast) }
        #expect(error?.code == .tooLarge)
    }

    @Test func publishedArchiveIsReadBackFromDisk() throws {
        let fixture = try ArchiveFixture()
        let directory = try TemporaryDirectory()
        let storage = LocalStorage(at: directory.path)
        let archive = try fixture.publish([noise(2_000_000, seed: 1)], in: storage)
        try archive.readBack(from: storage, keys: [fixture.key])
        let file = try Descriptor.open(directory.path.appending(archive.stored.name.text.utf8), [.readWrite])
        let before = try file.bytes(at: 1_000_000, count: 1)
        try file.seek(to: 1_000_000)
        try file.write([before[0] ^ 0x80])
        let error = #expect(throws: ArchiveError.self) { try archive.readBack(from: storage, keys: [fixture.key]) }
        #expect(error?.code == .digestMismatch)
    }
}
