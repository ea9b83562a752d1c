// Bytes of the kernel's queue, whole and damaged.

import Kernel
import Testing

struct InotifyDecoderTests {
    struct Record: Equatable {
        var watch: Int32
        var mask: UInt32
        var cookie: UInt32
        var name: [UInt8]
    }

    static func encode(_ record: Record, padding: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        let length = record.name.isEmpty ? 0 : record.name.count + padding
        for value in [UInt32(bitPattern: record.watch), record.mask, record.cookie, UInt32(length)] {
            withUnsafeBytes(of: value) { bytes += $0 }
        }
        if length > 0 { bytes += record.name + [UInt8](repeating: 0, count: padding) }
        return bytes
    }

    static func decode(_ bytes: [UInt8]) -> [Record] {
        bytes.withUnsafeBytes { buffer in
            var decoder = InotifyDecoder(buffer)
            var result: [Record] = []
            while let event = decoder.next() {
                result.append(
                    Record(
                        watch: event.watch, mask: event.kinds.rawValue, cookie: event.cookie, name: Array(event.name)))
            }
            return result
        }
    }

    static let records = [
        Record(watch: 1, mask: 0x100, cookie: 0, name: Array("new".utf8)),
        Record(watch: 7, mask: 0x4000_0040, cookie: 99, name: [0xFF, 0x0A]),
        Record(watch: 7, mask: 0x8000, cookie: 0, name: []),
        Record(watch: -1, mask: 0x4000, cookie: 0, name: []),
    ]

    @Test func recordsComeBackInTheirOrder() {
        let bytes = InotifyDecoderTests.records.flatMap { InotifyDecoderTests.encode($0, padding: 13) }
        #expect(InotifyDecoderTests.decode(bytes) == InotifyDecoderTests.records)
    }

    @Test func nameWithoutPaddingEndsWithItsField() {
        let record = Record(watch: 2, mask: 2, cookie: 0, name: Array("exactly-16-bytes".utf8))
        #expect(InotifyDecoderTests.decode(InotifyDecoderTests.encode(record, padding: 0)) == [record])
    }

    @Test func everyCutLeavesTheWholeRecordsBeforeIt() {
        let parts = InotifyDecoderTests.records.map { InotifyDecoderTests.encode($0, padding: 5) }
        let bytes = parts.flatMap { $0 }
        for length in 0...bytes.count {
            var whole = 0
            var end = 0
            while whole < parts.count, end + parts[whole].count <= length {
                end += parts[whole].count
                whole += 1
            }
            #expect(InotifyDecoderTests.decode(Array(bytes[..<length])) == Array(InotifyDecoderTests.records[..<whole]))
        }
    }

    @Test func hugeLengthEndsTheDecoding() {
        var bytes = InotifyDecoderTests.encode(InotifyDecoderTests.records[0], padding: 1)
        for index in 12..<16 { bytes[index] = 0xFF }
        #expect(InotifyDecoderTests.decode(bytes).isEmpty)
    }

    @Test func randomBytesNeverTrap() {
        let seed = UInt64.random(in: 0 ... .max)
        print("InotifyDecoderTests seed \(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<3000 {
            // Small numbers make lengths that fit, so that the decoder gets further than one record.
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random) & 0x1F
            }
            let decoded = InotifyDecoderTests.decode(bytes)
            #expect(decoded.count <= bytes.count / 16)
        }
    }

    @Test func mountTableKeepsNamesWithSpaces() {
        let text = """
            22 1 254:0 / / rw,relatime - ext4 /dev/root rw
            36 22 0:33 / /home/a\\040b\\134c rw shared:1 - fuse.x y rw
            broken line
            37 22 0:34 / relative rw - tmpfs t rw
            """
        let mounts = MountTable.parse(Array(text.utf8))
        #expect(mounts.map(\.point.text) == ["/", "/home/a b\\c"])
        #expect(mounts.last?.device == DeviceNumber(major: 0, minor: 33))
    }
}
