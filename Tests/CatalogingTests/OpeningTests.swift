// A catalog that is damaged, foreign or of another version is told apart, and can be thrown away.

import Archiving
import Foundation
import Kernel
import Testing

@testable import Cataloging

struct OpeningTests {
    private func code(of body: () throws -> Void) -> CatalogError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? CatalogError)?.code
        }
    }

    private func overwrite(_ path: Path, at offset: UInt64, count: Int) throws {
        let file = try Descriptor.open(path, [.readWrite])
        try [UInt8](repeating: 0xA5, count: count).withUnsafeBytes { try file.write($0, at: offset) }
    }

    /// Closing any descriptor of a file ends all locks that the process has on it (fcntl_locking(2)), and whoever comes then may remove the log.
    @Test func openingASecondTimeKeepsTheLocksOfTheFirst() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a"))], stored: stored("a"))
        func locks() throws -> Int {
            let inode = try FileStatus(of: fixture.path).inode
            let lines = String(decoding: try #require(Path("/proc/locks")).readFile(), as: UTF8.self).split(separator: "\n")
            return lines.count { $0.contains(" \(ProcessIdentity.pid) ") && $0.contains(":\(inode) ") }
        }
        // The kernel's list is read in parts, and can miss a line while other tests lock and unlock; a lock that is lost never shows again.
        func areThere(_ count: Int) throws -> Bool { try (0..<100).contains { _ in try locks() >= count } }
        #expect(try areThere(1))
        let before = try locks()
        let second = try Catalog.open(at: fixture.path, repository: CatalogFixture.repository)
        #expect(try areThere(before))
        try second.close()
        #expect(try areThere(before))
    }

    @Test func whatWasRecordedOutlivesTheProcess() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a"))], stored: stored("a"))
        try fixture.catalog.close()
        let again = try Catalog.open(at: fixture.path, repository: CatalogFixture.repository)
        #expect(try again.liveEntry(path("/home/me/a")) == file("/home/me/a", "a"))
        #expect(try again.isStored(digest("a")))
        try again.close()
        #expect(throws: (any Error).self) { try again.newest() }
    }

    /// With a log, and when SQLite has moved all of it into the database.
    @Test func whatWasRecordedCanBeMadeDurable() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(file("/home/me/a", "a"))], stored: stored("a"))
        try fixture.catalog.makeDurable()
        #expect(try fixture.catalog.isStored(digest("a")))
        try fixture.catalog.close()
        try fixture.catalog.makeDurable()
    }

    @Test func onlyTheOwnerMayReadIt() throws {
        let fixture = try CatalogFixture()
        try fixture.record([])
        for suffix in ["", "-wal"] {
            #expect(try FileStatus(of: Path("/" + String(decoding: fixture.path.bytes, as: UTF8.self) + suffix)!).mode == 0o600)
        }
    }

    @Test func anotherRepositoryIsRefused() throws {
        let fixture = try CatalogFixture()
        try fixture.catalog.close()
        let other = ArchiveID(bytes: [UInt8](repeating: 9, count: 16))!
        #expect(code { _ = try Catalog.open(at: fixture.path, repository: other) } == .otherRepository)
        try Catalog.discard(at: fixture.path)
        try Catalog.open(at: fixture.path, repository: other).close()
    }

    @Test func aFileThatIsNoDatabaseIsCorrupt() throws {
        let fixture = try CatalogFixture()
        try fixture.catalog.close()
        try overwrite(fixture.path, at: 0, count: 4096)
        #expect(code { _ = try Catalog.open(at: fixture.path, repository: CatalogFixture.repository) } == .corrupt)
        try Catalog.discard(at: fixture.path)
        #expect(!fixture.path.exists)
        try Catalog.discard(at: fixture.path)
    }

    /// SQLite takes a format of tomorrow for a file that nobody may write: a rebuild gave up on it.
    @Test func aHeaderThatForbidsWritingIsCorrupt() throws {
        let fixture = try CatalogFixture()
        try fixture.catalog.close()
        try overwrite(fixture.path, at: 18, count: 1)
        #expect(code { _ = try Catalog.open(at: fixture.path, repository: CatalogFixture.repository) } == .corrupt)
    }

    @Test func aTruncatedFileIsCorrupt() throws {
        let fixture = try CatalogFixture()
        try fixture.record((0..<500).map { .upsert(file("/home/me/\(10_000 + $0)", "\($0)")) })
        try fixture.catalog.close()
        let size = try FileStatus(of: fixture.path).size
        try Descriptor.open(fixture.path, [.readWrite]).truncate(to: size / 4096 / 2 * 4096)
        #expect(code { _ = try Catalog.open(at: fixture.path, repository: CatalogFixture.repository) } == .corrupt)
    }

    @Test func damagedPagesAreCorrupt() throws {
        let fixture = try CatalogFixture()
        try fixture.record((0..<500).map { .upsert(file("/home/me/\(10_000 + $0)", "\($0)")) })
        try fixture.catalog.close()
        let pages = try FileStatus(of: fixture.path).size / 4096
        for page in 1..<pages { try overwrite(fixture.path, at: page * 4096, count: 4000) }
        let found = code {
            let catalog = try Catalog.open(at: fixture.path, repository: CatalogFixture.repository)
            defer { try? catalog.close() }
            _ = try catalog.liveDescendants(of: .root)
        }
        #expect(found == .corrupt)
    }

    @Test func integrityIsChecked() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(folder("/home/me")), .upsert(file("/home/me/a"))])
        try fixture.catalog.checkIntegrity()
        try fixture.catalog.write { try $0.prepared("UPDATE live SET directory = 0 WHERE kind = 2").run() }
        #expect(code { try fixture.catalog.checkIntegrity() } == .corrupt)
    }

    @Test func anotherVersionIsRefused() throws {
        let fixture = try CatalogFixture()
        try fixture.catalog.write { try $0.prepared("PRAGMA user_version = 99").run() }
        try fixture.catalog.close()
        let error = #expect(throws: CatalogError.self) { try Catalog.open(at: fixture.path, repository: CatalogFixture.repository) }
        #expect(error?.code == .otherVersion)
        #expect(error?.needsRebuild == true)
        #expect(error?.path == fixture.path)
    }
}
