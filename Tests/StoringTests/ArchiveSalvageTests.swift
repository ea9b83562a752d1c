// What is left of damaged archives.

import Archiving
import Compressing
import Encrypting
import Kernel
import Testing

@testable import Storing

struct ArchiveSalvageTests {
    private let fixture: ArchiveFixture
    private let name: ArchiveName
    private let bytes: [UInt8]
    /// Of the frames in the file, with their length fields; the contents frame is the last.
    private let frames: [Range<Int>]
    private let whole: [SalvagedFrame]

    init() throws {
        fixture = try ArchiveFixture()
        let writer = try fixture.writer(9)
        for seed: UInt64 in 1...3 {
            let payload = noise(60 + Int(seed) * 16, seed: seed)
            try writer.appendData(payload: payload, chunks: [fixture.chunk(payload)], level: .fast)
        }
        try writer.appendManifest(noise(50, seed: 4), level: .deep)
        name = try writer.finish(kind: .full, time: 5000, snapshot: fixture.snapshot, highestSnapshot: 3).stored.name
        bytes = fixture.memory.state.withLock { [name] in $0.archives[name] ?? [] }
        let contents = try fixture.reader(name).contents
        var ranges: [Range<Int>] = []
        for frame in contents.frames {
            let start = ranges.last?.upperBound ?? 32
            ranges.append(start..<start + 4 + Int(frame.tokenCount))
        }
        ranges.append((ranges.last?.upperBound ?? 32)..<bytes.count - 24)
        frames = ranges
        var payloads = (1...3).map { noise(60 + $0 * 16, seed: UInt64($0)) }
        payloads += [noise(50, seed: 4), contents.encode()]
        whole = payloads.indices.map { index in
            SalvagedFrame(
                number: UInt32(index), kind: index < 3 ? .data : index == 3 ? .manifest : .contents,
                offset: UInt64(ranges[index].lowerBound), payload: payloads[index], contents: index == 4 ? contents : nil)
        }
    }

    private func salvage(
        _ bytes: [UInt8], name: ArchiveName? = nil, keys: [SecretKey]? = nil
    ) throws -> (frames: [SalvagedFrame], report: SalvageReport) {
        var salvage = try ArchiveSalvage(MemorySource(bytes), name: name ?? self.name, keys: keys ?? [fixture.key])
        var frames: [SalvagedFrame] = []
        while let frame = try salvage.next() { frames.append(frame) }
        #expect(try salvage.next() == nil)
        return (frames, salvage.report)
    }

    /// The numbers of the frames, after comparing the rest of them.
    private func numbers(_ frames: [SalvagedFrame]) -> [UInt32] {
        for var frame in frames {
            frame.offset = whole[Int(frame.number)].offset
            #expect(frame == whole[Int(frame.number)])
        }
        return frames.map(\.number)
    }

    private func changed(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var changed = bytes
        change(&changed)
        return changed
    }

    // MARK: Damage

    @Test func aWholeArchiveComesBackWhole() throws {
        let (frames, report) = try salvage(bytes)
        #expect(frames == whole)
        #expect(report == SalvageReport(isHeaderWhole: true, isTrailerWhole: true))
        #expect(try salvage(bytes, keys: [SecretKey.generate(), fixture.key]).frames == whole)
    }

    @Test func everyTruncationKeepsTheFramesBeforeIt() throws {
        for count in bytes.indices {
            let (found, report) = try salvage(Array(bytes[..<count]))
            let left = frames.filter { $0.upperBound <= count }
            #expect(found == Array(whole[..<left.count]), "\(count) bytes")
            let end = left.last?.upperBound ?? (count < 32 ? 0 : 32)
            #expect(report == SalvageReport(isHeaderWhole: count >= 32, bytesPassedOver: UInt64(count - end)), "\(count) bytes")
        }
    }

    @Test func everyFlippedByteCostsItsFrameAtMost() throws {
        for index in bytes.indices {
            for bit in [UInt8(1), 0x80] {
                let (found, report) = try salvage(changed { $0[index] ^= bit })
                let damaged = frames.firstIndex { $0.contains(index) && index >= $0.lowerBound + 4 }
                #expect(numbers(found) == (0..<5).filter { $0 != damaged.map { UInt32($0) } }, "byte \(index)")
                #expect(found.allSatisfy { $0.offset == whole[Int($0.number)].offset })
                #expect(report.isHeaderWhole == (index >= 32), "byte \(index)")
                #expect(report.isTrailerWhole == (index < bytes.count - 24), "byte \(index)")
                let lost = damaged.map { frames[$0].count } ?? (index < 32 ? 32 : index >= bytes.count - 24 ? 24 : 0)
                #expect(report.bytesPassedOver == UInt64(lost), "byte \(index)")
            }
        }
    }

