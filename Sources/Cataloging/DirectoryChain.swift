// The directories above the record that is being written.
// In: paths in tree order.  Out: rows of `directory`, made where they are missing.
// Invariant: links[0] is the root directory; each link is the directory above the next.

internal import GRDB
internal import Kernel

struct DirectoryChain {
    struct Link {
        var directory: Int64
        /// Bytes of the path that name this directory.
        var end: Int
        /// True when the newest state has an entry for it.
        var isListed: Bool
        var isImplicit: Bool
        var isTouched = false
    }

    private(set) var links = [Link(directory: Schema.rootDirectory, end: 0, isListed: true, isImplicit: false)]
    /// The path of the last link.
    private var path: [UInt8] = []
    /// The directory that was listed last: most likely the next link.
    private var listed: (parent: Int64, name: [UInt8], directory: Int64)?

    private let find: PreparedStatement
    private let insert: PreparedStatement
    private let isLive: PreparedStatement
    private let mark: PreparedStatement
    private let touch: PreparedStatement
    private let snapshot: Int64

    init(_ db: Database, snapshot: Int64) throws {
        self.snapshot = snapshot
        find = try db.prepared("SELECT id, implicit FROM directory WHERE parent = ? AND name = ?")
        insert = try db.prepared("INSERT INTO directory (parent, name) VALUES (?, ?) RETURNING id")
        isLive = try db.prepared("SELECT 1 FROM live WHERE parent = ? AND name = ? AND kind = 2")
        mark = try db.prepared("UPDATE directory SET implicit = 1 WHERE id = ?")
        touch = try db.prepared("INSERT OR IGNORE INTO touched (snapshot, directory) VALUES (?, ?)")
    }

    /// Makes the last link the directory that holds `path`.
    ///
    /// - Returns: The row of that directory; 0 for the root directory itself.
    mutating func enter(parentOf path: Path) throws -> Int64 {
        let bytes = path.bytes
        if bytes.isEmpty { return 0 }
        let parentEnd = (bytes.lastIndex(of: UInt8(ascii: "/")) ?? 0)
        var common = 0
        let limit = min(parentEnd, self.path.count)
        while common < limit, bytes[common] == self.path[common] { common += 1 }
        if common == parentEnd && common == self.path.count { return links[links.count - 1].directory }
        // A link stays when its whole path, up to a slash, is common.
        while let last = links.last, last.end > 0,
            last.end > common || (last.end < parentEnd && bytes[last.end] != UInt8(ascii: "/"))
        {
            links.removeLast()
        }
        var end = links[links.count - 1].end
        while end < parentEnd {
            let start = end == 0 ? 0 : end + 1
            let next = bytes[start..<parentEnd].firstIndex(of: UInt8(ascii: "/")) ?? parentEnd
            try push(bytes[start..<next], end: next)
            end = next
        }
        self.path = Array(bytes[..<parentEnd])
        return links[links.count - 1].directory
    }

    private mutating func push(_ name: ArraySlice<UInt8>, end: Int) throws {
        let parent = links[links.count - 1].directory
        if let listed, listed.parent == parent, listed.name.elementsEqual(name) {
            links.append(Link(directory: listed.directory, end: end, isListed: true, isImplicit: false))
            return
        }
        find.bind(1, parent)
        find.bind(2, name)
        defer { find.reset() }
        guard try find.step() else {
            links.append(Link(directory: try make(parent, name), end: end, isListed: false, isImplicit: false))
            return
        }
        isLive.bind(1, parent)
        isLive.bind(2, name)
        let isListed = try isLive.firstInteger() != nil
        links.append(
            Link(directory: find.integer(0), end: end, isListed: isListed, isImplicit: find.integer(1) != 0))
    }

    /// The row of a directory that the record in hand lists; made when it is missing.
    mutating func list(_ name: ArraySlice<UInt8>, in parent: Int64) throws -> Int64 {
        if parent == 0 { return Schema.rootDirectory }
        find.bind(1, parent)
        find.bind(2, name)
        let directory = try find.firstInteger() ?? make(parent, name)
        listed = (parent, Array(name), directory)
        return directory
    }

    /// Marks the directories of the chain that have no entry of their own, so that walks pass through them.
    mutating func markImplicit() throws {
        var index = links.count - 1
        while index > 0, !links[index].isListed, !links[index].isImplicit {
            mark.bind(1, links[index].directory)
            try mark.run()
            links[index].isImplicit = true
            index -= 1
        }
    }

    /// Remembers that the snapshot changed something in `parent`, where the chain stands.
    mutating func touch(_ parent: Int64) throws {
        if parent != 0 {
            if links[links.count - 1].isTouched { return }
            links[links.count - 1].isTouched = true
        }
        touch.bind(1, snapshot)
        touch.bind(2, parent)
        try touch.run()
    }

    private func make(_ parent: Int64, _ name: ArraySlice<UInt8>) throws -> Int64 {
        insert.bind(1, parent)
        insert.bind(2, name)
        guard let id = try insert.firstInteger() else { throw CatalogError.ownRows }
        return id
    }
}
