import Archiving
import Encrypting
import Kernel
import Testing

struct ContentsTests {
    static func sample(_ kind: ArchiveKind = .incremental) -> ArchiveContents {
        var random = SeededGenerator(seed: 21)
        var contents = ArchiveContents(
            repository: ArchiveID(bytes: Array(0..<16)) ?? .random(), number: 1042, kind: kind, time: 1_795_411_080_123)
        contents.highestSnapshot = 600
        if kind != .record {
            contents.frames = [
                FrameRecord(kind: .data, tokenCount: 100), FrameRecord(kind: .data, tokenCount: 67_112_960),
                FrameRecord(kind: .manifest, tokenCount: 7),
            ]
            contents.chunks = [
                StoredChunk(digest: random.digest(), frame: 0, offset: 512, length: 1),
                StoredChunk(digest: random.digest(), frame: 0, offset: 513, length: 4 << 20),
                StoredChunk(digest: random.digest(), frame: 1, offset: (64 << 20) - 9, length: 9),
            ]
            contents.replaces = [1000, 3, 1041]
            contents.recordHead = random.digest()
        }
        if kind.isCommit {
            contents.snapshot = SnapshotRecord(
                number: 599, time: -1, host: Array("laptop".utf8), sources: [path("home/anna"), .root], identity: random.digest(),
                parent: .init(number: 580, identity: random.digest()), coversFrom: 581, dataArchives: [1040, 1041],
                statistics: .init(entries: 1, bytesSource: .max, entriesChanged: 3, bytesAdded: 4), isStandalone: true)
        }
        if kind == .record {
            contents.remarks = [
                Remark(kind: .pin, snapshot: 7, text: []), Remark(kind: .tag, snapshot: 8, text: Array("before the move".utf8)),
            ]
        }
        return contents
    }

    @Test(arguments: ArchiveKind.allCases) func everyKindComesBack(_ kind: ArchiveKind) throws {
        let contents = ContentsTests.sample(kind)
        #expect(try ArchiveContents(decoding: contents.encode()) == contents)
    }

    @Test func theFirstSnapshotHasNoParent() throws {
        var contents = ContentsTests.sample(.full)
        contents.snapshot?.parent = nil
        #expect(try ArchiveContents(decoding: contents.encode()) == contents)
        contents.kind = .incremental
        #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
    }

    @Test func kindAndContentMustAgree() {
        var contents = ContentsTests.sample(.data)
        contents.kind = .full
        #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
        contents = ContentsTests.sample(.full)
        contents.kind = .data
        #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
        contents = ContentsTests.sample(.record)
        contents.kind = .data
        #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
    }

    @Test func chunksOutsideDataFramesAreRefused() {
        var contents = ContentsTests.sample()
        contents.chunks[2].frame = 2
        #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
        contents.chunks[2].frame = 3
        #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
        contents.chunks[2].frame = 1
        contents.chunks[2].offset += 1
        #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
    }

    @Test func framesStandInTheirOrder() {
        var contents = ContentsTests.sample()
        contents.frames.swapAt(1, 2)
        contents.chunks.removeAll()
        #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
    }

    @Test func impossibleSnapshotsAreRefused() {
        for change in [
            { (snapshot: inout SnapshotRecord) in snapshot.coversFrom = 0 }, { $0.coversFrom = 600 }, { $0.parent?.number = 599 },
            { $0.number = 601 },
        ] {
            var contents = ContentsTests.sample()
            if var snapshot = contents.snapshot {
                change(&snapshot)
                contents.snapshot = snapshot
            }
            #expect(code { try ArchiveContents(decoding: contents.encode()) } == .malformed)
        }
    }

    @Test func unknownFieldsAreSkippedAndKnownOnesStandOnce() throws {
        let contents = ContentsTests.sample()
        #expect(try ArchiveContents(decoding: [200, 1, 3, 1, 2, 3] + contents.encode() + [99, 0]) == contents)
        #expect(code { try ArchiveContents(decoding: contents.encode() + [2, 1, 9]) } == .malformed)
    }

    @Test func noTruncationPassesForTheWhole() {
        let whole = ContentsTests.sample().encode()
        for count in 0..<whole.count {
            #expect(code { try ArchiveContents(decoding: Array(whole[..<count])) } != nil, "\(count) of \(whole.count) bytes")
        }
    }

