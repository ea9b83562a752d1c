// Looking inside a snapshot.
// In: a path and a snapshot's number.  Out: entries, as they were at that moment.
// Invariant: no answer mixes snapshots. A walk holds no transaction between its batches, so it may take hours; if its snapshot
// is merged away meanwhile it ends with `.unknownSnapshot`.

package import Archiving
internal import GRDB
package import Kernel

/// One entry of a listing.
package struct ListedEntry: Hashable, Sendable {
    package var entry: Entry
    /// A directory above a source: the snapshot holds what is below it, but not the directory itself. Its entry has the mode
    /// 0755, and else nothing but its path.
    package var isImplicit: Bool

    package init(entry: Entry, isImplicit: Bool) {
        self.entry = entry
        self.isImplicit = isImplicit
    }
}

/// What a path was in a run of kept snapshots.
package struct VersionRow: Hashable, Sendable {
    /// The first snapshot that shows it.
    package var first: UInt64
    /// The first snapshot that does not; nil while the newest one does.
    package var until: UInt64?
    package var entry: Entry
}

extension Catalog {
    /// The entry of `path`, by preset with its content; nil when the snapshot has none, also for a directory above its sources.
    ///
    /// - Throws: `.unknownSnapshot`.
    package func entry(_ path: Path, at snapshot: UInt64, includingContent: Bool = true) throws -> Entry? {
        try read { db in
            let number = try Catalog.check(snapshot, in: db)
            guard let place = try PathTable(db).place(of: path), let row = try Catalog.row(at: place, .snapshot(number), in: db)
            else { return nil }
            return try EntryReader(db, owners, includingContent: includingContent).entry(path, row)
        }
    }

    /// What stands in the directory `path`, sorted by name, without content. Empty for what is not a directory there.
    ///
    /// - Throws: `.unknownSnapshot`.
    /// - Complexity: O(entries of the directory, and their older versions).
    package func children(of path: Path, at snapshot: UInt64) throws -> [ListedEntry] {
        try read { db in
            let number = try Catalog.check(snapshot, in: db)
            guard let directory = try PathTable(db).directory(path) else { return [] }
            let reader = try EntryReader(db, owners, includingContent: false)
            var result: [ListedEntry] = []
            var names = Set<[UInt8]>()
            let rows = try TreeWalk.statement(.snapshot(number), in: db)
            rows.bind(1, directory)
            rows.bind(2, [UInt8]())
            rows.bind(3, number)
            defer { rows.reset() }
            let implicit = try ImplicitDirectories(db).children(of: directory)
            while try rows.step() {
                let name = rows.array(0)
                if !implicit.isEmpty { names.insert(name) }
                let entry = try reader.entry(path.appending(name), rows, at: TreeWalk.versionStart)
                result.append(ListedEntry(entry: entry, isImplicit: false))
            }
            for child in implicit where !names.contains(child.name) {
                let below = path.appending(child.name)
                guard try Catalog.hasEntries(below: below, directory: child.directory, number, in: db) else { continue }
                result.append(ListedEntry(entry: Entry(path: below, kind: .directory, mode: 0o755), isImplicit: true))
            }
            if !implicit.isEmpty { result.sort { $0.entry.path < $1.entry.path } }
            return result
        }
    }

    /// Whether an entry is wanted: its name, the path of its directory with a slash at its end (empty for the root directory), and
    /// whether it is a directory itself.
    package typealias Choice = (_ name: UnsafeRawBufferPointer, _ directory: [UInt8], _ isDirectory: Bool) throws -> Bool

    /// Calls `body` with the entry of `path`, if there is one, and with all entries below it, in tree order.
    ///
    /// - Parameters:
    ///   - choice: Asked first, within a transaction, so that what is not wanted costs little.
    ///   - body: Runs outside of any transaction: it may read and record, and take its time. Its errors end the walk.
    /// - Throws: `.unknownSnapshot`, also in the middle, when the snapshot is merged away meanwhile.
    /// - Complexity: over 500,000 entries a second without content, more where few are wanted; memory O(depth).
    package func forEachEntry(
        below path: Path, at snapshot: UInt64, includingContent: Bool, where choice: Choice = { _, _, _ in true },
        _ body: (Entry) throws -> Void
    ) throws {
        if let entry = try entry(path, at: snapshot, includingContent: includingContent), try isChosen(entry, choice) { try body(entry) }
        guard var walk = try startWalk(below: path, at: snapshot) else { return }
        var batch: [Entry] = []
        while !walk.isFinished {
            batch.removeAll(keepingCapacity: true)
            try read { db in
                _ = try Catalog.check(snapshot, in: db)
                let reader = try EntryReader(db, owners, includingContent: includingContent)
                try walk.advance(db, limit: 2048) { prefix, _, row in
                    guard try choice(row.bytes(0), prefix, Version.isDirectory(row, at: TreeWalk.versionStart)) else { return }
                    batch.append(try reader.entry(Path(prefix, row.bytes(0)), row, at: TreeWalk.versionStart))
                }
            }
            for entry in batch { try body(entry) }
        }
    }

