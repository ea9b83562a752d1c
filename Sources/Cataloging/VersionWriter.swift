// Records what one snapshot changes: closes versions, opens others.
// In: manifest records in tree order.  Out: rows of `live` and `past`.
// Invariant: a path has at most one version in any snapshot; an upsert equal to the newest version changes nothing, so that
// a history shows changes alone, whichever kind of manifest brought them.

internal import Archiving
internal import GRDB
internal import Kernel

struct VersionWriter {
    /// What the newest state has at a record's path.
    enum Known {
        case unsought
        case nothing
        case version(Version)
    }

    private let snapshot: Int64
    private let owners: OwnerWriter
    private let chunks: ChunkWriter
    private var chain: DirectoryChain
    private var latest: Path?
    /// True while nothing can be in the way of an upsert.
    private let isBlank: Bool
    /// Directories that lost their entry, in tree order: row of itself.
    private var unlisted: [Int64] = []

    private let find: PreparedStatement
    private let write: PreparedStatement
    private let archivePast: PreparedStatement
    private let remove: PreparedStatement
    private let hasChildren: PreparedStatement
    private let mark: PreparedStatement

    init(_ db: Database, snapshot: Int64, chunks: ChunkWriter) throws {
        self.snapshot = snapshot
        self.chunks = chunks
        owners = try OwnerWriter(db)
        chain = try DirectoryChain(db, snapshot: snapshot)
        isBlank = try db.prepared("SELECT 1 FROM live LIMIT 1").firstInteger() == nil
        let values = Array(repeating: "?", count: 3 + Int(Version.columnCount)).joined(separator: ", ")
        find = try db.prepared("SELECT \(Version.columns) FROM live WHERE parent = ? AND name = ?")
        write = try db.prepared("INSERT OR REPLACE INTO live (parent, name, first, \(Version.storedColumns)) VALUES (\(values))")
        archivePast = try db.prepared(
            """
            INSERT INTO past (parent, name, first, \(Version.storedColumns), until) \
            SELECT parent, name, first, \(Version.storedColumns), ?3 FROM live WHERE parent = ?1 AND name = ?2
            """)
        remove = try db.prepared("DELETE FROM live WHERE parent = ? AND name = ?")
        hasChildren = try db.prepared(
            """
            SELECT EXISTS (SELECT 1 FROM live WHERE parent = ?1) \
            OR EXISTS (SELECT 1 FROM directory WHERE parent = ?1 AND implicit = 1)
            """)
        mark = try db.prepared("UPDATE directory SET implicit = 1 WHERE id = ?")
    }

    /// - Throws: `.malformed` when records are out of order.
    mutating func upsert(_ entry: Entry, known: Known = .unsought) throws {
        try advance(to: entry.path)
        let parent = try chain.enter(parentOf: entry.path)
        let name = entry.path.name
        try chain.markImplicit()
        var version = Version(
            entry, user: try owners.id(.user, entry.uid, entry.userName), group: try owners.id(.group, entry.gid, entry.groupName),
            content: ContentCode.encode(chunks: try chunks.resolve(entry.content.chunks), holes: entry.content.holes))
        if entry.kind == .directory { version.directory = try chain.list(name, in: parent) }
        if let old = try resolve(known, parent, name) {
            if old == version { return }
            try closeVersion(parent, name, old, keepsDirectory: version.isDirectory)
        }
        try chain.touch(parent)
        write.bind(1, parent)
        write.bind(2, name)
        write.bind(3, snapshot)
        version.bind(to: write, at: 4, first: snapshot)
        try write.run()
    }

    /// What is not there is not an error: nothing changes.
    ///
    /// - Throws: `.malformed` when records are out of order.
    mutating func delete(_ path: Path, known: Known = .unsought) throws {
        try advance(to: path)
        let parent = try chain.enter(parentOf: path)
        guard let old = try resolve(known, parent, path.name) else { return }
        try closeVersion(parent, path.name, old, keepsDirectory: false)
        try chain.touch(parent)
        remove.bind(1, parent)
        remove.bind(2, path.name)
        try remove.run()
    }

    /// Marks directories that lost their entry while something below them lives on. To be called after the last record.
    func finish() throws {
        // From the leaves up: a directory may live by one below it.
        for directory in unlisted.reversed() {
            hasChildren.bind(1, directory)
            guard try hasChildren.firstInteger() == 1 else { continue }
            mark.bind(1, directory)
            try mark.run()
        }
    }

    private mutating func advance(to path: Path) throws {
        if let latest, !(latest < path) {
            throw CatalogError(.malformed, "the manifest has \(path) after \(latest), which is not tree order")
        }
        latest = path
    }

    private func resolve(_ known: Known, _ parent: Int64, _ name: ArraySlice<UInt8>) throws -> Version? {
        switch known {
        case .version(let version): return version
        case .nothing: return nil
        case .unsought:
            if isBlank { return nil }
            find.bind(1, parent)
            find.bind(2, name)
            defer { find.reset() }
            return try find.step() ? Version(find, at: 0) : nil
        }
    }

    /// Copies the newest version to `past`, where it ends before this snapshot.
    private mutating func closeVersion(_ parent: Int64, _ name: ArraySlice<UInt8>, _ old: Version, keepsDirectory: Bool) throws {
        archivePast.bind(1, parent)
        archivePast.bind(2, name)
        archivePast.bind(3, snapshot)
        try archivePast.run()
        if old.isDirectory && !keepsDirectory { unlisted.append(old.directory) }
    }
}
