// The history of one path with the numbers and times of the snapshots that show each version.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

@testable import Cataloging

struct HistoryTests {
    private let name = "/home/me/a"

    private func moment(_ number: UInt64) -> DatedVersion.Moment {
        // As `CatalogFixture.snapshotRecord` dates them.
        DatedVersion.Moment(snapshot: number, time: Int64(number) * 60_000)
    }

    private func history(_ fixture: CatalogFixture) throws -> [DatedVersion] { try fixture.catalog.datedHistory(of: path(name)) }

    @Test func versionsHaveTheirFirstAndLastSnapshot() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file(name, "v1"))])
        try fixture.record([.upsert(file("/home/me/b"))])
        try fixture.record([.upsert(file(name, "v3"))])
        try fixture.record([.deletion(path(name))])
        try fixture.record([.upsert(file("/home/me/b", "x"))])
        try fixture.record([.upsert(file(name, "v6"))])
        try fixture.record([.upsert(file("/home/me/b", "y"))])
        #expect(
            try history(fixture) == [
                DatedVersion(first: moment(1), last: 2, until: moment(3), entry: file(name, "v1")),
                DatedVersion(first: moment(3), last: 3, until: moment(4), entry: file(name, "v3")),
                DatedVersion(first: moment(6), last: 7, until: nil, entry: file(name, "v6")),
            ])
    }

    /// Numbers that were merged away stand for the kept snapshot behind them, with its time.
    @Test func mergedSnapshotsLendNoTimes() throws {
        let fixture = try CatalogFixture()
        for number in 1...5 { try fixture.record([.upsert(file(name, "v\(number)"))], stored: stored("v\(number)")) }
        let record = fixture.snapshotRecord(4, parent: 1, coversFrom: 2)
        let (archive, contents) = fixture.archive(.incremental, chunks: stored("v4"), snapshot: record)
        try fixture.catalog.replace(MergeRecord(dropped: [2, 3], into: 4, archive: archive, contents: contents, removedArchives: [2, 3, 4]))
        #expect(
            try history(fixture) == [
                DatedVersion(first: moment(1), last: 1, until: moment(4), entry: file(name, "v1")),
                DatedVersion(first: moment(4), last: 4, until: moment(5), entry: file(name, "v4")),
                DatedVersion(first: moment(5), last: 5, until: nil, entry: file(name, "v5")),
            ])
    }

    @Test func directoriesHaveOneAndWhatNeverWasHasNone() throws {
        let fixture = try CatalogFixture()
        #expect(try history(fixture).isEmpty)
        try fixture.record([.upsert(folder("/home/me")), .upsert(file(name))])
        #expect(
            try fixture.catalog.datedHistory(of: path("/home/me"))
                == [DatedVersion(first: moment(1), last: 1, until: nil, entry: folder("/home/me"))])
        // Above a source nothing but the name is known.
        #expect(try fixture.catalog.datedHistory(of: path("/home")).isEmpty)
        #expect(try fixture.catalog.datedHistory(of: path("/home/me/a/b")).isEmpty)
        #expect(try fixture.catalog.datedHistory(of: .root).isEmpty)
    }
}
