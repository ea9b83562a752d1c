// Where versions of files had chunks that are lost now.

import Archiving
import Cataloging
import Encrypting
import Kernel
import Testing

struct LostChunkTests {
    private func places(_ fixture: CatalogFixture, _ texts: String...) throws -> [ChunkPlace] {
        try fixture.catalog.places(ofChunks: texts.map { digest($0) })
    }

    private func place(_ text: String, _ name: String, _ offset: UInt64) -> ChunkPlace {
        ChunkPlace(digest: digest(text), length: 100, path: path(name), offset: offset)
    }

    @Test func everyVersionSaysWhereAChunkStood() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(folder("/home/me")), .upsert(file("/home/me/a", "x", "lost")), .upsert(file("/home/me/b", "lost"))])
        try fixture.record([.upsert(file("/home/me/a", "x", "y", "lost", "lost")), .deletion(path("/home/me/b"))])
        // The same place again is said once.
        try fixture.record([.upsert(file("/home/me/a", "x", "lost", mode: 0o600))])
        #expect(
            try places(fixture, "lost") == [
                place("lost", "/home/me/a", 100), place("lost", "/home/me/a", 200), place("lost", "/home/me/a", 300),
                place("lost", "/home/me/b", 0),
            ])
        #expect(try places(fixture, "y", "x") == [place("x", "/home/me/a", 0), place("y", "/home/me/a", 100)])
    }

    @Test func holesShiftTheOffsets() throws {
        let fixture = try CatalogFixture()
        var sparse = file("/home/me/sparse", "a", "b", "c", "d")
        sparse.content.holes = [
            Hole(offset: 0, length: 4096), Hole(offset: 4296, length: 1 << 33), Hole(offset: 4396 + (1 << 33), length: 50),
        ]
        sparse.size = sparse.content.byteCount
        try fixture.record([.upsert(sparse)])
        let offsets = try places(fixture, "a", "b", "c", "d").map(\.offset)
        #expect(offsets == [4096, 4196, 4296 + (1 << 33), 4446 + (1 << 33)])
    }

    @Test func whatNoVersionNeedsHasNoPlace() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a"))], stored: stored("a", "dead"))
        #expect(try places(fixture, "dead", "unknown").isEmpty)
        #expect(try places(fixture).isEmpty)
        #expect(try places(fixture, "a").count == 1)
    }
}
