import Archiving
import Encrypting
import Kernel
import Testing

struct ManifestTests {
    @Test func everyFieldOfEveryKindComesBack() throws {
        var writer = ManifestWriter()
        for entry in sampleEntries() { writer.add(upsert: entry) }
        #expect(try readAll(writer.takeFrame()) == sampleEntries().map { .upsert($0) })
    }

    @Test func eachFrameIsReadByItself() throws {
        var writer = ManifestWriter()
        var frames: [[UInt8]] = []
        for entry in sampleEntries() {
            writer.add(upsert: entry)
            frames.append(writer.takeFrame())
        }
        #expect(writer.takeFrame().isEmpty)
        var last: Path?
        for (frame, entry) in zip(frames, sampleEntries()) {
            #expect(try readAll(frame, after: last) == [.upsert(entry)])
            last = entry.path
        }
    }

    @Test func deletionsStandBetweenUpserts() throws {
        var writer = ManifestWriter()
        writer.add(deletion: path("a"))
        writer.add(deletion: path("a/b"))
        writer.add(upsert: file("a-b"))
        #expect(try readAll(writer.takeFrame()) == [.deletion(path("a")), .deletion(path("a/b")), .upsert(file("a-b"))])
    }

    @Test func theRootDirectoryHasAPlace() throws {
        var writer = ManifestWriter()
        let root = Entry(path: .root, kind: .directory, mode: 0o755)
        writer.add(upsert: root)
        writer.add(upsert: file("etc"))
        #expect(try readAll(writer.takeFrame()) == [.upsert(root), .upsert(file("etc"))])
    }

    @Test func namesOfOwnersMayChangeWithinAFrame() throws {
        var writer = ManifestWriter()
        var entries = ["a", "b", "c", "d"].map { file($0) }
        entries[1].userName = []
        entries[2].userName = Array("berta".utf8)
        entries[3].groupName = []
        for entry in entries { writer.add(upsert: entry) }
        #expect(try readAll(writer.takeFrame()) == entries.map { .upsert($0) })
    }

    /// The bytes are counted out by hand from the specification.
    @Test func bytesAreThoseOfTheSpecification() throws {
        let payload: [UInt8] = [
            6, 1, 0, 0xE8, 0x07, 0x61, 0x62,  // user 1000 is "ab"
            18, 2, 0, 1, 0x78, 2, 0xED, 0x03, 0xE8, 0x07, 0,  // "x", directory, 0755, 1000, 0
            1, 5, 2, 0, 3, 4, 1, 0,  // modified -1 s + 5 ns, changed 1 s, device 3, inode 4, links 1, size 0
            4, 3, 1, 1, 0x79,  // deletion of "xy"
            3, 9, 1, 2,  // a record of a later version
        ]
        var entry = Entry(path: path("x"), kind: .directory, mode: 0o755, uid: 1000, userName: Array("ab".utf8))
        entry.modified = Timestamp(seconds: -1, nanoseconds: 5)
        entry.changed = Timestamp(seconds: 1)
        entry.device = 3
        entry.inode = 4
        #expect(try readAll(payload) == [.upsert(entry), .deletion(path("xy"))])
        var writer = ManifestWriter()
        writer.add(upsert: entry)
        writer.add(deletion: path("xy"))
        #expect(writer.takeFrame() == Array(payload.dropLast(4)))
    }

    @Test func unknownFieldsAreSkipped() throws {
        var writer = ManifestWriter()
        writer.add(upsert: file("x"))
        var payload = writer.takeFrame()
        // Behind two owner records; the lengths here are below 128.
        let start = Int(payload[0]) + 1 + Int(payload[Int(payload[0]) + 1]) + 1
        payload[start] += 4
        payload += [99, 2, 1, 2]
        #expect(try readAll(payload) == [.upsert(file("x"))])
    }

    /// They were taken over, and an entry had what its kind does not have.
    @Test func targetAndDeviceNumbersOfOtherKindsMeanNothing() throws {
        var writer = ManifestWriter()
        writer.add(upsert: Entry(path: path("x"), kind: .directory, mode: 0o755))
        var payload = writer.takeFrame()
        payload[0] += 7
        payload += [3, 1, 0x74, 4, 2, 1, 2]
        #expect(try readAll(payload) == [.upsert(Entry(path: path("x"), kind: .directory, mode: 0o755))])
    }

