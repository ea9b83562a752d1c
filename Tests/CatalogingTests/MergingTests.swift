// Consolidation: snapshots go, and what the others show stays as it was.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

@testable import Cataloging

struct MergingTests {
    private func merge(_ fixture: CatalogFixture, _ dropped: [UInt64], into: UInt64, parent: UInt64?, stored: [StoredChunk] = [],
        removed: [UInt64] = []
    ) throws {
        let record = fixture.snapshotRecord(into, parent: parent, coversFrom: dropped.min())
        let (archive, contents) = fixture.archive(parent == nil ? .full : .incremental, chunks: stored, snapshot: record)
        try fixture.catalog.replace(
            MergeRecord(dropped: dropped, into: into, archive: archive, contents: contents, removedArchives: removed))
    }

    @Test func versionsThatNoSnapshotShowsGo() throws {
        let fixture = try CatalogFixture()
        let name = "/home/me/a"
        for number in 1...4 { try fixture.record([.upsert(file(name, "v\(number)"))], stored: stored("v\(number)")) }
        try merge(fixture, [2, 3], into: 4, parent: 1, stored: stored("v4"), removed: [2, 3, 4])
        #expect(
            try fixture.catalog.history(of: path(name)) == [
                VersionRow(first: 1, until: 4, entry: file(name, "v1")), VersionRow(first: 4, until: nil, entry: file(name, "v4")),
            ])
        #expect(try fixture.catalog.snapshots().map(\.number) == [1, 4])
        #expect(try fixture.catalog.snapshot(4)?.record.coversFrom == 2)
        #expect(try fixture.catalog.snapshot(4)?.archive == 5)
        #expect(try fixture.catalog.location(of: digest("v4"))?.archive == 5)
        #expect(try fixture.catalog.location(of: digest("v2")) == nil)
        #expect(try fixture.catalog.archives().map(\.archive.name.number) == [1, 5])
        #expect(try fixture.catalog.lostChunks().isEmpty)
        #expect(try fixture.catalog.pruneChunks() == 2)
        try fixture.record([.upsert(file(name, "v5"))])
        #expect(try fixture.changes(from: 1, to: 4) == [.upsert(file(name, "v4"))])
        #expect(try fixture.changes(from: 1, to: 5) == [.upsert(file(name, "v5"))])
    }

    /// A change that is taken back within the merged run is no change any more.
    @Test func aChangeTakenBackDisappears() throws {
        let fixture = try CatalogFixture()
        let name = path("/home/me/a")
        let brief = path("/home/me/brief/x")
        try fixture.record([.upsert(file("/home/me/a", "same"))])
        try fixture.record([.upsert(file("/home/me/a", "other")), .upsert(folder("/home/me/brief")), .upsert(file("/home/me/brief/x"))])
        try fixture.record([.upsert(file("/home/me/a", "same")), .deletion(path("/home/me/brief")), .deletion(brief)])
        try merge(fixture, [2], into: 3, parent: 1)
        #expect(try fixture.catalog.history(of: name) == [VersionRow(first: 1, until: nil, entry: file("/home/me/a", "same"))])
        #expect(try fixture.catalog.history(of: brief).isEmpty)
        #expect(try fixture.catalog.node(of: path("/home/me/brief")) == nil)
        #expect(try fixture.changes(from: 1, to: 3).isEmpty)
    }

    @Test func theOldestSnapshotCanGo() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a")), .upsert(file("/home/me/b", "b"))])
        try fixture.record([.deletion(path("/home/me/a"))])
        try fixture.record([.upsert(file("/home/me/c", "c"))])
        try merge(fixture, [1], into: 2, parent: nil, removed: [1, 2])
        #expect(try fixture.entries(at: 2) == [file("/home/me/b", "b")])
        #expect(try fixture.changes(from: 2, to: 3) == [.upsert(file("/home/me/c", "c"))])
        #expect(try fixture.catalog.history(of: path("/home/me/a")).isEmpty)
        #expect(try fixture.catalog.snapshot(2)?.kind == .full)
        try merge(fixture, [2], into: 3, parent: nil)
        #expect(try fixture.entries(at: 3) == [file("/home/me/b", "b"), file("/home/me/c", "c")])
    }

    @Test func aMergeThatLeavesASnapshotOutIsRefused() throws {
        let fixture = try CatalogFixture()
        for number in 1...5 { try fixture.record([.upsert(file("/home/me/a", "v\(number)"))]) }
        for (dropped, into, removed) in [([2, 4], 5, []), ([3], 2, []), ([2], 9, []), ([2], 3, [4])] as [([UInt64], UInt64, [UInt64])] {
            #expect(throws: CatalogError.self) { try merge(fixture, dropped, into: into, parent: 1, removed: removed) }
        }
        #expect(try fixture.catalog.snapshots().count == 5)
        #expect(try fixture.catalog.history(of: path("/home/me/a")).count == 5)
        #expect(try fixture.catalog.archives().count == 5)
    }

    @Test func mergingTwiceChangesNothing() throws {
        let fixture = try CatalogFixture()
        for number in 1...3 { try fixture.record([.upsert(file("/home/me/a", "v\(number)"))], stored: stored("v\(number)")) }
        let record = fixture.snapshotRecord(3, parent: 1, coversFrom: 2)
        let (archive, contents) = fixture.archive(.incremental, chunks: stored("v3"), snapshot: record)
        let merge = MergeRecord(dropped: [2], into: 3, archive: archive, contents: contents, removedArchives: [2, 3])
        try fixture.catalog.replace(merge)
        let rows = try fixture.catalog.snapshots()
        try fixture.catalog.replace(merge)
        #expect(try fixture.catalog.snapshots() == rows)
    }

    /// A restore may still be reading when its snapshot is merged away: it must not go on with another state.
    @Test func aWalkEndsWhenItsSnapshotGoes() throws {
        let fixture = try CatalogFixture()
        try fixture.record([])
        try fixture.record((0..<5000).map { .upsert(file("/home/me/\(10_000 + $0)", "x")) })
        try fixture.record([])
        var count = 0
        let error = #expect(throws: CatalogError.self) {
            try fixture.catalog.forEachEntry(below: .root, at: 2, includingContent: false) { _ in
                count += 1
                if count == 1 { try merge(fixture, [2], into: 3, parent: 1) }
            }
        }
        #expect(error?.code == .unknownSnapshot)
        #expect(count < 5000)
    }
}
