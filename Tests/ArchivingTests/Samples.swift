// Values for the tests of this module, the same at every run.

import Archiving
import Encrypting
import Kernel
import Testing

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            let word = next()
            for shift in 0..<UInt64(8) { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * shift))) }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    mutating func digest() -> Digest { SHA256.digest(of: bytes(8)) }

    mutating func chunks(_ count: Int) -> [Chunk] {
        (0..<count).map { _ in Chunk(digest: digest(), length: UInt32.random(in: 1...Chunk.maximumLength, using: &self)) }
    }
}

func path(_ text: String) -> Path { Path(validating: Array(text.utf8)) ?? .root }

func makeKey() throws -> SecretKey { try #require(SecretKey(text: "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")) }

/// A file of those chunks.
func file(_ name: String, _ chunks: [Chunk] = [], holes: [Hole] = []) -> Entry {
    var entry = Entry(path: path(name), kind: .file, mode: 0o644, uid: 1000, gid: 1000, userName: Array("anna".utf8), groupName: Array("staff".utf8))
    entry.content = Content(chunks: chunks, holes: holes)
    entry.size = entry.content.byteCount
    return entry
}

/// Every kind of entry with every field in use, in tree order.
func sampleEntries() -> [Entry] {
    var random = SeededGenerator(seed: 7)
    var root = Entry(path: path("home"), kind: .directory, mode: 0o1777, modified: Timestamp(seconds: -5, nanoseconds: 999_999_999))
    root.changed = Timestamp(seconds: .max, nanoseconds: 1)
    var large = file("home/a/large", random.chunks(40), holes: [])
    // A hole stands between two chunks, never within one.
    let third = 4096 + large.content.chunks.prefix(3).reduce(0) { $0 + UInt64($1.length) }
    large.content.holes = [Hole(offset: 0, length: 4096), Hole(offset: third, length: 1 << 33)]
    large.size = large.content.byteCount
    large.attributes = [
        ExtendedAttribute(name: Array("user.empty".utf8), value: []),
        ExtendedAttribute(name: Array("security.capability".utf8), value: random.bytes(65_536)),
    ]
    large.inodeFlags = 0x10
    large.marks = [.changedWhileRead, .racy]
    large.device = .max
    large.inode = .max
    large.links = .max
    large.uid = .max
    large.mode = 0o7777
    var link = Entry(path: path("home/a/link"), kind: .symlink, mode: 0o777)
    link.target = Array("../somewhere/\u{1F600}".utf8) + [0xFF, 0x0A]
    link.size = UInt64(link.target.count)
    var device = Entry(path: path("home/a/null"), kind: .characterDevice, mode: 0o666)
    device.special = DeviceNumber(major: 1, minor: .max)
    var disk = device
    disk.path = path("home/a/sda")
    disk.kind = .blockDevice
    let odd = Path(validating: Array("home/a/".utf8) + [0x0A, 0xFF, 0x20]) ?? .root
    return [
        root, Entry(path: path("home/a"), kind: .directory, mode: 0o755, uid: 1000, gid: 100, userName: Array("anna".utf8)),
        Entry(path: odd, kind: .fifo, mode: 0), file("home/a/empty"), large, link, device, disk,
        Entry(path: path("home/a/socket"), kind: .socket, mode: 0o700), file("home/a-b", random.chunks(1)), file("home/b", random.chunks(3)),
    ]
}

func readAll(
    _ payload: [UInt8], after last: Path? = nil, previous: (Path) throws -> [Chunk] = { _ in [] }
) throws(ArchiveError) -> [ManifestRecord] {
    var reader = ManifestReader(payload, after: last)
    var records: [ManifestRecord] = []
    while let record = try reader.next(previousChunks: previous) { records.append(record) }
    return records
}
