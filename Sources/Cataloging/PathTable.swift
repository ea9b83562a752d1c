// Path ↔ (directory row, name), for the length of one transaction.
// In: paths.  Out: places in the tree.
// Invariant: a row of `directory` has the rows of all directories above it.

internal import GRDB
internal import Kernel

/// Where a path's versions stand.
struct Place {
    /// Row of the directory that holds it; 0 for the root directory.
    var parent: Int64
    /// Empty for the root directory.
    var name: [UInt8]
}

struct PathTable {
    private let find: PreparedStatement
    private let lift: PreparedStatement

    init(_ db: Database) throws {
        find = try db.prepared("SELECT id FROM directory WHERE parent = ? AND name = ?")
        lift = try db.prepared("SELECT parent, name FROM directory WHERE id = ?")
    }

    /// The row of a path that is, or ever was, a directory.
    func directory(_ path: Path) throws -> Int64? {
        var id = Schema.rootDirectory
        for name in path.components {
            guard let child = try child(name, of: id) else { return nil }
            id = child
        }
        return id
    }

    /// Nil when nothing was ever known beside it.
    func place(of path: Path) throws -> Place? {
        guard let parent = path.parent else { return Place(parent: 0, name: []) }
        guard let id = try directory(parent) else { return nil }
        return Place(parent: id, name: Array(path.name))
    }

    func child(_ name: ArraySlice<UInt8>, of id: Int64) throws -> Int64? {
        find.bind(1, id)
        find.bind(2, name)
        return try find.firstInteger()
    }

    /// The place of a directory row; nil when it is not there.
    func place(ofDirectory id: Int64) throws -> Place? {
        lift.bind(1, id)
        defer { lift.reset() }
        return try lift.step() ? Place(parent: lift.integer(0), name: lift.array(1)) : nil
    }

    /// The path of a directory row.
    ///
    /// - Throws: `.corrupt` when a row above it is missing.
    func path(ofDirectory id: Int64) throws -> Path {
        var names: [[UInt8]] = []
        var current = id
        while current != Schema.rootDirectory {
            guard let place = try place(ofDirectory: current), place.parent > 0 else {
                throw CatalogError.ownRows
            }
            names.append(place.name)
            current = place.parent
            // A path of 1 MiB has no more components than this: rows that go round in a circle end here.
            if names.count > Path.maximumLength { throw CatalogError.ownRows }
        }
        return Path(unchecked: Array(names.reversed().joined(separator: [UInt8(ascii: "/")])))
    }
}
