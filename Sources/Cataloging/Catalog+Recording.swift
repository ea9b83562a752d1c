// Takes in what archives say, one transaction for each archive.
// In: StoredArchive and ArchiveContents, the records of a manifest.  Out: nothing but rows.
// Invariant: an archive that is known already changes nothing; after an error the catalog is as it was.

package import Archiving
internal import Encrypting
internal import GRDB
internal import Kernel
package import Storing

/// What the records of a snapshot are.
package enum RecordingMode: Sendable {
    /// What differs from the snapshot before; also of a full snapshot, when its writer knows the differences.
    case changes
    /// All entries, from a full manifest that is read back: what it does not list is gone.
    case completeManifest
}

extension Catalog {
    /// Records an archive without a snapshot: of kind data or record.
    ///
    /// The remarks of the record archive with the highest number replace all others, in whatever order they come.
    /// - Throws: `CatalogError`: `.malformed` when name and contents disagree, `.otherRepository`, `.full`, `.io`, `.corrupt`.
    ///   The catalog is as before.
    /// - Parameter precedence: Whether a chunk that is known elsewhere is read from here.
    /// - Complexity: a few microseconds a chunk.
    package func record(archive: StoredArchive, contents: ArchiveContents, precedence: ChunkPrecedence = .older) throws {
        try check(archive, contents)
        if contents.kind.isCommit {
            throw CatalogError(.malformed, "archive \(archive.name) holds a snapshot, and its records are missing")
        }
        try write { db in
            if try Catalog.isKnown(archive, in: db) { return }
            try Catalog.insert(archive, contents, in: db)
            try ChunkWriter(db).store(contents.chunks, archive: Int64(contents.number), precedence: precedence)
            if contents.kind == .record { try Catalog.replaceRemarks(contents, in: db) }
        }
    }

    /// Records a commit whose snapshot cannot be used, for the chunks that it holds.
    ///
    /// - Throws: As above.
    package func record(withoutSnapshot archive: StoredArchive, contents: ArchiveContents) throws {
        try check(archive, contents)
        try write { db in
            if try Catalog.isKnown(archive, in: db) { return }
            var chunksAlone = contents
            chunksAlone.snapshot = nil
            try Catalog.insert(archive, chunksAlone, in: db)
            try ChunkWriter(db).store(contents.chunks, archive: Int64(contents.number), precedence: .older)
        }
    }

    /// Records the archive that commits a snapshot newer than all others.
    ///
    /// - Parameter records: Gives the manifest in tree order, nil at its end. It runs within the transaction: it may read this
    ///   catalog, which shows it the state before, but not record. Its errors pass through.
    /// - Throws: `CatalogError`: `.outOfOrder` when the snapshot is not the next one, or is incremental and its parent not the
    ///   newest; `.malformed` as above, and for records out of tree order; `.full`, `.io`, `.corrupt`. The catalog is as before.
    /// - Complexity: O(records), about 5 microseconds each; with `completeManifest` O(entries) as well.
    package func record(
        snapshot archive: StoredArchive, contents: ArchiveContents, mode: RecordingMode, records: () throws -> ManifestRecord?
    ) throws {
        try check(archive, contents)
        guard let snapshot = contents.snapshot, contents.kind.isCommit else {
            throw CatalogError(.malformed, "archive \(archive.name) holds no snapshot")
        }
        try write { db in
            if try Catalog.isKnown(archive, in: db) { return }
            try Catalog.checkSuccession(snapshot, contents.kind, in: db)
            try Catalog.insert(archive, contents, in: db)
            try SnapshotTable.insert(snapshot, kind: contents.kind, archive: contents.number, in: db)
            let chunks = try ChunkWriter(db)
            try chunks.store(contents.chunks, archive: Int64(contents.number), precedence: .older)
            var writer = try VersionWriter(db, snapshot: Int64(snapshot.number), chunks: chunks)
            switch mode {
            case .changes:
                while let record = try records() {
                    switch record {
                    case .upsert(let entry): try writer.upsert(entry)
                    case .deletion(let path): try writer.delete(path)
                    }
                }
            case .completeManifest:
                try Catalog.merge(records, into: &writer, db)
            }
            try writer.finish()
        }
    }

    /// Walks the newest state and a full manifest side by side.
    private static func merge(_ records: () throws -> ManifestRecord?, into writer: inout VersionWriter, _ db: Database) throws {
        var newest = try LiveCursor(db)
        while let record = try records() {
            guard case .upsert(let entry) = record else {
                throw CatalogError(.malformed, "a full manifest has a deletion, of \(record.path)")
            }
            while let (path, version) = try newest.peek(db), path < entry.path {
                try writer.delete(path, known: .version(version))
                newest.skip()
            }
            if let (path, version) = try newest.peek(db), path == entry.path {
                try writer.upsert(entry, known: .version(version))
                newest.skip()
            } else {
                try writer.upsert(entry, known: .nothing)
            }
        }
        while let (path, version) = try newest.peek(db) {
            try writer.delete(path, known: .version(version))
            newest.skip()
        }
    }