    @Test(arguments: [
        "/x", "x/", "x//y", ".", "..", "x/..", "x/./y", "x\0", String(repeating: "n", count: 256),
    ])
    func hostilePathsAreRefused(_ text: String) {
        #expect(code { try readAll(deletion(0, Array(text.utf8))) } == .hostilePath)
    }

    /// The shared part may cut a component in two, and the whole must still be a path.
    @Test func hostilePathsAreRefusedAcrossTheSharedPart() {
        let first = deletion(0, Array("a/.b".utf8))
        #expect(code { try readAll(first + deletion(3, [])) } == .hostilePath)
        #expect(code { try readAll(first + deletion(3, Array(".".utf8))) } == .hostilePath)
        #expect(code { try readAll(first + deletion(2, Array("/c".utf8))) } == .hostilePath)
        #expect(code { try readAll(first + deletion(5, [])) } == .malformed)
        #expect(code { try readAll(deletion(1, Array("a".utf8)), after: path("a")) } == .malformed)
    }

    @Test func recordsOutOfTreeOrderAreRefused() {
        #expect(code { try readAll(deletion(0, Array("a-b".utf8)) + deletion(0, Array("a/b".utf8))) } == .malformed)
        #expect(code { try readAll(deletion(0, Array("a".utf8)) + deletion(1, [])) } == .malformed)
        #expect(code { try readAll(deletion(0, Array("a".utf8)), after: path("b")) } == .malformed)
        #expect(code { try readAll(deletion(0, Array("b".utf8)), after: path("a")) } == nil)
    }

    @Test func anEntryWhoseContentDoesNotAddUpIsRefused() throws {
        var random = SeededGenerator(seed: 3)
        var writer = ManifestWriter()
        writer.add(upsert: file("x", random.chunks(2)))
        let whole = writer.takeFrame()
        // Only the last byte is changed: the second chunk's length, whose varint ends with it.
        var changed = whole
        changed[changed.count - 1] ^= 1
        #expect(code { try readAll(changed) } == .malformed)
    }

    /// A payload that ends between two records cannot be told from a whole one: the frame's length guards that.
    @Test func aTruncatedPayloadGivesNoWrongRecord() throws {
        var writer = ManifestWriter()
        for entry in sampleEntries().filter({ $0.attributes.isEmpty }) { writer.add(upsert: entry) }
        let whole = writer.takeFrame()
        let records = try readAll(whole)
        for count in 0..<whole.count {
            do throws(ArchiveError) {
                let read = try readAll(Array(whole[..<count]))
                #expect(read == Array(records.prefix(read.count)))
            } catch {
                #expect(error.code == .truncated, "\(count) of \(whole.count) bytes")
            }
        }
    }

    @Test func aNumberAboveSixtyFourBitsIsRefused() {
        #expect(code { try readAll([UInt8](repeating: 0xFF, count: 9) + [2, 3]) } == .malformed)
        #expect(code { try readAll([UInt8](repeating: 0xFF, count: 9) + [1, 3]) } == .truncated)
    }

    @Test func whatNoFrameCanHoldIsKnownBefore() {
        let chunk = Chunk(digest: SHA256.digest(of: [1]), length: 1)
        #expect(ManifestWriter.fits(file("x", [chunk])))
        #expect(!ManifestWriter.fits(file("x", [Chunk](repeating: chunk, count: 2_100_000))))
    }
}

/// A deletion record, byte by byte.
func deletion(_ shared: UInt8, _ rest: [UInt8]) -> [UInt8] {
    let count: [UInt8] = rest.count < 128 ? [UInt8(rest.count)] : [UInt8(rest.count & 0x7F) | 0x80, UInt8(rest.count >> 7)]
    let body = [3, shared] + count + rest
    let length: [UInt8] = body.count < 128 ? [UInt8(body.count)] : [UInt8(body.count & 0x7F) | 0x80, UInt8(body.count >> 7)]
    return length + body
}

/// The code of the error that `body` throws; nil when it throws none.
func code(_ body: () throws -> some Any) -> ArchiveError.Code? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? ArchiveError)?.code
    }
}
