// Chunks that are looked for where they once stood.

import Archiving
import Cataloging
import Encrypting
import Kernel
import Testing

@testable import Scanning

struct ChunkSearchTests {
    private let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    private func place(_ text: String, _ relative: String, _ offset: UInt64 = 0) -> ChunkPlace {
        let bytes = Array(text.utf8)
        return ChunkPlace(digest: SHA256.digest(of: bytes), length: UInt32(bytes.count), path: fixture.tree.path(relative), offset: offset)
    }

    /// What was found, as text, with the place.
    private func search(
        _ places: [ChunkPlace], isCancelled: () -> Bool = { false }
    ) throws -> (found: [(text: String, path: Path, offset: UInt64)], report: ChunkSearchReport) {
        var found: [(text: String, path: Path, offset: UInt64)] = []
        let report = try ChunkSearch(places, sources: fixture.sources).run(isCancelled: isCancelled) { chunk in
            #expect(SHA256.digest(of: chunk.bytes) == chunk.digest)
            #expect(chunk.status.kind == .file)
            let status = try FileStatus(of: chunk.path)
            #expect(status.inode == chunk.status.inode)
            found.append((String(decoding: chunk.bytes, as: UTF8.self), chunk.path, chunk.offset))
        }
        #expect(report.found == found.count)
        return (found, report)
    }

    @Test func whatStillStandsThereIsFound() throws {
        try fixture.tree.write("src/d/a", "onetwothree")
        try fixture.tree.write("src/d/b", "changed")
        let (found, report) = try search([
            place("three", "src/d/a", 6), place("one", "src/d/a"), place("before", "src/d/b"), place("gone", "src/gone/c"),
        ])
        #expect(found.map(\.text) == ["one", "three"])
        #expect(found.map(\.offset) == [0, 6])
        #expect(report.missing == [place("before", ""), place("gone", "")].map(\.digest).sorted())
        #expect(report.problems.isEmpty)
    }

    @Test func eachChunkIsGivenOnce() throws {
        for name in ["src/a", "src/b", "src/c"] { try fixture.tree.write(name, "samesame") }
        let places = [place("same", "src/a", 4), place("same", "src/a"), place("same", "src/b"), place("same", "src/c", 1)]
        let (found, report) = try search(places)
        #expect(found.map(\.path) == [fixture.tree.path("src/a")])
        #expect(found.map(\.offset) == [0])
        #expect(report.missing.isEmpty)
    }

    @Test func anotherPlaceServesWhereTheFirstHasChanged() throws {
        try fixture.tree.write("src/a", "other")
        try fixture.tree.write("src/z", "-needed")
        let (found, _) = try search([place("needed", "src/a"), place("needed", "src/z", 1), place("needed", "src/b")])
        #expect(found.map(\.path) == [fixture.tree.path("src/z")])
    }

    @Test func aPlaceBehindTheEndOfAFileIsNoProblem() throws {
        try fixture.tree.write("src/a", "short")
        let far: [UInt64] = [1, 5, 6, UInt64(Int64.max), .max]
        let (found, report) = try search(far.map { place("short", "src/a", $0) })
        #expect(found.isEmpty)
        #expect(report.problems.isEmpty)
        #expect(report.missing.count == 1)
        var none = place("short", "src/a")
        for length: UInt32 in [0, Chunk.maximumLength + 1, .max] {
            none.length = length
            #expect(try search([none]).found.isEmpty)
        }
    }

    @Test func nothingButFilesIsOpenedAndNoSymlinkFollowed() throws {
        try fixture.tree.write("elsewhere/file", "secret")
        try fixture.tree.makeSymlink("src/link", to: "../elsewhere/file")
        try fixture.tree.makeSymlink("src/directory", to: "../elsewhere")
        try fixture.tree.makeFIFO("src/fifo")
        try fixture.tree.makeDirectory("src/folder")
        let places = ["src/link", "src/directory/file", "src/fifo", "src/folder", "src"].map { place("secret", $0) }
        let (found, report) = try search(places)
        #expect(found.isEmpty)
        #expect(report.problems.isEmpty)
        // A former source is no secret: its content is in the repository's snapshots.
        #expect(try search(places + [place("secret", "elsewhere/file")]).found.map(\.text) == ["secret"])
    }

    @Test func aFileThatCannotBeReadIsNamed() throws {
        try fixture.tree.write("src/a", "closed")
        try fixture.tree.write("src/b", "open")
        try fixture.tree.setMode("src/a", 0)
        // Root reads everything.
        if (try? Descriptor.open(fixture.tree.path("src/a"), .read)) != nil { return }
        let (found, report) = try search([place("closed", "src/a"), place("open", "src/b")])
        #expect(found.map(\.text) == ["open"])
        #expect(report.problems.map(\.path) == [fixture.tree.path("src/a")])
        #expect(report.problems.map(\.errno) == [.permissionDenied])
    }

    @Test func chunksOfTheLargestSizeAreRead() throws {
        let bytes = (0..<Int(Chunk.maximumLength)).map { UInt8(truncatingIfNeeded: $0 / 251) }
        try fixture.tree.write("src/large", bytes: [1] + bytes)
        let wanted = ChunkPlace(digest: SHA256.digest(of: bytes), length: Chunk.maximumLength, path: fixture.tree.path("src/large"), offset: 1)
        let report = try ChunkSearch([wanted], sources: fixture.sources).run { chunk in #expect(chunk.bytes.elementsEqual(bytes)) }
        #expect(report.found == 1)
    }

    @Test func itIsCalledOffBetweenFiles() throws {
        for name in ["src/a", "src/b"] { try fixture.tree.write(name, name) }
        var found = 0
        #expect(throws: ScanCancelled.self) {
            try ChunkSearch([place("src/a", "src/a"), place("src/b", "src/b")], sources: fixture.sources)
                .run(isCancelled: { found > 0 }, found: { _ in found += 1 })
        }
        #expect(found == 1)
    }

    @Test func anErrorOfWhoeverTakesThemPassesThrough() throws {
        try fixture.tree.write("src/a", "a")
        #expect(throws: ProgramFailure.self) {
            try ChunkSearch([place("a", "src/a")], sources: fixture.sources).run { _ in throw ProgramFailure(program: "", status: 1) }
        }
    }
}
