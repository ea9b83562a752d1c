// Users and groups, each with one row for each name that it was ever known by.
// In: ids and names of entries.  Out: row ids, and back.
// Invariant: rows are never removed, so what a reader has once seen stays true.

internal import GRDB
internal import Synchronization

struct Owner: Hashable {
    enum Kind: Int64 {
        case user = 0
        case group = 1
    }

    var kind: Kind
    var number: UInt32
    var name: [UInt8]
}

/// Finds and adds owners in one write transaction.
final class OwnerWriter {
    private let find: PreparedStatement
    private let insert: PreparedStatement
    private var known: [Owner: Int64] = [:]
    /// Nearly every entry has the owners of the one before it.
    private var latest: [(owner: Owner, id: Int64)?] = [nil, nil]

    init(_ db: Database) throws {
        find = try db.prepared("SELECT id FROM owner WHERE kind = ? AND number = ? AND name = ?")
        insert = try db.prepared("INSERT INTO owner (kind, number, name) VALUES (?, ?, ?) RETURNING id")
    }

    func id(_ kind: Owner.Kind, _ number: UInt32, _ name: [UInt8]) throws -> Int64 {
        if let (owner, id) = latest[Int(kind.rawValue)], owner.number == number, owner.name == name { return id }
        let owner = Owner(kind: kind, number: number, name: name)
        let id = try known[owner] ?? row(of: owner, find) ?? row(of: owner, insert)
        guard let id else { throw CatalogError.ownRows }
        known[owner] = id
        latest[Int(kind.rawValue)] = (owner, id)
        return id
    }

    private func row(of owner: Owner, _ statement: PreparedStatement) throws -> Int64? {
        statement.bind(1, owner.kind.rawValue)
        statement.bind(2, Int64(owner.number))
        statement.bind(3, owner.name)
        return try statement.firstInteger()
    }
}

/// Remembers committed owners for readers.
final class OwnerCache: Sendable {
    private let rows = Mutex<[Int64: Owner]>([:])

    /// - Throws: `.corrupt` when there is no such row.
    func owner(_ id: Int64, in db: Database) throws -> Owner {
        if let owner = rows.withLock({ $0[id] }) { return owner }
        let find = try db.prepared("SELECT kind, number, name FROM owner WHERE id = ?")
        find.bind(1, id)
        defer { find.reset() }
        guard try find.step(), let kind = Owner.Kind(rawValue: find.integer(0)) else { throw CatalogError.ownRows }
        let owner = Owner(kind: kind, number: UInt32(truncatingIfNeeded: find.integer(1)), name: find.array(2))
        rows.withLock { $0[id] = owner }
        return owner
    }
}
