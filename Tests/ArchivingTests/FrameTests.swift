import Archiving
import Compressing
import Encrypting
import Kernel
import Testing

struct FrameTests {
    static let place = FramePlace(
        archive: ArchiveID(bytes: Array(0..<16)) ?? .random(), number: 3, kind: .data, isLast: false)

    static func sealed(
        _ payload: [UInt8], at place: FramePlace = place, level: CompressionLevel = .fast, key: SecretKey? = nil
    ) throws -> [UInt8] {
        let sealer = try FrameSealer(key: key ?? makeKey(), verifies: true)
        return try payload.withUnsafeBytes { try sealer.seal($0, at: place, level: level, time: 1_795_411_080) }
    }

    static func opened(_ frame: [UInt8], at place: FramePlace = place, keys: [SecretKey]? = nil) throws -> [UInt8] {
        let opener = try FrameOpener(keys: keys ?? [makeKey()])
        guard try FrameLimit.tokenCount(decoding: frame) == frame.count - 4 else { throw ArchiveError(.truncated, "length") }
        var payload: [UInt8] = []
        try frame.dropFirst(4).withUnsafeBytes { try opener.open($0, at: place, into: &payload) }
        return payload
    }

    @Test(arguments: ["none", "zstd:1", "zstd:19", "xz:0", "xz:6"])
    func payloadsComeBack(_ level: String) throws {
        let level = try #require(CompressionLevel(level))
        var random = SeededGenerator(seed: 31)
        for payload in [[], [7], [UInt8](repeating: 1, count: 100_000), random.bytes(70_000)] {
            #expect(try FrameTests.opened(FrameTests.sealed(payload, level: level)) == payload)
        }
    }

    @Test func aSealerAndAnOpenerAreUsedAgain() throws {
        let sealer = try FrameSealer(key: makeKey(), verifies: true)
        let opener = try FrameOpener(keys: [makeKey()])
        var random = SeededGenerator(seed: 32)
        var opened: [UInt8] = []
        for number in 0..<20 {
            let payload = random.bytes(Int.random(in: 0...5000, using: &random))
            let place = FramePlace(archive: FrameTests.place.archive, number: UInt32(number), kind: .manifest, isLast: number == 19)
            let frame = try payload.withUnsafeBytes { try sealer.seal($0, at: place, level: .fast, time: 1) }
            try frame.dropFirst(4).withUnsafeBytes { try opener.open($0, at: place, into: &opened) }
            #expect(opened == payload)
        }
    }

    @Test func everyFlippedByteIsNoticed() throws {
        let frame = try FrameTests.sealed(Array("a small file".utf8))
        for index in frame.indices {
            for bit in [UInt8(1), 0x80] {
                var changed = frame
                changed[index] ^= bit
                #expect(throws: ArchiveError.self, "byte \(index)") { try FrameTests.opened(changed) }
            }
        }
    }

    @Test func everyTruncationIsNoticed() throws {
        let frame = try FrameTests.sealed(Array("a small file".utf8))
        let opener = try FrameOpener(keys: [makeKey()])
        for count in 0..<frame.count - 4 {
            let token = Array(frame[4..<4 + count])
            var payload: [UInt8] = [1]
            #expect(code { try token.withUnsafeBytes { try opener.open($0, at: FrameTests.place, into: &payload) } } == .authentication)
            #expect(payload.isEmpty)
        }
    }

    @Test func aFrameOpensOnlyAtItsPlace() throws {
        let frame = try FrameTests.sealed([1, 2, 3])
        let places = [
            FramePlace(archive: .random(), number: 3, kind: .data, isLast: false),
            FramePlace(archive: FrameTests.place.archive, number: 4, kind: .data, isLast: false),
            FramePlace(archive: FrameTests.place.archive, number: 3, kind: .manifest, isLast: false),
            FramePlace(archive: FrameTests.place.archive, number: 3, kind: .data, isLast: true),
        ]
        for place in places { #expect(code { try FrameTests.opened(frame, at: place) } == .misplaced) }
        #expect(try FrameTests.opened(frame) == [1, 2, 3])
    }

    @Test func anyOfSeveralKeysOpens() throws {
        let other = try SecretKey.generate()
        let frame = try FrameTests.sealed([1], key: other)
        #expect(try FrameTests.opened(frame, keys: [makeKey(), other]) == [1])
        #expect(code { try FrameTests.opened(frame) } == .authentication)
        #expect(code { try FrameTests.opened(frame, keys: []) } == .authentication)
    }

    @Test func aMovedFrameKeepsItsCompressedPayload() throws {
        let payload = [UInt8](repeating: 9, count: 50_000)
        let frame = try FrameTests.sealed(payload, level: .deep)
        let opener = try FrameOpener(keys: [makeKey()])
        let compressed = try frame.dropFirst(4).withUnsafeBytes { try opener.openCompressed($0, at: FrameTests.place) }
        #expect(compressed.codec == .xz)
        #expect(compressed.count == payload.count)
        let place = FramePlace(archive: .random(), number: 0, kind: .data, isLast: false)
        let moved = try FrameSealer(key: makeKey(), verifies: true).reseal(compressed, at: place, time: 2)
        #expect(try FrameTests.opened(moved, at: place) == payload)
        #expect(moved.count == frame.count)
    }

    /// Plaintexts that carry a valid signature, and yet are not frames of version 1.
    @Test func authenticFramesOfAnotherFormatAreRefused() throws {
        let cipher = try FernetCipher(key: makeKey())
        let good = Array(UInt8(0)..<16) + [3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 8, 9]
        func verdict(_ change: (inout [UInt8]) -> Void) throws -> ArchiveError.Code? {
            var plaintext = good
            change(&plaintext)
            var token: [UInt8] = []
            try cipher.seal(plaintext, timeSeconds: 1, into: &token)
            let length = (0..<4).map { UInt8(truncatingIfNeeded: token.count >> (8 * $0)) }
            return code { try FrameTests.opened(length + token) }
        }
        #expect(try verdict { _ in } == nil)
        #expect(try verdict { $0[22] = 2 } == .reservedNotZero)
        #expect(try verdict { $0[23] = 1 } == .reservedNotZero)
        #expect(try verdict { $0[31] = 1 } == .reservedNotZero)
        #expect(try verdict { $0[21] = 3 } == .malformed)
        #expect(try verdict { $0[24] = 3 } == .malformed)
        #expect(try verdict { $0[24...27] = [1, 0, 0, 4] } == .tooLarge)
        #expect(try verdict { $0.removeLast(3) } == .truncated)
        #expect(try verdict { $0[21] = 2 } == .malformed)
    }

    @Test func aPayloadAboveTheLimitIsRefused() throws {
        let sealer = try FrameSealer(key: makeKey(), verifies: false)
        let payload = [UInt8](repeating: 0, count: (64 << 20) + 1)
        #expect(code { try payload.withUnsafeBytes { try sealer.seal($0, at: FrameTests.place, level: .fast, time: 0) } } == .tooLarge)
    }
}
