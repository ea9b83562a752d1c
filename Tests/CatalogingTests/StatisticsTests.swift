// The sums of `watchctl stats`: each chunk on one side only, types and directories by their bytes.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

@testable import Cataloging

struct StatisticsTests {
    private func sized(_ text: String, _ size: UInt64, in folder: String = "/home/me") -> ManifestRecord {
        var entry = file("\(folder)/\(text)")
        entry.size = size
        return .upsert(entry)
    }

    private func types(_ space: FileSpace) -> [String] {
        space.types.map { "\(String(decoding: $0.name, as: UTF8.self)) \($0.files.count) \($0.files.bytes)" }
    }

    private func directories(_ space: FileSpace) -> [String] {
        space.directories.map { "\($0.name) \($0.files.count) \($0.files.bytes)" }
    }

    @Test func chunksBelongToTheNewestOlderOrNoSnapshot() throws {
        let fixture = try CatalogFixture()
        #expect(try fixture.catalog.chunkSpace() == ChunkSpace())
        try fixture.record(
            [.upsert(file("/home/me/a", "shared", "old"))], stored: stored("shared", "old", "forgotten", "never"))
        try fixture.record([.upsert(file("/home/me/a", "shared", "new"))], stored: stored("new"))
        let (copy, contents) = fixture.archive(.data, chunks: stored("shared"))
        try fixture.catalog.record(archive: copy, contents: contents)
        let space = try fixture.catalog.chunkSpace()
        #expect(space.all == Amount(count: 5, bytes: 500))
        #expect(space.newest == Amount(count: 2, bytes: 200))
        #expect(space.older == Amount(count: 1, bytes: 100))
        #expect(space.dead == Amount(count: 2, bytes: 200))
        #expect(space.copies == Amount(count: 1, bytes: 100))
    }

    /// A chunk that no archive holds takes no space.
    @Test func lostChunksTakeNoSpace() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "lost"))])
        #expect(try fixture.catalog.chunkSpace().all == Amount())
    }

    @Test func archivesByKind() throws {
        let fixture = try CatalogFixture()
        try fixture.record([])
        try fixture.record([])
        let (data, contents) = fixture.archive(.data)
        try fixture.catalog.record(archive: data, contents: contents)
        let space = try fixture.catalog.archiveSpace()
        #expect(space.map(\.kind) == [.full, .incremental, .data])
        #expect(space.map(\.amount) == [Amount(count: 1, bytes: 1001), Amount(count: 1, bytes: 1002), Amount(count: 1, bytes: 1003)])
    }

    @Test func typesAndDirectoriesOfTheNewestState() throws {
        let fixture = try CatalogFixture()
        try fixture.record([
            .upsert(folder("/home/me")), sized(".hidden", 1), sized("a.JPG", 10),
            .upsert(folder("/home/me/b")), .upsert(folder("/home/me/b/deep")), sized("two.txt", 300, in: "/home/me/b/deep"),
            sized("one.jpg", 20, in: "/home/me/b"),
            .upsert(folder("/home/me/bb")), sized("three.tar.gz", 5, in: "/home/me/bb"),
            sized("none", 4), sized("odd.this is no type at all", 7), sized("trailing.", 2),
        ])
        let space = try fixture.catalog.fileSpace(below: [path("/home/me")], types: 3, directories: 5)
        #expect(types(space) == ["txt 1 300", "jpg 2 30", " 4 14"])
        #expect(directories(space) == ["/home/me/b 2 320", "/home/me 5 24", "/home/me/bb 1 5"])
        // What is gone counts no more.
        try fixture.record([.deletion(path("/home/me/b/deep")), .deletion(path("/home/me/b/deep/two.txt"))])
        #expect(try types(fixture.catalog.fileSpace(below: [path("/home/me")], types: 1, directories: 0)) == ["jpg 2 30"])
    }

    @Test func onlyTheLargestAreNamed() throws {
        let fixture = try CatalogFixture()
        var records: [ManifestRecord] = [.upsert(folder("/home/me"))]
        for index in 10..<30 {
            records += [.upsert(folder("/home/me/d\(index)")), sized("f.t\(index)", UInt64(index * 37 % 20 + 1), in: "/home/me/d\(index)")]
        }
        try fixture.record(records)
        let space = try fixture.catalog.fileSpace(below: [path("/home/me"), path("/absent")], types: 10, directories: 5)
        #expect(space.types.map(\.files.bytes) == [20, 19, 18, 17, 16, 15, 14, 13, 12, 11])
        #expect(space.directories.map(\.files.bytes) == [20, 19, 18, 17, 16])
    }

    /// A directory of millions of names that each look like a type of their own must not fill the memory.
    @Test func manyTypesTakeBoundedMemory() {
        var tally = TypeTally()
        func add(_ name: String, _ size: UInt64) { Array(name.utf8).withUnsafeBytes { tally.add($0, size) } }
        for index in 0..<(3 * TypeTally.limit) {
            add("log.\(index)", 1)
            if index.isMultiple(of: 1000) { add("film.mkv", 1000) }
        }
        #expect(tally.count <= TypeTally.limit)
        #expect(tally.largest(1).map(\.files) == [Amount(count: 60, bytes: 60_000)])
    }
}
