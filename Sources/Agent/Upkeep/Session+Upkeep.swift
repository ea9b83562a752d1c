// What rotation, compaction, purging and repair have in common: who writes the new archives, and how old ones go.
// Invariant: an archive is unlinked only after its replacement is durable, was read back and is in the catalog, under the removal
// lock, and never when it alone holds a chunk that is still needed.

internal import Archiving
internal import Cataloging
internal import Controlling
internal import Kernel
internal import Rotating
internal import Storing

extension Session {
    /// Bytes that snapshots leave free, so that consolidation has room to work: it writes before it removes. A twentieth of a small disk.
    var reserve: UInt64 { Session.reserve(on: try? FileSystemStatus(at: repository.path)) }

    static func reserve(on fileSystem: FileSystemStatus?) -> UInt64 { min(64 << 20, (fileSystem?.totalBytes ?? .max) / 20) }

    /// What is left of the disk belongs to consolidation, which alone can free more.
    ///
    /// - Throws: `StorageError.full`.
    func checkRoom() throws {
        let reserve = reserve
        guard let free = storage.freeBytes, free < reserve else { return }
        throw StorageError(
            .full, "only \(ByteText.describe(free)) are free, and \(ByteText.describe(reserve)) are kept for consolidation",
            at: repository.path, remedy: "free space on the repository's disk, or keep fewer snapshots (`watchctl rotate --size`)")
    }

    /// The threads that it works with end with it.
    func consolidator(workers: Int = Machine.processors) throws -> Consolidator {
        let compression = configuration.compression
        let pool = try SealingPool(
            key: key, workers: workers, verifies: compression.verifiesWrites, bytesInFlight: Int(clamping: min(configuration.limits.memory / 4, 32 << 20)))
        let numbers = ArchiveNumbers(
            next: {
                let number = try self.nextArchiveNumber()
                self.remember { $0.highestArchive = max($0.highestArchive, number) }
                return number
            }, recordHead: recordHead, highestSnapshot: highestSnapshot, now: { self.now().milliseconds })
        return try Consolidator(
            storage: storage, keys: keys, catalog: catalog, repository: repository.id, pool: pool,
            settings: .init(level: compression.deep ?? compression.fast, archiveSize: configuration.archiveSize), numbers: numbers)
    }

    /// Every chunk that a listed snapshot refers to.
    func neededChunks() throws -> NeededChunks {
        NeededChunks(try catalog.references(kept: try catalog.snapshots().map(\.number), dropping: []), merging: 0)
    }

    /// Puts a replacement in the place of what it replaces.
    ///
    /// - Returns: The bytes that became free; nil when another process reads: everything is as it was then.
    /// - Throws: `CatalogError`: as it was, or, when the catalog could not be written, with the replacement beside what it replaces, which
    ///   the next session takes up; `StorageError`: what could not be unlinked is left over, and harmless.
    func replace(_ consolidator: Consolidator, with replacement: Consolidator.Replacement) throws -> Freed? {
        guard let lock = try repository.lockForRemoval() else {
            consolidator.discard(replacement)
            return nil
        }
        defer { lock.release() }
        let names = replacement.published.map(\.stored.name)
        do {
            try checkSoleWriter(publishing: names)
            try consolidator.record(replacement)
        } catch let error as CatalogError where !error.isRefusal {
            // SQLite also reports an error when it failed only after its commit: the catalog may know the replacement, and without
            // it would believe it lost.
            setAside(names)
            throw error
        } catch {
            consolidator.discard(replacement)
            throw error
        }
        var freed = try unlink(replacement.superseded)
        freed.bytes -= Int64(clamping: replacement.bytes)
        return freed
    }

    /// Removes `data` archives of which nothing is needed from there.
    ///
    /// - Returns: Nil when another process reads: nothing was removed.
    func removeData(_ archives: [StoredArchive], _ needed: NeededChunks) throws -> Freed? {
        if archives.isEmpty { return Freed() }
        guard let lock = try repository.lockForRemoval() else { return nil }
        defer { lock.release() }
        try checkSoleWriter()
        try catalog.forget(archives.map(\.name.number), needed: needed)
        return try unlink(archives)
    }

    /// Where locks do not hold, another writer's snapshot may count on an archive that nothing else needs: what this process does not
    /// know of must not have come before anything goes. Under the removal lock.
    ///
    /// - Throws: `StorageError.secondWriter`.
    private func checkSoleWriter(publishing published: [ArchiveName] = []) throws {
        // An old copy that came back has a lower number, and is superseded.
        let newer = Set(try storage.names(of: (comparedTo &+ 1)...(.max))).subtracting(published).subtracting(setAside)
        if newer.isEmpty { return }
        let strange = newer.subtracting(try catalog.archives(newer.map(\.number)).map(\.archive.name))
        guard let one = strange.min(by: { $0.number < $1.number }) else { return }
        throw StorageError(
            .secondWriter, "archive \(one.text) came from another writer; nothing was removed", at: repository.path,
            remedy: "let only one computer write to this repository; the next command takes up what the other has written")
    }

    /// The numbers of `data` archives that belong to standalone snapshots: they keep their own copy of everything.
    func standaloneData() throws -> Set<UInt64> {
        Set(try catalog.snapshots().filter(\.record.isStandalone).flatMap(\.record.dataArchives))
    }

    /// Of archives that the catalog knows no more. One that is gone already is no error.
    func unlink(_ archives: [StoredArchive]) throws -> Freed {
        var freed = Freed()
        if archives.isEmpty { return freed }
        // A catalog from before a power cut would know an archive that is gone, and take it for lost.
        try catalog.makeDurable()
        for archive in archives {
            do throws(StorageError) {
                try storage.remove(archive.name)
            } catch {
                if error.code == .missing { continue }
                setAside(archives.map(\.name))
                throw error
            }
            freed.archives += 1
            freed.bytes += Int64(clamping: archive.size)
        }
        return freed
    }
}

/// What some upkeep has given back.
struct Freed {
    var archives = 0
    /// Below zero when what was written is larger than what went.
    var bytes: Int64 = 0

    static func += (left: inout Freed, right: Freed) {
        left.archives += right.archives
        left.bytes += right.bytes
    }
}
