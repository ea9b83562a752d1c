// The newest state, light: what a scan compares the file system with.
// In: paths, directory rows.  Out: KnownStatus, without content.

package import Archiving
internal import GRDB
package import Kernel

/// A directory of the catalog; stays valid while its path has entries.
package struct NodeID: Hashable, Sendable {
    let directory: Int64
}

/// What the newest snapshot knows of a file without its content: enough to see whether it changed.
package struct KnownStatus: Hashable, Sendable {
    package var kind: FileKind
    package var mode: UInt16
    package var uid: UInt32
    package var gid: UInt32
    package var size: UInt64
    package var modified: Timestamp
    package var changed: Timestamp
    /// `DeviceNumber.combined`; another one after every boot.
    package var device: UInt64
    package var inode: UInt64
    package var links: UInt32
    package var marks: Entry.Marks
}

package struct KnownChild: Hashable, Sendable {
    package var name: [UInt8]
    /// Of a directory.
    package var node: NodeID?
    package var status: KnownStatus
}

extension Catalog {
    /// The handle of a path that is, or ever was, a directory.
    package func node(of path: Path) throws -> NodeID? {
        try read { try PathTable($0).directory(path).map { NodeID(directory: $0) } }
    }

    /// What the newest state has in the directory `node`, sorted by name (byte by byte).
    ///
    /// - Complexity: about 10 microseconds, and 1 for each entry.
    package func liveChildren(of node: NodeID) throws -> [KnownChild] {
        try readOnce { try liveChildren(of: node, in: $0) }
    }

    /// As above, of the directory at `path`. Empty when it is not known.
    package func liveChildren(of path: Path) throws -> [KnownChild] {
        try read { db in
            guard let directory = try PathTable(db).directory(path) else { return [] }
            return try liveChildren(of: NodeID(directory: directory), in: db)
        }
    }

    /// The newest complete entry of `path`.
    package func liveEntry(_ path: Path) throws -> Entry? {
        try read { db in
            guard let place = try PathTable(db).place(of: path), let row = try Catalog.row(at: place, .live, in: db) else { return nil }
            return try EntryReader(db, owners, includingContent: true).entry(path, row)
        }
    }

    /// The newest status of `path`, without reading its content.
    package func liveStatus(_ path: Path) throws -> KnownStatus? {
        try read { db in
            guard let place = try PathTable(db).place(of: path) else { return nil }
            let row = try db.prepared("SELECT name, first, \(Version.columns) FROM live WHERE parent = ? AND name = ?")
            row.bind(1, place.parent)
            row.bind(2, place.name)
            defer { row.reset() }
            guard try row.step() else { return nil }
            return try EntryReader(db, owners, includingContent: false).status(row, at: TreeWalk.versionStart)
        }
    }

    /// The newest chunk list of `path`: what runs of an incremental manifest refer to. Empty when it is not known.
    package func liveChunks(of path: Path) throws -> [Chunk] {
        try read { db in
            guard let place = try PathTable(db).place(of: path), let row = try Catalog.row(at: place, .live, in: db) else { return [] }
            return try EntryReader(db, owners, includingContent: true).entry(path, row).content.chunks
        }
    }

    /// Every living path below `path`, without itself, in tree order.
    package func liveDescendants(of path: Path) throws -> [Path] {
        try read { db in
            guard let directory = try PathTable(db).directory(path) else { return [] }
            var result: [Path] = []
            var walk = try TreeWalk(db, .live, below: path, directory: directory)
            while !walk.isFinished {
                try walk.advance(db, limit: .max) { prefix, _, row in result.append(Path(prefix, row.bytes(0))) }
            }
            return result
        }
    }

    /// The living names of what has this inode and is no directory, in tree order: also a name that was alone when it was recorded.
    ///
    /// - Parameter device: Nil finds them on every device: device numbers change when the machine boots.
    package func liveNames(ofInode inode: UInt64, device: UInt64?) throws -> [Path] {
        try read { db in
            let rows = try db.prepared("SELECT parent, name, device FROM live WHERE inode = ? AND kind <> 2")
            rows.bind(1, bits: inode)
            defer { rows.reset() }
            var places: [Place] = []
            while try rows.step() {
                if let device, device != rows.bits(2) { continue }
                places.append(Place(parent: rows.integer(0), name: rows.array(1)))
            }
            let paths = try PathTable(db)
            return try places.map { try paths.path(ofDirectory: $0.parent).appending($0.name) }.sorted()
        }
    }

    /// Living paths that are in one of these directories, but in one that has no entry itself, in tree order. None but after damage
    /// or a mistake.
    package func liveOrphans(below sources: [Path]) throws -> [Path] {
        let places = try read { db in
            let rows = try db.prepared("SELECT id FROM directory WHERE implicit = 1")
            defer { rows.reset() }
            var directories: [Int64] = []
            while try rows.step() { directories.append(rows.integer(0)) }
            let paths = try PathTable(db)
            return try directories.map { try paths.path(ofDirectory: $0) }.sorted()
        }
        var result: [Path] = []
        var latest: Path?
        for place in places where sources.contains(where: { place.isAtOrBelow($0) }) {
            if let latest, place.isBelow(latest) { continue }
            if try liveStatus(place)?.kind == .directory { continue }
            latest = place
            result += try liveDescendants(of: place)
        }
        return result
    }

    private func liveChildren(of node: NodeID, in db: Database) throws -> [KnownChild] {
        let rows = try TreeWalk.statement(.live, in: db)
        rows.bind(1, node.directory)
        rows.bind(2, [UInt8]())
        defer { rows.reset() }
        let reader = try EntryReader(db, owners, includingContent: false)
        var result: [KnownChild] = []
        while try rows.step() {
            let directory = rows.integer(TreeWalk.versionStart)
            result.append(
                KnownChild(
                    name: rows.array(0), node: directory == 0 ? nil : NodeID(directory: directory),
                    status: try reader.status(rows, at: TreeWalk.versionStart)))
        }
        return result
    }
}
