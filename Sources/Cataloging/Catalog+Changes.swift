// What differs between two snapshots, as the records of an incremental manifest.
// In: two kept snapshots.  Out: in tree order ManifestRecords, each file with its complete chunk list, or differences without chunks.
// Only directories that a snapshot in between touched are visited, so a consolidation costs what its snapshots changed.

package import Archiving
internal import GRDB
package import Kernel

/// One path in two snapshots, without its content.
package struct PathDifference: Hashable, Sendable {
    package var path: Path
    /// Nil in the snapshot that has no such path; never both.
    package var old: Entry?
    package var new: Entry?
    /// True when the chunks and holes of both are the same.
    package var isSameContent: Bool

    package init(path: Path, old: Entry?, new: Entry?, isSameContent: Bool) {
        self.path = path
        self.old = old
        self.new = new
        self.isSameContent = isSameContent
    }
}

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
        try forEachChange(from: before, to: snapshot, includingContent: true, { path, _, new, reader in
            try new.map { .upsert(try reader.entry(path, $0)) } ?? ManifestRecord.deletion(path)
        }, body)
    }

    /// Calls `body` with every path whose entry differs between two snapshots, in tree order.
    ///
    /// - Throws: As `forEachChange`.
    /// - Complexity: As `forEachChange`; chunks are not looked up.
    package func forEachDifference(from before: UInt64, to snapshot: UInt64, _ body: (PathDifference) throws -> Void) throws {
        try forEachChange(from: before, to: snapshot, includingContent: false, { path, old, new, reader in
            PathDifference(
                path: path, old: try old.map { try reader.entry(path, $0) }, new: try new.map { try reader.entry(path, $0) },
                // Each chunk has one row, so equal content has equal codes.
                isSameContent: old?.content == new?.content)
        }, body)
    }

    /// What a path was and is, as something that does not depend on rows.
    private typealias Making<Record> = (Path, _ old: Version?, _ new: Version?, EntryReader) throws -> Record

    private func forEachChange<Record>(
        from before: UInt64, to snapshot: UInt64, includingContent: Bool, _ make: Making<Record>, _ body: (Record) throws -> Void
    ) throws {
        if before >= snapshot { throw CatalogError(.outOfOrder, "snapshot \(before) is not before snapshot \(snapshot)", path: path) }
        let tree = try read { try TouchedTree($0, after: Catalog.check(before, in: $0), upTo: Catalog.check(snapshot, in: $0)) }
        func open(_ directory: Int64, _ path: Path) throws -> ChangedDirectory<Record> {
            var result = ChangedDirectory<Record>(path: path, children: tree.children[directory] ?? [])
            if tree.touched.contains(directory) { result.add(try changes(in: directory, at: path, before, snapshot, includingContent, make)) }
            return result
        }
        if tree.touchesRoot {
            for change in try changes(in: 0, at: .root, before, snapshot, includingContent, make).records { try body(change) }
        }
        var stack = [try open(Schema.rootDirectory, .root)]
        while let last = stack.indices.last {
            switch stack[last].next() {
            case .record(let record): try body(record)
            case .directory(let child, let name): stack.append(try open(child, stack[last].path.appending(name)))
            case nil: stack.removeLast()
            }
        }
    }

    /// What differs in one directory, by name.
    private func changes<Record>(
        in directory: Int64, at path: Path, _ before: UInt64, _ snapshot: UInt64, _ includingContent: Bool, _ make: Making<Record>
    ) throws -> DirectoryChanges<Record> {
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
            let reader = try EntryReader(db, owners, includingContent: includingContent)
            var result = DirectoryChanges<Record>()
            func add(_ name: [UInt8], _ old: Version?, _ new: Version?) throws {
                result.add(name, try make(directory == 0 ? .root : path.appending(name), old, new, reader))
            }
            // At most two rows have one name: what it was, then what it is.
            var old: (name: [UInt8], version: Version)?
            while try rows.step() {
                let name = rows.array(0)
                let version = Version(rows, at: TreeWalk.versionStart)
                if let known = old, known.name == name {
                    old = nil
                    if known.version != version { try add(name, known.version, version) }
                    continue
                }
                if let gone = old { try add(gone.name, gone.version, nil) }
                old = nil
                if rows.bits(1) <= before { old = (name, version) } else { try add(name, nil, version) }
            }
            if let gone = old { try add(gone.name, gone.version, nil) }
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

private struct DirectoryChanges<Record> {
    private(set) var names: [[UInt8]] = []
    private(set) var records: [Record] = []

    mutating func add(_ name: [UInt8], _ record: Record) {
        names.append(name)
        records.append(record)
    }
}

/// One directory on the way: its changes, and the directories below it that have some, side by side.
private struct ChangedDirectory<Record> {
    enum Step {
        case record(Record)
        case directory(Int64, name: [UInt8])
    }

    let path: Path
    private let children: [(name: [UInt8], directory: Int64)]
    private var changes = DirectoryChanges<Record>()
    private var childIndex = 0
    private var changeIndex = 0

    init(path: Path, children: [(name: [UInt8], directory: Int64)]) {
        self.path = path
        self.children = children
    }

    mutating func add(_ changes: DirectoryChanges<Record>) {
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
