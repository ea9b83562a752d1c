// Rows → entries, for the length of one read.
// In: Version.  Out: Entry, KnownStatus.

internal import Archiving
internal import GRDB
internal import Kernel

final class EntryReader {
    private let db: Database
    private let cache: OwnerCache
    private let includesContent: Bool
    private let chunks: ChunkTable
    /// The owners of the row before: nearly always those of the next one.
    private var user: (id: Int64, owner: Owner)?
    private var group: (id: Int64, owner: Owner)?

    init(_ db: Database, _ cache: OwnerCache, includingContent: Bool) throws {
        self.db = db
        self.cache = cache
        includesContent = includingContent
        chunks = try ChunkTable(db)
    }

    /// The entry of a row whose version starts in column `start`.
    func entry(_ path: Path, _ row: PreparedStatement, at start: CInt) throws -> Entry {
        try entry(path, Version(row, at: start, includingContent: includesContent))
    }

    func entry(_ path: Path, _ version: Version) throws -> Entry {
        guard let kind = FileKind(rawValue: UInt8(truncatingIfNeeded: version.kind)) else { throw CatalogError.ownRows }
        let user = try user(version.user)
        let group = try group(version.group)
        var entry = Entry(
            path: path, kind: kind, mode: UInt16(truncatingIfNeeded: version.mode), uid: user.number, gid: group.number,
            userName: user.name, groupName: group.name, modified: version.modified, changed: version.changed,
            device: UInt64(bitPattern: version.device), inode: UInt64(bitPattern: version.inode),
            links: UInt32(truncatingIfNeeded: version.links), size: UInt64(bitPattern: version.size),
            marks: Entry.Marks(rawValue: UInt8(truncatingIfNeeded: version.marks)))
        if !version.extra.isEmpty {
            guard version.extra.withUnsafeBytes({ ExtraCode.decode($0, into: &entry) }) else { throw CatalogError.ownRows }
        }
        if includesContent {
            if !version.content.isEmpty {
                guard let holes = version.content.withUnsafeBytes({ ContentCode.holes(in: $0) }) else { throw CatalogError.ownRows }
                entry.content = Content(chunks: try chunks.chunks(version.content), holes: holes)
            }
            guard version.seal == EntrySeal.of(entry, extra: version.extra) else { throw CatalogError.ownRows }
        }
        return entry
    }

    /// The status of a row whose version starts in column `start`.
    func status(_ row: PreparedStatement, at start: CInt) throws -> KnownStatus {
        guard let kind = FileKind(rawValue: UInt8(truncatingIfNeeded: row.integer(start + 1))) else { throw CatalogError.ownRows }
        return KnownStatus(
            kind: kind, mode: UInt16(truncatingIfNeeded: row.integer(start + 2)),
            uid: try user(row.integer(start + 3)).number, gid: try group(row.integer(start + 4)).number,
            size: row.bits(start + 5),
            modified: Timestamp(seconds: row.integer(start + 6), nanoseconds: UInt32(truncatingIfNeeded: row.integer(start + 7))),
            changed: Timestamp(seconds: row.integer(start + 8), nanoseconds: UInt32(truncatingIfNeeded: row.integer(start + 9))),
            device: row.bits(start + 10), inode: row.bits(start + 11), links: UInt32(truncatingIfNeeded: row.integer(start + 12)),
            marks: Entry.Marks(rawValue: UInt8(truncatingIfNeeded: row.integer(start + 13))))
    }

    private func user(_ id: Int64) throws -> Owner {
        if let user, user.id == id { return user.owner }
        let owner = try cache.owner(id, in: db)
        user = (id, owner)
        return owner
    }

    private func group(_ id: Int64) throws -> Owner {
        if let group, group.id == id { return group.owner }
        let owner = try cache.owner(id, in: db)
        group = (id, owner)
        return owner
    }
}