    @Test func theSearchGoesOnBehindADamagedLengthAndToken() throws {
        for wrong: [UInt8] in [[0, 0, 0, 0], [255, 255, 255, 255], [105, 0, 0, 0], [201, 0, 0, 0]] {
            let damaged = changed {
                $0.replaceSubrange(frames[1].lowerBound..<frames[1].lowerBound + 4, with: wrong)
                $0[frames[1].upperBound - 1] ^= 1
            }
            #expect(try numbers(salvage(damaged).frames) == [0, 2, 3, 4])
        }
    }

    @Test func bytesThatAreMissingOrTooManyMoveTheRest() throws {
        let longer = changed { $0.insert(contentsOf: noise(5000, seed: 8), at: frames[2].lowerBound) }
        let (found, report) = try salvage(longer)
        #expect(numbers(found) == [0, 1, 2, 3, 4])
        // The trailer knows another place of the contents, and is damaged in so far.
        #expect(report.bytesPassedOver == 5000 + 24)
        #expect(found[2].offset == whole[2].offset + 5000)
        #expect(try numbers(salvage(changed { $0.removeSubrange(frames[1].lowerBound + 40..<frames[2].lowerBound - 3) }).frames) == [0, 2, 3, 4])
        #expect(try numbers(salvage(changed { $0.removeSubrange(0..<50) }).frames) == [1, 2, 3, 4])
    }

    @Test func anEndThatWasOverwrittenCostsTheContents() throws {
        let cut = frames[4].lowerBound + 10
        let (found, report) = try salvage(changed { $0.replaceSubrange(cut..., with: noise(900, seed: 5)) })
        #expect(found == Array(whole[..<4]))
        #expect(!report.isTrailerWhole)
    }

    @Test func aHeaderThatWasOverwrittenCostsNothing() throws {
        let other = try otherArchive()
        for start in [[UInt8](repeating: 0, count: 32), noise(32, seed: 6), Array(other[..<32])] {
            let (found, report) = try salvage(changed { $0.replaceSubrange(..<32, with: start) })
            #expect(found == whole)
            #expect(report == SalvageReport(isTrailerWhole: true, bytesPassedOver: 32))
        }
    }

    @Test func anUnreadablePlaceCostsItsFrameAlone() throws {
        let writer = try fixture.writer(10)
        let payloads = (0..<4).map { noise(5000, seed: $0) }
        for payload in payloads { try writer.appendData(payload: payload, chunks: [fixture.chunk(payload)], level: .stored) }
        let name = try writer.finish(kind: .data, time: 1, highestSnapshot: 0).stored.name
        let file = fixture.memory.state.withLock { $0.archives[name] ?? [] }
        // Each: length field, overhead and padding of the token, header, payload.
        let token = 4 + Fernet.tokenCount(forPlaintext: 32 + 5000)
        let places = (0..<4).map { 32 + $0 * token..<32 + ($0 + 1) * token } + [32 + 4 * token..<file.count - 24]
        for bad in [0..<512, 1024..<1536, 6144..<10240, file.count - 10..<file.count] {
            var salvage = try ArchiveSalvage(DamagedSource(file, unreadable: bad), name: name, keys: [fixture.key])
            var found: [UInt32] = []
            var errors = 0
            while true {
                do {
                    guard let frame = try salvage.next() else { break }
                    found.append(frame.number)
                } catch let error as StorageError {
                    #expect(error.code == .io)
                    errors += 1
                }
            }
            let lost = (0...4).filter { places[$0].overlaps(bad) }
            #expect(found == (0...4).filter { !lost.contains($0) }.map { UInt32($0) }, "\(bad)")
            #expect(errors > 0)
        }
    }

    // MARK: Forgery

    /// The bytes of another archive under the same key, with frames of the same sizes.
    private func otherArchive() throws -> [UInt8] {
        let payloads = (1...3).map { noise(60 + $0 * 16, seed: UInt64(90 + $0)) }
        let name = try fixture.publish(payloads, number: 20).stored.name
        return fixture.memory.state.withLock { $0.archives[name] ?? [] }
    }

