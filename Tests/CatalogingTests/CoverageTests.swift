// What verification has covered is counted, and outlives the catalog.

import Archiving
import Encrypting
import Foundation
import Kernel
import Storing
import Testing

@testable import Cataloging

struct CoverageTests {
    /// Archives 1 (of the time 60,000), 2 (120,000) and 3 (180,000).
    private func filled() throws -> CatalogFixture {
        let fixture = try CatalogFixture()
        for number in 1...3 { try fixture.record([.upsert(file("/home/me/a", "v\(number)"))], stored: stored("v\(number)")) }
        return fixture
    }

    private func names(_ fixture: CatalogFixture) throws -> [ArchiveName] { try fixture.catalog.archives().map(\.archive.name) }

    @Test func unreadArchivesAreCountedFromTheirOwnTime() throws {
        let fixture = try filled()
        var coverage = try fixture.catalog.coverage(since: 0)
        #expect((coverage.archives, coverage.unread) == (3, 3))
        #expect(coverage.oldest == nil)
        #expect(coverage.waitingSince == 60_000)
        try fixture.catalog.markVerified([1, 3], at: 500_000)
        coverage = try fixture.catalog.coverage(since: 500_000)
        #expect(coverage.unread == 1)
        #expect(coverage.oldest == nil)
        #expect(coverage.waitingSince == 120_000)
        try fixture.catalog.markVerified([2], at: 400_000)
        coverage = try fixture.catalog.coverage(since: 450_000)
        #expect(coverage.unread == 1)
        #expect(coverage.oldest == 400_000)
        #expect(coverage.waitingSince == 400_000)
        #expect(try fixture.catalog.coverage(since: 400_000).unread == 0)
    }

    @Test func anEmptyCatalogCoversNothingAndWaitsForNothing() throws {
        let fixture = try CatalogFixture()
        #expect(try fixture.catalog.coverage(since: 0) == VerificationCoverage())
    }

    @Test func readingsOutliveTheCatalog() throws {
        let fixture = try filled()
        try fixture.catalog.markVerified([1, 2], at: 500_000)
        let readings = Catalog.readings(leftAt: fixture.path)
        let names = try names(fixture)
        #expect(readings == [names[0]: 500_000, names[1]: 500_000])
        // Another catalog of the same archives, one of them with other bytes.
        let other = try filled()
        var foreign = readings
        foreign[names[1]] = nil
        foreign[ArchiveName(number: 2, time: names[1].time, kind: names[1].kind, digest: digest("other bytes"))] = 500_000
        try other.catalog.adopt(foreign)
        #expect(try other.catalog.archives().map(\.verified) == [500_000, nil, nil])
        try other.catalog.markVerified([2], at: 600_000)
        try other.catalog.adopt(readings)
        #expect(try other.catalog.archives().map(\.verified) == [500_000, 600_000, nil])
    }

    /// A catalog of another version cannot be opened, and what it says of archives is still good.
    @Test func readingsOfAnotherVersionAreRead() throws {
        let fixture = try filled()
        try fixture.catalog.markVerified([2], at: 500_000)
        try fixture.catalog.write { try $0.prepared("PRAGMA user_version = 999").run() }
        try fixture.catalog.close()
        #expect(Catalog.readings(leftAt: fixture.path).values.map { $0 } == [500_000])
    }

    @Test func whatCannotBeReadHasNoReadings() throws {
        let fixture = try filled()
        try fixture.catalog.markVerified([2], at: 500_000)
        try fixture.catalog.close()
        #expect(Catalog.readings(leftAt: fixture.path.appending("absent".utf8)).isEmpty)
        let file = try Descriptor.open(fixture.path, [.readWrite])
        try [UInt8](repeating: 0xA5, count: 4096).withUnsafeBytes { try file.write($0, at: 0) }
        #expect(Catalog.readings(leftAt: fixture.path).isEmpty)
    }
}
