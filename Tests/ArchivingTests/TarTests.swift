import Archiving
import Encrypting
import Kernel
import Testing

struct TarTests {
    /// Each with a field that ustar alone cannot hold, and some that it can.
    static let entries: [TarEntry] = {
        func named(_ text: String) -> [UInt8] { Array(text.utf8) }
        let long = String(repeating: "d/", count: 70) + String(repeating: "n", count: 120)
        var plain = TarEntry(path: named("plain.txt"), kind: .file, mode: 0o4755, uid: 2_097_151, gid: 0)
        plain.size = 5
        plain.userName = named("anna")
        plain.groupName = named("staff")
        plain.modified = Timestamp(seconds: 0o77777777777)
        var rich = TarEntry(path: named(long), kind: .file, mode: 0o644, uid: 2_097_152, gid: .max)
        rich.size = 513
        rich.userName = named(String(repeating: "u", count: 40))
        rich.modified = Timestamp(seconds: 1_795_411_080, nanoseconds: 120_000_000)
        rich.attributes = [
            ExtendedAttribute(name: named("user.a=b%c"), value: [0, 10, 0x3D, 0xFF]), ExtendedAttribute(name: named("user.empty"), value: []),
        ]
        var old = TarEntry(path: named("\u{e4}lter"), kind: .directory, mode: 0o1777)
        old.modified = Timestamp(seconds: -2, nanoseconds: 750_000_000)
        var link = TarEntry(path: [0xFF, 0x0A, 0x41], kind: .symlink, mode: 0o777, target: named(String(repeating: "../t", count: 30)))
        link.modified = Timestamp(seconds: 0o100000000000)
        var other = TarEntry(path: named("second"), kind: .hardLink, mode: 0o600, target: named("plain.txt"))
        other.modified = Timestamp(seconds: 1)
        let device = TarEntry(
            path: named("null"), kind: .characterDevice, mode: 0o666, special: DeviceNumber(major: 1, minor: 0xFFFF_FFFF))
        let disk = TarEntry(path: named("disk"), kind: .blockDevice, mode: 0o660, special: DeviceNumber(major: 8, minor: 1))
        return [plain, rich, old, link, other, device, disk, TarEntry(path: named("pipe"), kind: .fifo, mode: 0)]
    }()

    static func content(of entry: TarEntry) -> [UInt8] {
        (0..<Int(min(entry.size, 1 << 20))).map { UInt8(truncatingIfNeeded: $0 * 7 + entry.path.count) }
    }

    static func archive(_ entries: [TarEntry]) -> [UInt8] {
        var bytes: [UInt8] = []
        for entry in entries {
            TarWriter.append(header: entry, to: &bytes)
            bytes += content(of: entry)
            TarWriter.append(paddingAfter: entry.size, to: &bytes)
        }
        return bytes + [UInt8](repeating: 0, count: TarWriter.endCount)
    }

