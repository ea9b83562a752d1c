// Consolidation: snapshots that go, and archives that another one replaces.
// In: MergeRecord, once the replacement is durable.  Out: rows.
// Invariant: what any kept snapshot shows does not change. Versions keep the numbers of snapshots that are gone: between two kept
// ones every number means the later of them, so nothing needs to be renumbered.

package import Archiving
internal import GRDB
package import Storing

/// One consolidation.
package struct MergeRecord: Sendable {
    /// Numbers of the snapshots that go: all between one kept snapshot (or the beginning) and `into`. May be empty, when
    /// archives alone are rewritten.
    package var dropped: [UInt64]
    /// The snapshot that stays, in the new archive.
    package var into: UInt64
    package var archive: StoredArchive
    package var contents: ArchiveContents
    /// Numbers of the archives that are removed.
    package var removedArchives: [UInt64]

    package init(dropped: [UInt64], into: UInt64, archive: StoredArchive, contents: ArchiveContents, removedArchives: [UInt64]) {
        self.dropped = dropped
        self.into = into
        self.archive = archive
        self.contents = contents
        self.removedArchives = removedArchives
    }
}

extension Catalog {
    /// Records a consolidation. An archive that is known already changes nothing.
    ///
    /// The new archive's places of chunks become the first choice; those in removed archives go.
    /// - Parameter needed: What is still needed: a chunk of it that would have no place left refuses everything. Nil where the
    ///   archives have decided that already, as when a merge is read back.
    /// - Throws: `.malformed` when `dropped` leaves out a snapshot in between, or the contents are not those of `into`;
    ///   `.unknownSnapshot`; `.inUse` when a removed archive holds the manifest of a kept snapshot, or alone holds what is needed.
    ///   The catalog is as before.
    package func replace(_ merge: MergeRecord, needed: NeededChunks? = nil) throws {
        try check(merge.archive, merge.contents)
        try write { db in
            if try Catalog.isKnown(merge.archive, in: db) { return }
            let into = try Catalog.check(merge.into, in: db)
            let before = try Catalog.lastKept(before: merge.dropped, into, in: db)
            guard let old = try SnapshotTable.row(.number(into), in: db), let snapshot = merge.contents.snapshot,
                snapshot.number == merge.into, snapshot.identity == old.record.identity
            else { throw CatalogError(.malformed, "archive \(merge.archive.name) does not hold snapshot \(merge.into)") }
            try Catalog.insert(merge.archive, merge.contents, in: db)
            try SnapshotTable.insert(snapshot, kind: merge.contents.kind, archive: merge.contents.number, in: db)
            if !merge.dropped.isEmpty { try VersionRemoval(db, before: before, into: into).run() }
            try ChunkWriter(db).store(merge.contents.chunks, archive: Int64(merge.contents.number), precedence: .newer)
            try ArchiveRemoval(db).remove(merge.removedArchives) { needed?.contains($0) ?? false }
        }
    }

    /// Forgets archives that are gone, or about to go: data archives of which nothing is needed.
    ///
    /// - Throws: `.inUse` as above. The catalog is as before.
    package func forget(_ archives: [UInt64], needed: NeededChunks? = nil) throws {
        try write { try ArchiveRemoval($0).remove(archives) { needed?.contains($0) ?? false } }
    }

    /// Forgets archives that were lost or are damaged. A snapshot whose manifest was there stays as the catalog knows it; chunks
    /// that no other archive holds are lost until they are stored again.
    package func lose(_ archives: [UInt64]) throws {
        if archives.isEmpty { return }
        try write { try ArchiveRemoval($0).remove(archives, .keep) }
    }

    /// Records a commit that was lost and came back, of a snapshot that stayed.
    ///
    /// - Throws: `.malformed` when it is not the archive that the snapshot names. The catalog is as before.
    package func record(returned archive: StoredArchive, contents: ArchiveContents) throws {
        try check(archive, contents)
        try write { db in
            if try Catalog.isKnown(archive, in: db) { return }
            guard let snapshot = contents.snapshot, let row = try SnapshotTable.row(.number(Int64(snapshot.number)), in: db),
                row.archive == contents.number, row.record.identity == snapshot.identity
            else { throw CatalogError(.malformed, "archive \(archive.name) is not the one that its snapshot names") }
            try Catalog.insert(archive, contents, in: db)
            try ChunkWriter(db).store(contents.chunks, archive: Int64(contents.number), precedence: .older)
        }
    }

    /// The newest kept snapshot before the dropped ones; 0 when there is none.
    private static func lastKept(before dropped: [UInt64], _ into: Int64, in db: Database) throws -> Int64 {
        guard let first = dropped.min() else { return into }
        let find = try db.prepared("SELECT max(number) FROM snapshot WHERE number < ?")
        find.bind(1, Int64(clamping: first))
        let before = try find.firstInteger() ?? 0
        let between = try db.prepared("SELECT number FROM snapshot WHERE number > ? AND number < ?")
        between.bind(1, before)
        between.bind(2, into)
        defer { between.reset() }
        let goes = Set(dropped)
        while try between.step() {
            if !goes.contains(between.bits(0)) {
                throw CatalogError(.malformed, "snapshot \(between.integer(0)) stands between those that are merged into \(into)")
            }
        }
        if let last = dropped.max(), Int64(clamping: last) >= into {
            throw CatalogError(.malformed, "snapshot \(last) cannot be merged into the older snapshot \(into)")
        }
        return before
    }
}