    func check(_ archive: StoredArchive, _ contents: ArchiveContents) throws {
        if contents.repository != repository {
            throw CatalogError(.otherRepository, "archive \(archive.name) belongs to another repository", path: path)
        }
        guard archive.name.number == contents.number, archive.name.kind == contents.kind, contents.number < UInt64(Int64.max),
            contents.snapshot.map({ $0.number > 0 && $0.number < UInt64(Int64.max) }) ?? true
        else { throw CatalogError(.malformed, "archive \(archive.name) has contents that are not its own", path: path) }
    }

    /// - Throws: `.malformed` when another archive of the same number is known.
    static func isKnown(_ archive: StoredArchive, in db: Database) throws -> Bool {
        let find = try db.prepared("SELECT digest FROM archive WHERE number = ?")
        find.bind(1, Int64(archive.name.number))
        defer { find.reset() }
        guard try find.step() else { return false }
        if find.array(0) == archive.name.digest.bytes { return true }
        throw CatalogError(.malformed, "archive \(archive.name) has the number of another one")
    }

    static func insert(_ archive: StoredArchive, _ contents: ArchiveContents, in db: Database) throws {
        let insert = try db.prepared("INSERT INTO archive (number, time, kind, digest, size, snapshot, lane) VALUES (?, ?, ?, ?, ?, ?, ?)")
        insert.bind(1, Int64(archive.name.number))
        insert.bind(2, archive.name.time)
        insert.bind(3, Int64(archive.name.kind.rawValue))
        insert.bind(4, archive.name.digest.bytes)
        insert.bind(5, bits: archive.size)
        insert.bind(6, optional: contents.snapshot.map { Int64($0.number) })
        // Without data there is nothing to compress anew.
        insert.bind(7, optional: contents.chunks.isEmpty ? ArchiveRow.Lane.deep.rawValue : nil)
        try insert.run()
        try Meta.raise(.highestArchive, to: Int64(archive.name.number), in: db)
        let highest = max(contents.highestSnapshot, contents.snapshot?.number ?? 0)
        try Meta.raise(.highestSnapshot, to: Int64(clamping: highest), in: db)
    }

    private static func checkSuccession(_ snapshot: SnapshotRecord, _ kind: ArchiveKind, in db: Database) throws {
        let newest = try SnapshotTable.row(.newest, in: db)
        if let newest, newest.number >= snapshot.number {
            throw CatalogError(.outOfOrder, "snapshot \(snapshot.number) comes after snapshot \(newest.number)")
        }
        guard kind == .incremental else { return }
        guard let newest, let parent = snapshot.parent, parent.number == newest.number, parent.identity == newest.record.identity
        else {
            let place = newest.map { "follows snapshot \($0.number)" } ?? "comes first"
            throw CatalogError(.outOfOrder, "snapshot \(snapshot.number) \(place), which is not its parent")
        }
    }

    private static func replaceRemarks(_ contents: ArchiveContents, in db: Database) throws {
        guard try Meta.number(.remarks, in: db) < Int64(contents.number) else { return }
        try Meta.raise(.remarks, to: Int64(contents.number), in: db)
        try db.prepared("DELETE FROM remark").run()
        let insert = try db.prepared("INSERT INTO remark (snapshot, kind, text) VALUES (?, ?, ?)")
        for remark in contents.remarks {
            insert.bind(1, Int64(clamping: remark.snapshot))
            insert.bind(2, Int64(remark.kind.rawValue))
            insert.bind(3, remark.text)
            try insert.run()
        }
    }
}

/// The newest state in tree order, with bounded memory, while rows that it has passed change.
private struct LiveCursor {
    private var walk: TreeWalk
    private var rows: [(Path, Version)] = []
    private var index = 0

    init(_ db: Database) throws {
        walk = try TreeWalk(db, .live, below: .root, directory: Schema.rootDirectory)
        // The root directory has no directory above it to be found in.
        let find = try db.prepared("SELECT \(Version.columns) FROM live WHERE parent = 0")
        defer { find.reset() }
        if try find.step() { rows.append((.root, Version(find, at: 0))) }
    }

    mutating func peek(_ db: Database) throws -> (Path, Version)? {
        while index == rows.count {
            if walk.isFinished { return nil }
            rows.removeAll(keepingCapacity: true)
            index = 0
            try walk.advance(db, limit: 1024) { prefix, _, row in
                rows.append((Path(prefix, row.bytes(0)), Version(row, at: TreeWalk.versionStart)))
            }
        }
        return rows[index]
    }

    mutating func skip() {
        index += 1
    }
}
