// What the catalog takes, what it refuses, and that a refusal leaves no trace.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

@testable import Cataloging

struct RecordingTests {
    @Test func snapshotsComeBackInOrder() throws {
        let fixture = try CatalogFixture()
        for number in 1...3 { try fixture.record([.upsert(file("/home/me/a", "\(number)"))]) }
        let rows = try fixture.catalog.snapshots()
        #expect(rows.map(\.number) == [1, 2, 3])
        #expect(rows.map(\.kind) == [.full, .incremental, .incremental])
        #expect(rows[2].record == fixture.snapshotRecord(3, parent: 2))
        #expect(try fixture.catalog.snapshot(2) == rows[1])
        #expect(try fixture.catalog.snapshot(9) == nil)
        #expect(try fixture.catalog.newest() == rows[2])
        #expect(try fixture.catalog.newest(atOrBefore: 179_999)?.number == 2)
        #expect(try fixture.catalog.newest(atOrBefore: 59_999) == nil)
        #expect(try fixture.catalog.archives().map(\.snapshot) == [1, 2, 3])
        #expect(try fixture.catalog.highestNumbers() == (3, 3))
    }

    @Test func theHighestRecordArchiveHoldsTheRemarks() throws {
        let fixture = try CatalogFixture()
        try fixture.record([])
        try fixture.record([])
        let early = fixture.archive(.record, remarks: [Remark(kind: .tag, snapshot: 1, text: Array("old".utf8))])
        let late = fixture.archive(
            .record,
            remarks: [
                Remark(kind: .pin, snapshot: 2, text: []), Remark(kind: .tag, snapshot: 2, text: Array("x".utf8)),
                Remark(kind: .tag, snapshot: 2, text: Array("y".utf8)), Remark(kind: .tag, snapshot: 5, text: Array("gone".utf8)),
            ])
        try fixture.catalog.record(archive: late.0, contents: late.1)
        try fixture.catalog.record(archive: early.0, contents: early.1)
        let rows = try fixture.catalog.snapshots()
        #expect(rows.map(\.isPinned) == [false, true])
        #expect(rows.map(\.tags) == [[], [Array("x".utf8), Array("y".utf8)]])
        #expect(try fixture.catalog.snapshot(2)?.tags == rows[1].tags)
    }

    @Test func recordingTwiceChangesNothing() throws {
        let fixture = try CatalogFixture()
        let data = fixture.archive(.data, chunks: stored("a", "b"))
        let commit = fixture.archive(.full, snapshot: fixture.snapshotRecord(1, parent: nil))
        for _ in 1...2 {
            try fixture.catalog.record(archive: data.0, contents: data.1)
            try fixture.catalog.record(
                snapshot: commit.0, contents: commit.1, mode: .changes, records: feed([.upsert(file("/home/me/a", "a"))]))
        }
        #expect(try fixture.catalog.archives().count == 2)
        #expect(try fixture.catalog.locations(of: digest("a")).count == 1)
        #expect(try fixture.entries(at: 1).count == 1)
    }

    @Test func aRefusedSnapshotLeavesNoTrace() throws {
        struct Damaged: Error {}
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a"))])
        let next = fixture.archive(.incremental, chunks: stored("b"), snapshot: fixture.snapshotRecord(2, parent: 1))
        var first = true
        #expect(throws: Damaged.self) {
            try fixture.catalog.record(snapshot: next.0, contents: next.1, mode: .changes) {
                guard first else { throw Damaged() }
                first = false
                return .upsert(file("/home/me/b", "b"))
            }
        }
        let disorder: [ManifestRecord] = [.upsert(file("/home/me/b", "b")), .deletion(path("/home/me/a"))]
        #expect(throws: CatalogError.self) {
            try fixture.catalog.record(snapshot: next.0, contents: next.1, mode: .changes, records: feed(disorder))
        }
        #expect(try fixture.catalog.newest()?.number == 1)
        #expect(try fixture.catalog.liveDescendants(of: .root) == [path("/home/me/a")])
        #expect(try !fixture.catalog.isStored(digest("b")))
        try fixture.catalog.record(snapshot: next.0, contents: next.1, mode: .changes, records: feed([]))
        #expect(try fixture.catalog.newest()?.number == 2)
    }

    /// Runs of an incremental manifest refer to the version before, which the reader looks up while it is recorded.
    @Test func recordsMayReadTheStateBefore() throws {
        let fixture = try CatalogFixture()
        let name = path("/home/me/image")
        try fixture.record([.upsert(file("/home/me/image", "a", "b"))])
        let next = fixture.archive(.incremental, snapshot: fixture.snapshotRecord(2, parent: 1))
        var isDone = false
        try fixture.catalog.record(snapshot: next.0, contents: next.1, mode: .changes) {
            if isDone { return nil }
            isDone = true
            var entry = file("/home/me/image", "c")
            entry.content.chunks += try fixture.catalog.liveChunks(of: name)
            return .upsert(entry)
        }
        #expect(try fixture.catalog.liveChunks(of: name).map(\.digest) == ["c", "a", "b"].map { digest($0) })
    }

    @Test func successionIsChecked() throws {
        let fixture = try CatalogFixture()
        try fixture.record([])
        try fixture.record([])
        func code(_ number: UInt64, parent: UInt64?, _ kind: ArchiveKind = .incremental, _ identity: Digest? = nil) -> CatalogError.Code? {
            var record = fixture.snapshotRecord(number, parent: parent)
            if let identity { record.parent?.identity = identity }
            let next = fixture.archive(kind, snapshot: record)
            do {
                try fixture.catalog.record(snapshot: next.0, contents: next.1, mode: .changes, records: feed([]))
                return nil
            } catch {
                return (error as? CatalogError)?.code
            }
        }
        #expect(code(2, parent: 1) == .outOfOrder)
        #expect(code(3, parent: 1) == .outOfOrder)
        #expect(code(3, parent: nil) == .outOfOrder)
        #expect(code(3, parent: 2, .incremental, digest("foreign")) == .outOfOrder)
        #expect(code(UInt64.max, parent: nil, .full) == .malformed)
        #expect(code(7, parent: nil, .full) == nil)
        #expect(code(8, parent: 7) == nil)
    }

    @Test func foreignContentsAreRefused() throws {
        let fixture = try CatalogFixture()
        var other = fixture.archive(.data)
        other.1.repository = ArchiveID(bytes: [UInt8](repeating: 8, count: 16))!
        #expect(throws: CatalogError.self) { try fixture.catalog.record(archive: other.0, contents: other.1) }
        var renamed = fixture.archive(.data)
        renamed.1.number += 1
        #expect(throws: CatalogError.self) { try fixture.catalog.record(archive: renamed.0, contents: renamed.1) }
        #expect(try fixture.catalog.archives().isEmpty)
    }

    @Test func unknownSnapshotsAreNamed() throws {
        let fixture = try CatalogFixture()
        try fixture.record([])
        for number in [0, 2, UInt64.max] {
            let error = #expect(throws: CatalogError.self) { try fixture.catalog.entry(.root, at: number) }
            #expect(error?.code == .unknownSnapshot)
            #expect(throws: CatalogError.self) { try fixture.entries(at: number) }
        }
        #expect(throws: CatalogError.self) { try fixture.changes(from: 1, to: 1) }
    }

    @Test func verificationIsRemembered() throws {
        let fixture = try CatalogFixture()
        try fixture.record([])
        try fixture.record([])
        try fixture.catalog.markVerified([2], at: 123)
        #expect(try fixture.catalog.archives().map(\.verified) == [nil, 123])
    }
}