    /// Reads in pieces of that many bytes.
    static func read(_ bytes: [UInt8], pieces: Int) throws(ArchiveError) -> (entries: [TarEntry], contents: [[UInt8]]) {
        var reader = TarReader()
        var entries: [TarEntry] = []
        var contents: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let piece = Array(bytes[start..<min(bytes.count, start + pieces)])
            start += piece.count
            var position = 0
            reading: while true {
                let event = try piece.withUnsafeBufferPointer { buffer throws(ArchiveError) in
                    try reader.next(in: UnsafeRawBufferPointer(buffer), at: &position)
                }
                switch event {
                case nil, .end: break reading
                case .entry(let entry):
                    entries.append(entry)
                    contents.append([])
                case .content(let range): contents[contents.count - 1] += piece[range]
                }
            }
        }
        try reader.finish()
        return (entries, contents)
    }

    @Test(arguments: [1, 7, 511, 512, 513, 1 << 20]) func entriesComeBackInPiecesOfAnySize(_ pieces: Int) throws {
        let (entries, contents) = try TarTests.read(TarTests.archive(TarTests.entries), pieces: pieces)
        #expect(entries == TarTests.entries)
        #expect(contents == TarTests.entries.map { TarTests.content(of: $0) })
    }

    @Test func whatFitsIsPlainUstar() {
        var bytes: [UInt8] = []
        TarWriter.append(header: TarTests.entries[0], to: &bytes)
        #expect(bytes.count == 512)
        let split = String(repeating: "d", count: 155) + "/" + String(repeating: "n", count: 100)
        TarWriter.append(header: TarEntry(path: Array(split.utf8), kind: .file, mode: 0), to: &bytes)
        #expect(bytes.count == 1024)
    }

    @Test func hugeSizesComeBack() throws {
        for size: UInt64 in [8 << 30, (8 << 30) - 1, 1 << 62] {
            var bytes: [UInt8] = []
            TarWriter.append(header: TarEntry(path: [0x78], kind: .file, mode: 0, size: size), to: &bytes)
            var reader = TarReader()
            var position = 0
            let event = try bytes.withUnsafeBytes { try reader.next(in: $0, at: &position) }
            guard case .entry(let entry) = event else {
                Issue.record("no entry")
                continue
            }
            #expect(entry.size == size)
        }
    }

    @Test func everyCutIsNoticed() throws {
        let whole = TarTests.archive(Array(TarTests.entries.prefix(3)))
        for count in stride(from: 1, to: whole.count, by: 97) {
            #expect(code { try TarTests.read(Array(whole[..<count]), pieces: 4096) } == .truncated)
        }
    }

    @Test func aDamagedHeaderIsNoticed() {
        let whole = TarTests.archive([TarTests.entries[0]])
        for index in stride(from: 0, to: 345, by: 11) {
            var changed = whole
            changed[index] ^= 4
            #expect(code { try TarTests.read(changed, pieces: 4096) } == .malformed, "byte \(index)")
        }
    }

    @Test(arguments: ["/etc/passwd", "a/../b", "..", "a//b", "a\0b", "", "/"])
    func hostilePathsNeverBecomePaths(_ text: String) {
        let entry = TarEntry(path: Array(text.utf8), kind: .file, mode: 0o644)
        #expect(code { try entry.snapshotPath() } == .hostilePath)
        #expect(code { try entry.snapshotEntry() } == .hostilePath)
        let link = TarEntry(path: [0x61], kind: .hardLink, mode: 0, target: Array(text.utf8))
        #expect(code { try link.linkedPath() } == .hostilePath)
    }

    @Test func pathsBelowTheWorkingDirectoryAreRelative() throws {
        #expect(try TarEntry(path: Array("./a/./b".utf8), kind: .file, mode: 0).snapshotPath() == path("a/b"))
        #expect(try TarEntry(path: Array(".".utf8), kind: .directory, mode: 0).snapshotPath() == .root)
    }

    @Test func entriesOfASnapshotComeBack() throws {
        for entry in sampleEntries() {
            guard let tar = TarEntry(entry) else {
                #expect(entry.kind == .socket)
                continue
            }
            var small = tar
            small.size = 0
            let read = try #require(try TarTests.read(TarTests.archive([small]), pieces: 4096).entries.first)
            #expect(read == small)
            let back = try #require(try read.snapshotEntry())
            #expect(back.path == entry.path)
            #expect(back.kind == entry.kind)
            #expect(back.target == entry.target)
            #expect(back.attributes == entry.attributes)
            #expect(back.modified == entry.modified)
        }
    }

    @Test func aHardLinkCarriesNoContent() throws {
        var random = SeededGenerator(seed: 61)
        let tar = try #require(TarEntry(file("b", random.chunks(1)), linkedTo: path("a")))
        #expect(tar.size == 0)
        #expect(tar.kind == .hardLink)
        #expect(try tar.linkedPath() == path("a"))
        #expect(try tar.snapshotEntry() == nil)
    }

    /// Any number of extended headers may stand before an entry. Their attributes were collected without end: a few KiB of xz could
    /// take all memory.
    @Test func attributesOfManyHeadersAreBounded() throws {
        func header(_ type: UInt8, _ first: Int) throws -> [UInt8] {
            var entry = TarEntry(path: Array("x".utf8), kind: .file, mode: 0)
            entry.attributes = (first..<first + 1000).map { ExtendedAttribute(name: Array("user.\($0)".utf8), value: [1]) }
            var bytes: [UInt8] = []
            TarWriter.append(header: entry, to: &bytes)
            // The extended header alone.
            bytes.removeLast(TarWriter.blockSize)
            return try TarTests.withType(type, bytes)
        }
        let end = TarTests.archive([TarEntry(path: Array("x".utf8), kind: .file, mode: 0)])
        for type in [UInt8(ascii: "x"), UInt8(ascii: "g")] {
            let few = try header(type, 10_000) + header(type, 20_000) + header(type, 10_500) + end
            #expect(try TarTests.read(few, pieces: 4096).entries[0].attributes.count == 2500)
            let many = try (0..<9).flatMap { try header(type, 10_000 + $0 * 1000) } + end
            let error = #expect(throws: ArchiveError.self) { try TarTests.read(many, pieces: 4096) }
            #expect(error?.code == .malformed)
        }
    }

    /// The first header with another type.
    private static func withType(_ type: UInt8, _ bytes: [UInt8]) throws -> [UInt8] {
        var bytes = bytes
        bytes[156] = type
        bytes.replaceSubrange(148..<156, with: repeatElement(0x20, count: 8))
        let digits = String(bytes[..<512].reduce(0) { $0 + Int($1) }, radix: 8)
        bytes.replaceSubrange(148..<148 + digits.count, with: digits.utf8)
        return bytes
    }

    /// It was taken apart before anyone looked at its length: 64 MiB of slashes took gigabytes.
    @Test func longPathsAreRefusedUnseen() {
        let entry = TarEntry(path: [UInt8](repeating: UInt8(ascii: "/"), count: 64 << 20), kind: .file, mode: 0)
        let time = ContinuousClock().measure {
            #expect(throws: ArchiveError.self) { try entry.snapshotPath() }
        }
        #expect(time < .seconds(1))
    }
}

