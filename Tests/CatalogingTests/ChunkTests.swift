// Where chunks are, what counts as stored, and what is still needed.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

@testable import Cataloging

struct ChunkTests {
    @Test func chunksAreFound() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a", "lost"))], stored: stored("b", "a"))
        let location = try #require(try fixture.catalog.location(of: digest("a")))
        #expect(location == ChunkLocation(archive: 1, frame: 0, offset: 1512, length: 100))
        #expect(try fixture.catalog.location(of: digest("lost")) == nil)
        #expect(try fixture.catalog.location(of: digest("unknown")) == nil)
        let chunks = ["a", "lost", "b"].map { Chunk(digest: digest($0), length: 100) }
        #expect(try fixture.catalog.locations(of: chunks).map { $0?.offset } == [1512, nil, 512])
        #expect(try chunks.map { try fixture.catalog.isStored($0.digest) } == [true, false, true])
        #expect(try fixture.catalog.lostChunks() == [digest("lost")])
        try fixture.record([], stored: stored("lost"))
        #expect(try fixture.catalog.isStored(digest("lost")))
        #expect(try fixture.catalog.lostChunks().isEmpty)
    }

    /// The index holds 8 bytes of a digest: two that agree in them stay two chunks.
    @Test func digestsThatBeginAlikeAreToldApart() throws {
        let fixture = try CatalogFixture()
        let twins = (0..<3).map { last in Digest(bytes: [UInt8](repeating: 0xEE, count: 31) + [UInt8(last)])! }
        try fixture.record([], stored: twins.enumerated().map { StoredChunk(digest: $1, frame: 1, offset: UInt32($0), length: 5) })
        #expect(try twins.map { try fixture.catalog.location(of: $0)?.offset } == [0, 1, 2])
        #expect(try !fixture.catalog.isStored(Digest(bytes: [UInt8](repeating: 0xEE, count: 32))!))
    }

    @Test func aCopyTakesThePlaceOfARemovedArchive() throws {
        let fixture = try CatalogFixture()
        let first = fixture.archive(.data, chunks: stored("a", "b"))
        let second = fixture.archive(.data, chunks: stored("x", "a", "a"))
        try fixture.catalog.record(archive: first.0, contents: first.1)
        try fixture.catalog.record(archive: second.0, contents: second.1)
        #expect(try fixture.catalog.locations(of: digest("a")).map(\.archive) == [1, 2])
        try fixture.catalog.forget([1])
        #expect(try fixture.catalog.locations(of: digest("a")) == [ChunkLocation(archive: 2, frame: 0, offset: 1512, length: 100)])
        #expect(try fixture.catalog.location(of: digest("b")) == nil)
        #expect(try fixture.catalog.archives().map(\.archive.name.number) == [2])
    }

    @Test func removingBothArchivesLosesTheChunk() throws {
        let fixture = try CatalogFixture()
        for _ in 1...2 {
            let data = fixture.archive(.data, chunks: stored("a"))
            try fixture.catalog.record(archive: data.0, contents: data.1)
        }
        try fixture.catalog.forget([1, 2])
        #expect(try fixture.catalog.locations(of: digest("a")).isEmpty)
        #expect(try fixture.catalog.pruneChunks() == 1)
    }

    @Test func whatSnapshotsNeedIsMarked() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "old", "both"))], stored: stored("old", "both", "never"))
        try fixture.record([.upsert(file("/home/me/a", "both", "new"))], stored: stored("new"))
        let needed = NeededChunks(try fixture.catalog.references(kept: [1, 2], dropping: []), merging: 0)
        let first = try fixture.catalog.chunks(in: 1, needed: needed)
        #expect(first.map(\.digest) == ["old", "both", "never"].map { digest($0) })
        #expect(first.map(\.isNeeded) == [true, true, false])
        #expect(try fixture.catalog.usage(of: 1, needed: needed) == ArchiveUsage(bytes: 300, liveBytes: 200, neededBytes: 200))
        #expect(try fixture.catalog.usage(of: 2, needed: needed) == ArchiveUsage(bytes: 100, liveBytes: 100, neededBytes: 100))
        let data = fixture.archive(.data, chunks: stored("new", "never", "both"))
        try fixture.catalog.record(archive: data.0, contents: data.1)
        #expect(try fixture.catalog.usage(of: 3, needed: needed) == ArchiveUsage(bytes: 300, liveBytes: 200, neededBytes: 0), "copies")
    }

    /// Groups go one after the other: what only a later one needs is needed until it is its turn.
    @Test func whatIsNeededShrinksFromGroupToGroup() throws {
        let fixture = try CatalogFixture()
        for name in ["one", "two", "three", "four", "five"] {
            try fixture.record([.upsert(file("/home/me/a", name)), .upsert(file("/home/me/b", "always"))], stored: stored(name, "always"))
        }
        let references = try fixture.catalog.references(kept: [3, 5], dropping: [[4], [1, 2]])
        func needed(_ group: Int) throws -> [String] {
            let needed = NeededChunks(references, merging: group)
            return try ["one", "two", "three", "four", "five", "always"].enumerated().filter { index, name in
                try fixture.catalog.chunks(in: UInt64(min(index, 4) + 1), needed: needed).contains { $0.digest == digest(name) && $0.isNeeded }
            }.map(\.element)
        }
        #expect(try needed(-1) == ["one", "two", "three", "four", "five", "always"])
        #expect(try needed(0) == ["one", "two", "three", "five", "always"])
        #expect(try needed(1) == ["three", "five", "always"])
    }

    @Test func whatIsNeededKeepsItsOnlyArchive() throws {
        let fixture = try CatalogFixture()
        let data = fixture.archive(.data, chunks: stored("a", "b"))
        try fixture.catalog.record(archive: data.0, contents: data.1)
        try fixture.record([.upsert(file("/home/me/a", "a"))])
        let needed = NeededChunks(try fixture.catalog.references(kept: [1], dropping: []), merging: 0)
        let error = #expect(throws: CatalogError.self) { try fixture.catalog.forget([1], needed: needed) }
        #expect(error?.code == .inUse)
        let copy = fixture.archive(.data, chunks: stored("a"))
        try fixture.catalog.record(archive: copy.0, contents: copy.1)
        try fixture.catalog.forget([1], needed: needed)
        #expect(try fixture.catalog.isStored(digest("a")))
    }

    /// The catalog can write a lost manifest again, so it does not forget the snapshot with its archive.
    @Test func aLostManifestLeavesItsSnapshot() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a"))], stored: stored("a"))
        try fixture.record([.upsert(file("/home/me/b", "b"))], stored: stored("b"))
        let lost = try #require(try fixture.catalog.archives([1]).first)
        try fixture.catalog.lose([1])
        #expect(try fixture.catalog.snapshotsWithoutArchive() == [1])
        #expect(try fixture.entries(at: 1).map(\.path) == [file("/home/me/a").path])
        #expect(try fixture.catalog.lostChunks() == [digest("a")])
        #expect(lost.snapshot == 1)
    }

    @Test func aManifestsArchiveCannotBeForgotten() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a"))], stored: stored("a"))
        let error = #expect(throws: CatalogError.self) { try fixture.catalog.forget([1]) }
        #expect(error?.code == .inUse)
        #expect(try fixture.catalog.isStored(digest("a")))
    }

    @Test func oneDigestHasOneLength() throws {
        let fixture = try CatalogFixture()
        try fixture.record([], stored: stored("a"))
        var entry = file("/home/me/a", "a")
        entry.content.chunks[0].length = 99
        #expect(throws: CatalogError.self) { try fixture.record([.upsert(entry)]) }
        #expect(try fixture.catalog.newest()?.number == 1)
    }

    /// One bit of a row went wrong, and a restore gave another file's content, with the exit status of success.
    @Test(arguments: [
        "UPDATE live SET content = (SELECT content FROM live WHERE name = CAST('b' AS BLOB)) WHERE name = CAST('a' AS BLOB)",
        "UPDATE live SET content = x'' WHERE name = CAST('a' AS BLOB)",
        "UPDATE live SET size = size + 1 WHERE name = CAST('a' AS BLOB)",
        "UPDATE live SET first = first + 1 WHERE name = CAST('a' AS BLOB)",
        "UPDATE live SET name = CAST('c' AS BLOB) WHERE name = CAST('a' AS BLOB)",
        "UPDATE chunk SET key = key + 1",
        "UPDATE chunk SET length = length + 1",
    ])
    func contentOfAnotherFileIsNotGivenOut(_ change: String) throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a")), .upsert(file("/home/me/b", "b"))], stored: stored("a", "b"))
        let path = Path(change.contains("SET name") ? "/home/me/c" : "/home/me/a")!
        try fixture.catalog.write { try $0.prepared(change).run() }
        let error = #expect(throws: CatalogError.self) { try fixture.catalog.liveEntry(path) }
        #expect(error?.code == .corrupt)
        #expect(throws: CatalogError.self) { try fixture.catalog.liveChunks(of: path) }
    }

    @Test func contentCodeIsShortForNeighbours() {
        let ids = Array<Int64>(1_000_000..<1_040_000)
        let bytes = ContentCode.encode(chunks: ids, holes: [])
        #expect(bytes.count < 12)
        var back: [Int64] = []
        #expect(bytes.withUnsafeBytes { ContentCode.forEachRun(in: $0) { back += $0 } })
        #expect(back == ids)
        var cut = bytes
        cut.removeLast()
        #expect(!cut.withUnsafeBytes { ContentCode.forEachRun(in: $0) { _ in } })
    }
}