    @Test func aFrameOfAnotherArchiveIsRefused() throws {
        let other = try otherArchive()
        for index in 0...1 {
            let (found, report) = try salvage(changed { $0.replaceSubrange(frames[index], with: other[frames[index]]) })
            #expect(numbers(found) == (0..<5).filter { $0 != index })
            #expect(report.refusedFrames == 1)
            #expect(report.bytesPassedOver == UInt64(frames[index].count))
        }
        let (found, report) = try salvage(changed { $0.insert(contentsOf: other[frames[2]], at: frames[4].lowerBound) })
        #expect(numbers(found) == [0, 1, 2, 3, 4])
        #expect(report.refusedFrames == 1)
    }

    @Test func aFrameThatStandsTwiceIsGivenOnce() throws {
        let (found, report) = try salvage(changed { $0.insert(contentsOf: bytes[frames[1]], at: frames[3].lowerBound) })
        #expect(numbers(found) == [0, 1, 2, 3, 4])
        #expect(report.refusedFrames == 1)
        #expect(report.bytesPassedOver == UInt64(frames[1].count + 24))
    }

    @Test func contentsThatDoNotFitTheNameAreRefused() throws {
        var name = name
        name.number += 1
        let (found, report) = try salvage(bytes, name: name)
        #expect(found == Array(whole[..<4]))
        #expect(report.refusedFrames == 1)
    }

    /// A key's owner could write them; this program does not.
    @Test func framesThatContradictThemselvesAreRefused() throws {
        let sealer = try FrameSealer(key: fixture.key, verifies: false)
        let id = ArchiveID.random()
        func sealed(_ number: UInt32, _ kind: FrameKind, isLast: Bool, _ payload: [UInt8]) throws -> [UInt8] {
            let place = FramePlace(archive: id, number: number, kind: kind, isLast: isLast)
            return try payload.withUnsafeBytes { try sealer.seal($0, at: place, level: .stored, time: 1) }
        }
        var unknown: [UInt8] = []
        try FernetCipher(key: fixture.key).seal(id.bytes + [7, 0, 0, 0, 9] + [UInt8](repeating: 0, count: 11), timeSeconds: 1, into: &unknown)
        let file = try ArchiveHeader(id: id).encode() + sealed(0, .data, isLast: true, [1]) + sealed(1, .contents, isLast: true, [1, 2])
            + [UInt8(unknown.count), 0, 0, 0] + unknown + sealed(4, .manifest, isLast: false, [3])
        let (found, report) = try salvage(file)
        #expect(found.map(\.number) == [4])
        #expect(report.refusedFrames == 3)
    }

    @Test func nothingOpensWithAnotherKey() throws {
        let (found, report) = try salvage(bytes, keys: [SecretKey.generate()])
        #expect(found.isEmpty)
        #expect(report.bytesPassedOver == UInt64(bytes.count - 32 - 24))
        #expect(try salvage(bytes, keys: []).frames.isEmpty)
    }

    @Test func garbageGivesNothing() throws {
        for count in [0, 1, 31, 32, 33, 56, 1000, 100_000] {
            let (found, report) = try salvage(noise(count, seed: UInt64(count)))
            #expect(found.isEmpty)
            #expect(report == SalvageReport(bytesPassedOver: UInt64(count)))
        }
    }

    @Test func bytesThatAllLookLikeFramesComeToAnEnd() throws {
        // A length field, the version, and half of a time: at every ninth place a token of 65,545 bytes.
        let mark: [UInt8] = [0x09, 0x00, 0x01, 0x00, 0x80, 0, 0, 0, 0]
        let hostile = Array(repeatElement(mark, count: 30_000).joined())
        let (found, report) = try salvage(bytes[..<frames[2].lowerBound] + hostile)
        #expect(numbers(found) == [0, 1])
        #expect(report.gaveUp)
        #expect(report.bytesPassedOver == UInt64(hostile.count))
    }
}

/// Bytes of which some cannot be read.
private struct DamagedSource: ArchiveSource {
    private let base: MemorySource
    private let unreadable: Range<Int>
    let path = Path.root
    var size: UInt64 { base.size }

    init(_ bytes: [UInt8], unreadable: Range<Int>) {
        base = MemorySource(bytes)
        self.unreadable = unreadable
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        if unreadable.overlaps(Int(offset)..<Int(offset) + buffer.count) {
            throw StorageError(.io, "bad sector", at: path, errno: .ioError)
        }
        return try base.read(into: buffer, at: offset)
    }
}