struct DataPayloadTests {
    @Test func offsetsAreThoseOfTheContent() throws {
        var random = SeededGenerator(seed: 71)
        var payload = DataPayload(capacity: 4096)
        var chunks: [[UInt8]] = []
        for index in 0..<20 {
            let bytes = random.bytes(Int.random(in: 1...3000, using: &random))
            let name = path(index % 3 == 0 ? String(repeating: "long", count: 60) + "\(index)" : "short\(index)")
            bytes.withUnsafeBytes {
                payload.append($0, digest: SHA256.digest(of: bytes), of: file(String(decoding: name.bytes, as: UTF8.self)), chunkOffset: nil)
            }
            chunks.append(bytes)
        }
        let counted = payload.count
        let (bytes, table) = payload.take()
        #expect(bytes.count == counted)
        #expect(payload.count == 0 && payload.chunks.isEmpty)
        #expect(table.count == 20)
        for (place, chunk) in zip(table, chunks) {
            let found = Array(bytes[Int(place.offset)..<Int(place.offset + place.length)])
            #expect(found == chunk)
            #expect(SHA256.digest(of: found) == place.digest)
        }
        let (entries, contents) = try TarTests.read(bytes + [UInt8](repeating: 0, count: 1024), pieces: 700)
        #expect(entries.count == 20)
        #expect(contents == chunks)
    }

    @Test func aPartOfAFileSaysWhereItStood() throws {
        var payload = DataPayload()
        [UInt8(1)].withUnsafeBytes {
            payload.append(
                $0, digest: SHA256.digest(of: $0), path: path("disk.img"), chunkOffset: 262_144, mode: 0o600,
                modified: Timestamp(seconds: 1, nanoseconds: 5), uid: 1, gid: 2)
        }
        let bytes = payload.take().payload
        #expect(bytes.count == 1024)
        let entry = try #require(try TarTests.read(bytes + [UInt8](repeating: 0, count: 1024), pieces: 4096).entries.first)
        #expect(entry.path == Array("disk.img.chunk-00000000000000262144".utf8))
    }
}
