// Bytes of a fanotify queue, whole and damaged.

import Kernel
import Testing

struct FanotifyDecoderTests {
    struct Record: Equatable {
        var mask: UInt32
        var fileSystem: UInt64 = 0x1122_3344_5566_7788
        var handle: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        var name: [UInt8]
    }

    static func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    /// The record of directory and name, padded to a multiple of 4. Type 2 is FAN_EVENT_INFO_TYPE_DFID_NAME.
    static func information(_ record: Record, type: UInt8 = 2) -> [UInt8] {
        var body = bytes(record.fileSystem) + bytes(UInt32(record.handle.count)) + bytes(Int32(1)) + record.handle + record.name + [0]
        while body.count % 4 != 0 { body.append(0) }
        return [type, 0] + bytes(UInt16(4 + body.count)) + body
    }

    static func event(_ mask: UInt32, _ information: [UInt8], version: UInt8 = 3) -> [UInt8] {
        bytes(UInt32(24 + information.count)) + [version, 0] + bytes(UInt16(24)) + bytes(UInt64(mask)) + bytes(Int32(-1)) + bytes(Int32(99))
            + information
    }

    static func encode(_ record: Record) -> [UInt8] { event(record.mask, information(record)) }

    static func handle(_ record: Record) -> FileHandle? {
        record.handle.withUnsafeBytes { FileHandle(fileSystem: record.fileSystem, type: 1, bytes: $0) }
    }

    static func decode(_ bytes: [UInt8]) -> [(kinds: UInt32, directory: FileHandle?, name: [UInt8])] {
        bytes.withUnsafeBytes { buffer in
            var decoder = FanotifyDecoder(buffer)
            var result: [(kinds: UInt32, directory: FileHandle?, name: [UInt8])] = []
            while let event = decoder.next() { result.append((event.kinds.rawValue, event.directory, Array(event.name))) }
            return result
        }
    }

    static let records = [
        Record(mask: 0x10A, name: Array("new".utf8)),
        Record(mask: 0x4000_0040, handle: [9, 9, 9, 9], name: [0xFF, 0x0A]),
        Record(mask: 0x8, fileSystem: 7, handle: Array(1...40), name: Array(repeating: 0x61, count: 255)),
    ]

    @Test func recordsComeBackInTheirOrder() {
        let records = FanotifyDecoderTests.records
        let decoded = FanotifyDecoderTests.decode(records.flatMap(FanotifyDecoderTests.encode))
        #expect(decoded.map(\.kinds) == records.map(\.mask))
        #expect(decoded.map(\.directory) == records.map(FanotifyDecoderTests.handle))
        #expect(decoded.map(\.name) == records.map(\.name))
    }

    @Test func dotIsTheDirectoryItself() {
        let decoded = FanotifyDecoderTests.decode(FanotifyDecoderTests.encode(.init(mask: 4, name: Array(".".utf8))))
        #expect(decoded.map(\.name) == [[]])
        #expect(decoded.first?.directory != nil)
    }

    @Test func overflowNamesNoDirectory() {
        let decoded = FanotifyDecoderTests.decode(FanotifyDecoderTests.event(0x4000, []))
        #expect(decoded.map(\.kinds) == [Fanotify.Events.overflowed.rawValue])
        #expect(decoded.first?.directory == nil)
    }

    @Test func otherRecordsAreSteppedOver() {
        let record = FanotifyDecoderTests.records[0]
        let other = FanotifyDecoderTests.information(FanotifyDecoderTests.records[1], type: 1)
        let decoded = FanotifyDecoderTests.decode(FanotifyDecoderTests.event(2, other + FanotifyDecoderTests.information(record)))
        #expect(decoded.map(\.directory) == [FanotifyDecoderTests.handle(record)])
    }

    @Test func handleThatIsTooLongIsNoHandle() {
        let decoded = FanotifyDecoderTests.decode(FanotifyDecoderTests.encode(.init(mask: 2, handle: Array(1...41), name: [0x61])))
        #expect(decoded.count == 1 && decoded.first?.directory == nil)
    }

    @Test func renameNamesBothPlaces() {
        let (old, new) = (FanotifyDecoderTests.records[0], FanotifyDecoderTests.records[1])
        // FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, FAN_EVENT_INFO_TYPE_NEW_DFID_NAME
        let records = [FanotifyDecoderTests.information(old, type: 10), FanotifyDecoderTests.information(new, type: 12)]
        for parts in [records, [records[0]], [records[1]]] {
            FanotifyDecoderTests.event(Fanotify.Events.renamed.rawValue, parts.flatMap { $0 }).withUnsafeBytes { buffer in
                var decoder = FanotifyDecoder(buffer)
                let event = decoder.next()
                let hasOld = parts.first == records[0]
                let hasNew = parts.last == records[1]
                #expect(event?.kinds == .renamed)
                #expect(event?.directory == (hasOld ? FanotifyDecoderTests.handle(old) : nil))
                #expect(event.map { Array($0.name) } == (hasOld ? old.name : []))
                #expect(event?.target?.directory == (hasNew ? FanotifyDecoderTests.handle(new) : nil))
                #expect(event?.target.map { Array($0.name) } == (hasNew ? new.name : nil))
            }
        }
    }

    @Test func handlesDifferInEveryPart() throws {
        let record = FanotifyDecoderTests.records[0]
        let bytes: [UInt8] = record.handle
        let handles = try bytes.withUnsafeBytes { buffer in
            try [
                #require(FileHandle(fileSystem: 1, type: 1, bytes: buffer)), #require(FileHandle(fileSystem: 2, type: 1, bytes: buffer)),
                #require(FileHandle(fileSystem: 1, type: 2, bytes: buffer)),
                // The same with a NUL behind it, which the fixed room has anyway.
                #require((bytes + [0]).withUnsafeBytes { FileHandle(fileSystem: 1, type: 1, bytes: $0) }),
            ]
        }
        #expect(Set(handles).count == handles.count)
    }

    @Test func everyCutLeavesTheWholeRecordsBeforeIt() {
        let parts = FanotifyDecoderTests.records.map(FanotifyDecoderTests.encode)
        let bytes = parts.flatMap { $0 }
        for length in 0...bytes.count {
            var whole = 0
            var end = 0
            while whole < parts.count, end + parts[whole].count <= length {
                end += parts[whole].count
                whole += 1
            }
            #expect(FanotifyDecoderTests.decode(Array(bytes[..<length])).count == whole)
        }
    }

    @Test func otherVersionIsNotGuessedAt() {
        let bytes = FanotifyDecoderTests.event(2, FanotifyDecoderTests.information(FanotifyDecoderTests.records[0]), version: 4)
        #expect(FanotifyDecoderTests.decode(bytes).isEmpty)
    }

    /// Each byte of a buffer is replaced by others: lengths inside of lengths lie in every way.
    @Test func damagedBytesNeverTrap() {
        let seed = UInt64.random(in: 0 ... .max)
        print("FanotifyDecoderTests seed \(seed)")
        var random = SeededRandom(seed: seed)
        let bytes = FanotifyDecoderTests.records.flatMap(FanotifyDecoderTests.encode)
        for position in bytes.indices {
            for value in [0, 1, 23, 24, 0x7F, 0xFF, UInt8.random(in: 0...255, using: &random)] {
                var damaged = bytes
                damaged[position] = value
                #expect(FanotifyDecoderTests.decode(damaged).count <= bytes.count / 24)
            }
        }
        for _ in 0..<3000 {
            let noise = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random) & 0x1F
            }
            #expect(FanotifyDecoderTests.decode(noise).count <= noise.count / 24)
        }
    }
}
