// Visits the entries of a tree in tree order, a batch at a time.
// In: a place to start, and live or the number of a snapshot.  Out: rows, with the path of the directory that holds them.
// Invariant: between two batches nothing is held open: the walk goes on after the last name that it gave.
// Memory is that of the depth alone. Directories that an archive does not list (those above a source) are passed through.

internal import GRDB
internal import Kernel

struct TreeWalk {
    enum State {
        /// The newest state.
        case live
        case snapshot(Int64)
    }

    private struct Frame {
        var directory: Int64
        /// Length of the prefix of the directory above.
        var outerCount: Int
    }

    private let state: State
    private let implicit: ImplicitDirectories
    private var frames: [Frame]
    /// The path of the current directory and a slash; empty for the root directory.
    private var prefix: [UInt8]
    /// The last name given in the current directory.
    private var resume: [UInt8] = []

    /// Walks below the directory of row `directory`.
    init(_ db: Database, _ state: State, below path: Path, directory: Int64) throws {
        self.state = state
        implicit = try ImplicitDirectories(db)
        frames = [Frame(directory: directory, outerCount: 0)]
        prefix = path.prefix
    }

    var isFinished: Bool { frames.isEmpty }

    /// The columns of a visited row: name, first, then those of `Version`.
    static let versionStart: CInt = 2

    /// Visits up to `limit` rows, in tree order.
    ///
    /// - Parameter visit: prefix of the path, with a closing slash; row of the directory; the row itself.
    mutating func advance(
        _ db: Database, limit: Int, _ visit: ([UInt8], Int64, PreparedStatement) throws -> Void
    ) throws {
        let rows = try TreeWalk.statement(state, in: db)
        var remaining = limit
        while remaining > 0, let frame = frames.last {
            rows.bind(1, frame.directory)
            rows.bind(2, resume)
            if case .snapshot(let number) = state { rows.bind(3, number) }
            defer { rows.reset() }
            var descent = implicit.child(of: frame.directory, after: resume)
            scan: while try rows.step() {
                let name = rows.bytes(0)
                if let hidden = descent, hidden.name.withUnsafeBytes({ $0.lexicographicallyPrecedes(name) }) { break scan }
                try visit(prefix, frame.directory, rows)
                remaining -= 1
                var child = rows.integer(TreeWalk.versionStart)
                if child == 0, let hidden = descent, hidden.name.elementsEqual(name) { child = hidden.directory }
                if child != 0 {
                    descent = ImplicitDirectories.Child(name: Array(name), directory: child)
                    break scan
                }
                if remaining == 0 {
                    resume = Array(name)
                    return
                }
            }
            if let descent { enter(descent) } else { leave() }
        }
    }

    private mutating func enter(_ child: ImplicitDirectories.Child) {
        frames.append(Frame(directory: child.directory, outerCount: prefix.count))
        prefix += child.name
        prefix.append(UInt8(ascii: "/"))
        resume = []
    }

    private mutating func leave() {
        let frame = frames.removeLast()
        if frames.isEmpty { return }
        resume = Array(prefix[frame.outerCount..<prefix.count - 1])
        prefix.removeLast(prefix.count - frame.outerCount)
    }

    /// Rows of one directory by name: ?1 the directory, ?2 the name before, ?3 the snapshot (not for `live`).
    static func statement(_ state: State, in db: Database) throws -> PreparedStatement {
        let columns = "name, first, \(Version.columns)"
        switch state {
        case .live:
            return try db.prepared("SELECT \(columns) FROM live WHERE parent = ?1 AND name > ?2 ORDER BY name")
        case .snapshot(let number):
            // No older version reaches into the newest snapshot.
            let newest = try db.prepared("SELECT max(number) FROM snapshot").firstInteger() ?? 0
            let live = "SELECT \(columns) FROM live WHERE parent = ?1 AND name > ?2 AND first <= ?3"
            if number >= newest { return try db.prepared(live + " ORDER BY name") }
            return try db.prepared(
                live + """
                     UNION ALL SELECT \(columns) FROM past \
                    WHERE parent = ?1 AND name > ?2 AND first <= ?3 AND until > ?3 ORDER BY name
                    """)
        }
    }
}

/// The directories that once held entries while they had none of their own: few, those above the sources.
struct ImplicitDirectories {
    struct Child {
        var name: [UInt8]
        var directory: Int64
    }

    /// Sorted by name.
    private var children: [Int64: [Child]] = [:]

    init(_ db: Database) throws {
        let rows = try db.prepared("SELECT parent, name, id FROM directory WHERE implicit = 1 ORDER BY parent, name")
        defer { rows.reset() }
        while try rows.step() {
            children[rows.integer(0), default: []].append(Child(name: rows.array(1), directory: rows.integer(2)))
        }
    }

    func children(of directory: Int64) -> [Child] {
        children[directory] ?? []
    }

    /// The first one whose name comes after `name`.
    func child(of directory: Int64, after name: [UInt8]) -> Child? {
        if children.isEmpty { return nil }
        return children[directory]?.first { name.lexicographicallyPrecedes($0.name) }
    }
}