    @Test func identityIsTheDigestOfTheSpecifiedBytes() throws {
        let repository = try #require(ArchiveID(bytes: Array(0..<16)))
        let manifest = SHA256.digest(of: Array("manifest".utf8))
        let first = SnapshotRecord.identity(repository: repository, number: 1, time: 1000, parent: nil, manifest: manifest)
        var bytes = Array("auto-backup snapshot 1\n".utf8) + Array(0..<16) + [1, 0, 0, 0, 0, 0, 0, 0]
        bytes += [0xE8, 3, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 32)
        bytes += manifest.bytes
        #expect(bytes.count == 23 + 16 + 8 + 8 + 32 + 32)
        #expect(first == SHA256.digest(of: bytes))
        let second = SnapshotRecord.identity(repository: repository, number: 1, time: -1, parent: first, manifest: manifest)
        bytes.replaceSubrange(47..<87, with: [UInt8](repeating: 0xFF, count: 8) + first.bytes)
        #expect(second == SHA256.digest(of: bytes))
    }
}

struct ArchiveHeaderTests {
    @Test func headerIsThatOfTheSpecification() throws {
        let id = try #require(ArchiveID(bytes: Array(1...16)))
        let bytes = ArchiveHeader(id: id).encode()
        #expect(bytes == [0x41, 0x42, 0x41, 0x52, 0x43, 0x48, 0x1A, 0x0A, 1, 0, 0, 0, 0, 0, 0, 0] + Array(1...16))
        #expect(try ArchiveHeader(decoding: bytes).id == id)
    }

    @Test func headersOfLaterVersionsAreRefused() {
        let bytes = ArchiveHeader(id: .random()).encode()
        func changed(_ index: Int) -> [UInt8] {
            var copy = bytes
            copy[index] ^= 2
            return copy
        }
        #expect(code { try ArchiveHeader(decoding: changed(0)) } == .malformed)
        #expect(code { try ArchiveHeader(decoding: changed(8)) } == .unknownVersion)
        for index in 10..<16 { #expect(code { try ArchiveHeader(decoding: changed(index)) } == .reservedNotZero) }
        #expect(code { try ArchiveHeader(decoding: Array(bytes.dropLast())) } == .truncated)
    }

    @Test func trailerMustEndTheArchive() throws {
        let trailer = ArchiveTrailer(offset: 32, tokenCount: 105)
        let bytes = trailer.encode()
        #expect(bytes == [32, 0, 0, 0, 0, 0, 0, 0, 105, 0, 0, 0, 0, 0, 0, 0, 0x0A, 0x41, 0x42, 0x54, 0x41, 0x49, 0x4C, 0x1A])
        #expect(try ArchiveTrailer(decoding: bytes, archiveSize: 32 + 4 + 105 + 24) == trailer)
        #expect(code { try ArchiveTrailer(decoding: bytes, archiveSize: 32 + 4 + 105 + 25) } == .malformed)
        #expect(code { try ArchiveTrailer(decoding: bytes, archiveSize: 40) } == .truncated)
        #expect(code { try ArchiveTrailer(decoding: bytes, archiveSize: .max) } == .truncated)
        let far = ArchiveTrailer(offset: .max, tokenCount: 105).encode()
        #expect(code { try ArchiveTrailer(decoding: far, archiveSize: 165) } == .malformed)
        var changed = bytes
        changed[12] = 1
        #expect(code { try ArchiveTrailer(decoding: changed, archiveSize: 165) } == .reservedNotZero)
    }

    @Test func idsAreHexadecimalInOrder() {
        #expect(ArchiveID(bytes: Array(0..<16))?.description == "000102030405060708090a0b0c0d0e0f")
        #expect(ArchiveID(bytes: Array(0..<15)) == nil)
        #expect(ArchiveID.random() != ArchiveID.random())
    }

    @Test func errorsNameThePlace() {
        let error = ArchiveError(.truncated, "too short", offset: 3).placed(archive: "1.enc", frame: 2)
        #expect(error.description == "archive 1.enc, frame 2, offset 3: too short")
        #expect(error.placed(archive: "other", frame: 9) == error)
    }
}
