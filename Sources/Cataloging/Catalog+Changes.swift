// What differs between two snapshots, as the records of an incremental manifest.
// In: two kept snapshots.  Out: ManifestRecords in tree order, each file with its complete chunk list.
// Only directories that a snapshot in between touched are visited, so a consolidation costs what its snapshots changed.

package import Archiving
internal import GRDB
internal import Kernel

extension Catalog {
    /// Calls `body` with what turns the state at `before` into the state at `snapshot`, in tree order.
    ///
    /// - Parameters:
    ///   - before: Nil for nothing: all entries of `snapshot` come, as a full manifest has them.
    ///   - body: Runs outside of any transaction. Its errors end the walk.
    /// - Throws: `.unknownSnapshot`, also in the middle; `.outOfOrder` when `before` is not before `snapshot`.
    /// - Complexity: O(entries and versions of the directories touched in between); memory O(touched directories, and
    ///   changes in the directories above the current one).
    package func forEachChange(from before: UInt64?, to snapshot: UInt64, _ body: (ManifestRecord) throws -> Void) throws {
        guard let before else {
            return try forEachEntry(below: .root, at: snapshot, includingContent: true) { try body(.upsert($0)) }
        }
        if before >= snapshot { throw CatalogError(.outOfOrder, "snapshot \(before) is not before snapshot \(snapshot)", path: path) }
        let tree = try read { try TouchedTree($0, after: Catalog.check(before, in: $0), upTo: Catalog.check(snapshot, in: $0)) }
        var stack: [ChangedDirectory] = []
        if tree.touchesRoot { for change in try changes(in: 0, at: .root, before, snapshot).records { try body(change) } }
        stack.append(try open(Schema.rootDirectory, .root, tree, before, snapshot))
        while let last = stack.indices.last {
            switch stack[last].next() {
            case .record(let record): try body(record)
            case .directory(let child, let name):
                stack.append(try open(child, stack[last].path.appending(name), tree, before, snapshot))
            case nil: stack.removeLast()
            }
        }
    }

    private func open(
        _ directory: Int64, _ path: Path, _ tree: TouchedTree, _ before: UInt64, _ snapshot: UInt64
    ) throws -> ChangedDirectory {
        var result = ChangedDirectory(path: path, children: tree.children[directory] ?? [])
        if tree.touched.contains(directory) { result.add(try changes(in: directory, at: path, before, snapshot)) }
        return result
    }

    /// What differs in one directory, by name.
    private func changes(in directory: Int64, at path: Path, _ before: UInt64, _ snapshot: UInt64) throws -> DirectoryChanges {
        try read { db in
            let rows = try db.prepared(
                """
                SELECT name, first, \(Version.columns), \(Int64.max) AS until FROM live \
                WHERE parent = ?1 AND first > ?2 AND first <= ?3 \
                UNION ALL SELECT name, first, \(Version.columns), until FROM past \
                WHERE parent = ?1 AND ((first > ?2 AND first <= ?3 AND until > ?3) \
                OR (first <= ?2 AND until > ?2 AND until <= ?3)) ORDER BY name, first
                """)
            rows.bind(1, directory)
            rows.bind(2, try Catalog.check(before, in: db))
            rows.bind(3, try Catalog.check(snapshot, in: db))
            defer { rows.reset() }
            let reader = try EntryReader(db, owners, includingContent: true)
            var result = DirectoryChanges()
            // At most two rows have one name: what it was, then what it is.
            var old: (name: [UInt8], version: Version)?
            func close() {
                if let old { result.add(old.name, .deletion(directory == 0 ? .root : path.appending(old.name))) }
            }
            while try rows.step() {
                let name = rows.array(0)
                let version = Version(rows, at: TreeWalk.versionStart)
                if let known = old, known.name == name {
                    old = nil
                    if known.version == version { continue }
                } else {
                    close()
                    old = nil
                }
                if rows.bits(1) <= before {
                    old = (name, version)
                } else {
                    result.add(name, .upsert(try reader.entry(directory == 0 ? .root : path.appending(name), version)))
                }
            }
            close()
            return result
        }
    }
}

/// The directories that a run of snapshots touched, and those above them.
private struct TouchedTree {
    var touched = Set<Int64>()
    /// Sorted by name.
    var children: [Int64: [(name: [UInt8], directory: Int64)]] = [:]
    /// The entry of the root directory itself.
    var touchesRoot = false

    init(_ db: Database, after before: Int64, upTo snapshot: Int64) throws {
        let rows = try db.prepared("SELECT DISTINCT directory FROM touched WHERE snapshot > ? AND snapshot <= ?")
        rows.bind(1, before)
        rows.bind(2, snapshot)
        while try rows.step() { touched.insert(rows.integer(0)) }
        rows.reset()
        touchesRoot = touched.remove(0) != nil
        let paths = try PathTable(db)
        var linked: Set<Int64> = [Schema.rootDirectory]
        for directory in touched {
            var current = directory
            while linked.insert(current).inserted {
                guard let place = try paths.place(ofDirectory: current) else {
                    // A directory that was removed since, with all its versions; one above a known one is never missing.
                    if current == directory { break }
                    throw CatalogError.ownRows
                }
                children[place.parent, default: []].append((place.name, current))
                current = place.parent
            }
        }
        for parent in children.keys { children[parent]?.sort { $0.name.lexicographicallyPrecedes($1.name) } }
    }
}

private struct DirectoryChanges {
    private(set) var names: [[UInt8]] = []
    private(set) var records: [ManifestRecord] = []

    mutating func add(_ name: [UInt8], _ record: ManifestRecord) {
        names.append(name)
        records.append(record)
    }
}

/// One directory on the way: its changes, and the directories below it that have some, side by side.
private struct ChangedDirectory {
    enum Step {
        case record(ManifestRecord)
        case directory(Int64, name: [UInt8])
    }

    let path: Path
    private let children: [(name: [UInt8], directory: Int64)]
    private var changes = DirectoryChanges()
    private var childIndex = 0
    private var changeIndex = 0

    init(path: Path, children: [(name: [UInt8], directory: Int64)]) {
        self.path = path
        self.children = children
    }

    mutating func add(_ changes: DirectoryChanges) {
        self.changes = changes
    }

    /// A directory's own record comes before what is in it.
    mutating func next() -> Step? {
        let child = childIndex < children.count ? children[childIndex] : nil
        if changeIndex < changes.names.count {
            let name = changes.names[changeIndex]
            if child.map({ !$0.name.lexicographicallyPrecedes(name) }) ?? true {
                changeIndex += 1
                return .record(changes.records[changeIndex - 1])
            }
        }
        guard let child else { return nil }
        childIndex += 1
        return .directory(child.directory, name: child.name)
    }
}