    private func isChosen(_ entry: Entry, _ choice: Choice) throws -> Bool {
        try entry.path.name.withUnsafeBytes { try choice($0, entry.path.parent?.prefix ?? [], entry.kind == .directory) }
    }

    /// Every state of `path` that a kept snapshot shows, the oldest first.
    package func history(of path: Path) throws -> [VersionRow] {
        try read { db in
            guard let place = try PathTable(db).place(of: path) else { return [] }
            let rows = try db.prepared(
                """
                SELECT first, until, \(Version.columns) FROM past WHERE parent = ?1 AND name = ?2 \
                UNION ALL SELECT first, NULL, \(Version.columns) FROM live WHERE parent = ?1 AND name = ?2 ORDER BY first
                """)
            rows.bind(1, place.parent)
            rows.bind(2, place.name)
            defer { rows.reset() }
            var versions: [(first: Int64, until: Int64?, version: Version)] = []
            while try rows.step() {
                // Numbers that were merged away stand for the kept snapshot that follows them.
                guard let first = try Catalog.kept(atOrAfter: rows.integer(0), in: db) else { continue }
                let until = try rows.optional(1).flatMap { try Catalog.kept(atOrAfter: $0, in: db) }
                if until == first { continue }
                let version = Version(rows, at: 2)
                if let last = versions.last, last.until == first, last.version == version {
                    versions[versions.count - 1].until = until
                } else {
                    versions.append((first, until, version))
                }
            }
            let reader = try EntryReader(db, owners, includingContent: true)
            return try versions.map {
                VersionRow(first: UInt64($0.first), until: $0.until.map { UInt64($0) }, entry: try reader.entry(path, $0.version))
            }
        }
    }

    private func startWalk(below path: Path, at snapshot: UInt64) throws -> TreeWalk? {
        try read { db in
            let number = try Catalog.check(snapshot, in: db)
            guard let directory = try PathTable(db).directory(path) else { return nil }
            return try TreeWalk(db, .snapshot(number), below: path, directory: directory)
        }
    }

    private static func hasEntries(below path: Path, directory: Int64, _ number: Int64, in db: Database) throws -> Bool {
        var walk = try TreeWalk(db, .snapshot(number), below: path, directory: directory)
        var found = false
        while !walk.isFinished && !found { try walk.advance(db, limit: 1) { _, _, _ in found = true } }
        return found
    }

    private static func kept(atOrAfter number: Int64, in db: Database) throws -> Int64? {
        let find = try db.prepared("SELECT min(number) FROM snapshot WHERE number >= ?")
        find.bind(1, number)
        return try find.firstInteger()
    }

    /// - Throws: `.unknownSnapshot`.
    static func check(_ snapshot: UInt64, in db: Database) throws -> Int64 {
        let find = try db.prepared("SELECT 1 FROM snapshot WHERE number = ?")
        find.bind(1, Int64(clamping: snapshot))
        if try find.firstInteger() == nil { throw CatalogError(.unknownSnapshot, "there is no snapshot \(snapshot)") }
        return Int64(clamping: snapshot)
    }

    /// What stands at a place, with its content.
    static func row(at place: Place, _ state: TreeWalk.State, in db: Database) throws -> Version? {
        let live = try db.prepared("SELECT \(Version.columns), first FROM live WHERE parent = ? AND name = ?")
        live.bind(1, place.parent)
        live.bind(2, place.name)
        defer { live.reset() }
        let isLive = try live.step()
        guard case .snapshot(let number) = state else { return isLive ? Version(live, at: 0) : nil }
        if isLive && live.integer(Version.columnCount) <= number { return Version(live, at: 0) }
        let past = try db.prepared(
            "SELECT \(Version.columns) FROM past WHERE parent = ?1 AND name = ?2 AND first <= ?3 AND until > ?3")
        past.bind(1, place.parent)
        past.bind(2, place.name)
        past.bind(3, number)
        defer { past.reset() }
        return try past.step() ? Version(past, at: 0) : nil
    }
}

extension Path {
    /// The beginning of all paths in this directory: its bytes and a slash; nothing for the root directory.
    var prefix: [UInt8] { isRoot ? [] : bytes + [UInt8(ascii: "/")] }

    /// The path of a row: the directory's with a closing slash, and the name.
    init(_ prefix: [UInt8], _ name: UnsafeRawBufferPointer) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(prefix.count + name.count)
        bytes += prefix
        bytes += name
        self.init(unchecked: bytes)
    }
}
