// Scans against a real catalog: what it recorded is what the scan compares with.

import Archiving
import Cataloging
import Encrypting
import Kernel
import Storing
import Testing
import Tracking

@testable import Scanning

struct CatalogStateTests {
    @Test func aRecordedPlanLeavesNothingToDo() throws {
        let recorder = try Recorder()
        let tree = recorder.tree
        for index in 0..<120 { try tree.write("src/d\(index % 7)/e\(index % 5)/file\(index)", "\(index)") }
        try tree.link("src/d0/e0/file0", as: "src/second name")
        try tree.makeSymlink("src/link", to: "d0")
        #expect(try recorder.scan().upserts.count == 120 + 35 + 7 + 3)
        try recorder.snapshot()
        #expect(try recorder.scan().isEmpty)
        #expect(try recorder.scan([Change(path: tree.path("src/d1"), scope: .subtree)]).isEmpty)
    }

    @Test func changesAreFoundThroughTheCatalog() throws {
        let recorder = try Recorder()
        let tree = recorder.tree
        try tree.write("src/a/b/c")
        try tree.write("src/a/d")
        try tree.link("src/a/d", as: "src/e")
        try recorder.snapshot()
        try tree.write("src/e", "changed")
        try tree.remove("src/a/b")
        let changes = [Change(path: tree.path("src/e"), scope: .entry), Change(path: tree.path("src/a/b/c"), scope: .entry)]
        for plan in [try recorder.scan(), try recorder.scan(changes)] {
            #expect(plan.upserts.map(\.path) == ["src/a", "src/a/d", "src/e"].map { tree.path($0) })
            #expect(plan.deletions == ["src/a/b", "src/a/b/c"].map { tree.path($0) })
        }
        try recorder.snapshot()
        #expect(try recorder.scan().isEmpty)
    }

    /// As after a snapshot that recorded the content of a directory without the directory.
    @Test func whatIsInNoDirectoryIsDeletedUnlessItIsFound() throws {
        let recorder = try Recorder()
        let tree = recorder.tree
        for name in ["src/gone/deep/a", "src/there/b", "src/there/c", "src/d"] { try tree.write(name) }
        try recorder.snapshot(without: ["src/gone", "src/there"].map { tree.path($0) })
        #expect(try recorder.catalog.liveOrphans(below: recorder.sources).count == 4)
        for name in ["src/gone", "src/there/b"] { try tree.remove(name) }
        let plan = try recorder.scan()
        #expect(plan.deletions == ["src/gone/deep", "src/gone/deep/a", "src/there/b"].map { tree.path($0) })
        #expect(plan.upserts.map(\.path).contains(tree.path("src/there/c")))
        try recorder.snapshot()
        #expect(try recorder.catalog.liveOrphans(below: recorder.sources).isEmpty)
        #expect(try recorder.scan().isEmpty)
    }

    @Test func theSourcesAreThoseOfTheNewestSnapshot() throws {
        let recorder = try Recorder()
        #expect(try recorder.catalog.liveSources() == [])
        try recorder.tree.write("src/a")
        try recorder.tree.write("other/b")
        recorder.sources = [recorder.tree.path("other"), recorder.tree.path("src")]
        try recorder.snapshot()
        #expect(try recorder.catalog.liveSources() == recorder.sources)
        recorder.sources = [recorder.tree.path("src")]
        #expect(try recorder.scan().deletions == ["other", "other/b"].map { recorder.tree.path($0) })
    }
}

/// Takes snapshots of a tree into a catalog, without storing anything.
private final class Recorder {
    let tree: TemporaryTree
    let catalog: Catalog
    var sources: [Path]
    private let repository = RepositoryID.random()
    private var number: UInt64 = 0

    init() throws {
        tree = try TemporaryTree()
        try tree.makeDirectory("src")
        sources = [tree.path("src")]
        catalog = try Catalog.open(at: tree.path("catalog.sqlite"), repository: repository)
    }

    func scan(_ changes: [Change]? = nil) throws -> SnapshotPlan {
        let rules = ExcludeRules(settings: ExcludeSettings(), sources: sources, home: nil, ownPaths: [])
        return try Scanner(state: catalog, rules: rules, workers: 2, priority: .normal).plan(changes.map { .changes($0) } ?? .whole)
    }

    /// Records what a whole scan finds, as if it had been read long after it was written.
    func snapshot(without left: [Path] = []) throws {
        let plan = try scan()
        let reader = FileReader(state: catalog, sources: sources)
        var records = plan.deletions.map { ManifestRecord.deletion($0) }
        records += try plan.upserts.map {
            var entry = try reader.read($0) { _, _, _, _ in }.entry
            entry.marks = []
            return .upsert(entry)
        }
        records.removeAll { left.contains($0.path) }
        records.sort { $0.path < $1.path }
        number += 1
        let name = ArchiveName(number: number, time: Int64(number), kind: .full, digest: digest("\(number)"))
        let record = SnapshotRecord(
            number: number, time: Int64(number), host: [], sources: sources, identity: digest("identity \(number)"), parent: nil, coversFrom: number)
        let contents = ArchiveContents(
            repository: repository, number: number, kind: .full, time: Int64(number), snapshot: record, highestSnapshot: number)
        var rest = records[...]
        try catalog.record(snapshot: StoredArchive(name: name, size: 1), contents: contents, mode: .changes) { rest.popFirst() }
    }
}
