// One opened installation: its configuration, repository, key and catalog.
// In: a configuration.  Out: what every activity works with.
// Invariant: the catalog knows every archive of the repository before anything is asked of it, or another process is just telling it.
// A crash leaves nothing to clean but temporary archives, which the next writer removes.

internal import Archiving
package import Cataloging
package import Encrypting
package import Kernel
package import Storing
internal import Synchronization

package final class Session: Sendable {
    package enum Access: Sendable {
        /// Looks and restores; works beside a writer.
        case reading
        /// Takes the writer's lock, or fails with `StorageError.locked`.
        case writing
    }

    package let configuration: Configuration
    package let places: Places
    package let repository: Repository
    /// The wall clock; tests give another.
    package let now: @Sendable () -> Timestamp
    private let writerLock: RepositoryLock?
    /// A writer holds it: what others have open is not thrown away under them.
    private let catalogLock: Descriptor
    private let state: Mutex<State>

    private struct State: Sendable {
        var catalog: Catalog
        var record: LocalRecord
        /// What verification had covered by a catalog that was thrown away, until the new one knows the archives.
        var readings: Readings
        var ring: KeyRing
        /// Archives that are there and that the catalog does not hold, for a reason that is known.
        var setAside: Set<ArchiveName> = []
        /// The highest number when the catalog was last compared with the archives.
        var comparedTo: UInt64 = 0
    }

    package var storage: any Storage { repository.storage }
    /// All keys that archives may be sealed with, newest first.
    package var keys: [SecretKey] { state.withLock { $0.ring.keys } }
    /// The newest key: what is sealed is sealed with it.
    package var key: SecretKey { state.withLock { $0.ring.newest } }
    package var keyIsReadableByOthers: Bool { state.withLock { $0.ring.isReadableByOthers } }
    var keyFile: Path { configuration.keyFile ?? places.keyFile }
    package var catalog: Catalog { state.withLock { $0.catalog } }
    package var record: LocalRecord { state.withLock { $0.record } }
    /// Archives that are there and could not be brought into the catalog.
    package var gaps: [CatalogIngest.Gap] { record.unusable.sorted { $0.key < $1.key }.map { .init(archive: $0.key, reason: $0.value) } }
    var comparedTo: UInt64 { state.withLock { $0.comparedTo } }
    var setAside: Set<ArchiveName> { state.withLock { $0.setAside } }
    /// True when this session may change the repository.
    package var isWriting: Bool { writerLock != nil }

    /// Opens it, brings the catalog up to date, and notices a repository that went back in time.
    ///
    /// - Parameter wrap: Puts another storage in front of the repository's.
    /// - Throws: `StorageError` (.notThere, .locked, .wrongKey …), `EncryptionError`, `AgentError.foreignRepository`;
    ///   nothing is held or changed then.
    package init(
        _ configuration: Configuration, at places: Places, for access: Access, now: @escaping @Sendable () -> Timestamp = { .now() },
        wrapping wrap: (any Storage) -> any Storage = { $0 }
    ) throws {
        self.now = now
        self.configuration = configuration
        self.places = places
        repository = try Repository.open(at: configuration.repository, wrapping: wrap)
        let keyFile = configuration.keyFile ?? places.keyFile
        var ring = try KeyRing(of: repository, file: keyFile)
        try Session.checkOwner(of: repository, configuration)
        try places.makeStateDirectory()
        let lock = access == .writing ? try repository.lockForWriting() : nil
        if lock != nil {
            // Keys and owner may have changed until the lock was had; from now on nobody else changes them.
            ring = try KeyRing(of: repository, file: keyFile)
            try Session.checkOwner(of: repository, configuration)
        }
        let catalogLock = try naming(places.catalogLock) { () throws(Errno) in
            try Descriptor.open(places.catalogLock, [.readWrite, .create], mode: 0o600)
        }
        var mayUpdate = true
        try naming(places.catalogLock) { () throws(Errno) in
            if access == .writing { try catalogLock.waitForLock(.exclusive) } else { mayUpdate = try catalogLock.tryLock(.exclusive) }
        }
        if !mayUpdate { mayUpdate = try Session.waitForCatalog(places, catalogLock) }
        let (catalog, readings) = try Session.openCatalog(places.catalogFile, repository: repository.id, mayDiscard: mayUpdate)
        writerLock = lock
        self.catalogLock = catalogLock
        let record = try LocalRecord.load(from: places.anchorFile, repository: "\(repository.id)")
        state = Mutex(State(catalog: catalog, record: record, readings: readings, ring: ring))
        if let lock {
            _ = try repository.removeLeftovers(holding: lock)
            removeUnfinishedFiles()
        }
        if mayUpdate {
            do {
                try bringUpToDate(access)
            } catch let error as CatalogError where error.code == .corrupt {
                // It could be opened, and is damaged inside: the archives say the same.
                try replaceCatalog()
                try bringUpToDate(access)
            }
        }
        if access == .reading { try self.catalogLock.unlock() }
    }

    /// What killed processes left beside the files of this machine.
    private func removeUnfinishedFiles() {
        let ours = [places.anchorFile, places.statusFile, places.standingFile, places.catalogIncomplete]
        places.stateDirectory.removeUnfinished { name in ours.contains { $0.isTemporaryName(name) } }
        let file = keyFile
        for directory in Set([places.configurationFile.parent, file.parent].compactMap { $0 }) {
            directory.removeUnfinished { name in
                places.configurationFile.isTemporaryName(name) || file.isTemporaryName(name) || KeyFile.isTemporaryName(name)
            }
        }
    }

    private func bringUpToDate(_ access: Access) throws {
        try catchUp()
        // Not the catalog from before: catching up may have begun a new one.
        let newest = try catalog.newest()?.number ?? 0
        if newest > record.expectedSnapshot {
            remember { record in
                record.expectedSnapshot = newest
                record.highestSnapshot = max(record.highestSnapshot, newest)
            }
        }
        if access == .writing { try noteOlderKeys() }
    }

    /// - Throws: `AgentError.foreignRepository`.
    private static func checkOwner(of repository: Repository, _ configuration: Configuration) throws {
        let owner = repository.description.owner
        if let id = configuration.id, owner.configuration != id {
            throw AgentError.foreignRepository(configuration.repository, host: owner.host)
        }
    }

    /// Changes what this machine remembers, and writes it; fsynced only when it must last. A failure to write it is not an error: the
    /// memory is an additional guard, and the next change writes it again.
    package func remember(_ change: (inout LocalRecord) -> Void) { _ = write(change) }

    /// The same for what takes several steps, and may begin only when it is remembered.
    ///
    /// - Throws: `AgentError.failed` when it cannot be written; only the present session remembers it then.
    func rememberForSure(_ change: (inout LocalRecord) -> Void) throws {
        guard let failure = write(change) else { return }
        throw AgentError.failed("\(places.anchorFile) cannot be written (\(failure)): nothing was begun that has to be remembered")
    }

    /// Sessions of this process and of others take turns: of two that read the record, change it and write it at once, one would undo what
    /// the other remembers. A verification found damage while a snapshot was taken, and it was forgotten.
    private func write(_ change: (inout LocalRecord) -> Void) -> Errno? {
        do throws(Errno) {
            let lock = try Descriptor.open(places.anchorLock, [.readWrite, .create], mode: 0o600)
            try lock.waitForLock(.exclusive)
            let failure = writeAlone(change)
            // Not by its end alone: a child that is just being started has the descriptor, too.
            try? lock.unlock()
            return failure
        } catch {
            // Where there is no lock to be had, hardly anything can be written either; what is found out then is said there.
            return writeAlone(change)
        }
    }

    private func writeAlone(_ change: (inout LocalRecord) -> Void) -> Errno? {
        state.withLock { state in
            // Another session may have remembered something since.
            if let present = try? LocalRecord.load(from: places.anchorFile, repository: "\(repository.id)") { state.record = present }
            let before = state.record
            change(&state.record)
            do throws(Errno) {
                // Once something lasts, no file takes its place that is not on the disk.
                try state.record.save(to: places.anchorFile, before.mustLast || state.record.mustLast ? .durable : .atomic)
                return nil
            } catch {
                return error
            }
        }
    }

    func setAside(_ names: [ArchiveName]) { state.withLock { $0.setAside.formUnion(names) } }

    /// Reads and seals with other keys from now on.
    func replaceKeys(_ ring: KeyRing) { state.withLock { $0.ring = ring } }

    /// Runs `body` with the writer's lock.
    ///
    /// - Throws: `StorageError.locked` in a session that only reads.
    func withWriterLock<Result>(_ body: (RepositoryLock) throws -> Result) throws -> Result {
        guard let lock = writerLock else {
            throw StorageError(.locked, "this session only reads", at: repository.path)
        }
        return try body(lock)
    }

    /// The newest snapshot.
    ///
    /// - Throws: `AgentError.rolledBack` when a newer one was seen here before, `.noSnapshot` when there is none.
    package func newestSnapshot() throws -> SnapshotRow {
        try checkRollback()
        guard let newest = try catalog.newest() else { throw AgentError.noSnapshot("yet") }
        return newest
    }

    /// - Throws: `AgentError.rolledBack` when the repository's newest snapshot is older than the newest that was seen.
    package func checkRollback() throws {
        let newest = try catalog.newest()?.number ?? 0
        let seen = record.expectedSnapshot
        if newest < seen { throw AgentError.rolledBack(seen: seen, found: newest) }
    }

    /// Makes peace with a repository that went back in time: what is there now is what there is. The next snapshot is a full one, with a
    /// number above all that were ever given.
    package func acceptRollback() throws -> UInt64 {
        let newest = try catalog.newest()?.number ?? 0
        remember { record in
            record.expectedSnapshot = newest
            record.lost = []
            record.lastFull = nil
            record.mustBeFull = true
        }
        return newest
    }

    /// Throws the catalog away and makes it anew from the archives. Nothing of the repository changes.
    ///
    /// - Returns: Archives that could not be used.
    @discardableResult
    package func rebuildCatalog() throws -> [CatalogIngest.Gap] {
        try replaceCatalog()
        return try catchUp()
    }

    /// Brings the catalog up to date. Until that is done, others who only look are told to wait.
    @discardableResult
    func catchUp() throws -> [CatalogIngest.Gap] {
        let ingest = CatalogIngest(session: self)
        defer { state.withLock { $0.comparedTo = (try? $0.catalog.highestNumbers().archive) ?? 0 } }
        if try ingest.isCurrent() {
            try forgetPurged()
            return gaps
        }
        let gaps = try ingest.catchUp()
        try forgetPurged()
        try note(gaps)
        let readings = state.withLock { state in
            defer { state.readings = [:] }
            return state.readings
        }
        try catalog.adopt(readings)
        if places.catalogIncomplete.exists {
            try naming(places.catalogIncomplete) { () throws(Errno) in try places.catalogIncomplete.removeFile() }
        }
        return gaps
    }

    /// Remembers what could not be used, and forgets what is gone or is used now.
    private func note(_ gaps: [CatalogIngest.Gap]) throws {
        if gaps.isEmpty, record.unusable.isEmpty { return }
        let setAside = Set(try catalog.unusableCommits().map(\.archive.name.text))
        for number in gaps.compactMap({ ArchiveName($0.archive)?.number }) { try catalog.raiseHighest(archive: number) }
        remember { record in
            record.unusable = record.unusable.filter { setAside.contains($0.key) }
            for gap in gaps { record.unusable[gap.archive] = gap.reason }
        }
    }

    /// Begins an empty catalog in the place of the present one. What verification had covered is kept for it.
    func replaceCatalog() throws {
        let readings = Catalog.readings(leftAt: places.catalogFile)
        try catalog.close()
        try Catalog.discard(at: places.catalogFile)
        let fresh = try Catalog.open(at: places.catalogFile, repository: repository.id)
        state.withLock { state in
            state.catalog = fresh
            state.readings.merge(readings, uniquingKeysWith: max)
        }
    }

    /// Waits a moment for another process that is bringing the catalog up to date.
    ///
    /// - Returns: True when this process may do it now.
    /// - Throws: `AgentError.failed` when it takes longer: half a history would answer with older states.
    private static func waitForCatalog(_ places: Places, _ lock: borrowing Descriptor) throws -> Bool {
        let clock = try AlarmClock()
        for _ in 0..<40 {
            if !places.catalogIncomplete.exists { return false }
            // There is no event for the end of another process's work that also a file system without inotify tells.
            try clock.wait(until: .now() + .milliseconds(50))
            if try naming(places.catalogLock, { () throws(Errno) in try lock.tryLock(.exclusive) }) { return true }
        }
        throw AgentError.failed("the catalog is being made anew from the archives; try again in a while")
    }

    /// Opens the catalog; one that is damaged, of another version or about another repository is thrown away and begun
    /// anew, for the archives are the truth.
    ///
    /// - Returns: Also what verification had covered by one that was thrown away.
    /// - Throws: `CatalogError` when another process holds it.
    private static func openCatalog(_ file: Path, repository: RepositoryID, mayDiscard: Bool) throws -> (Catalog, Readings) {
        do {
            return (try Catalog.open(at: file, repository: repository), [:])
        } catch let error as CatalogError where error.needsRebuild && mayDiscard {
            let readings = Catalog.readings(leftAt: file)
            try Catalog.discard(at: file)
            return (try Catalog.open(at: file, repository: repository), readings)
        }
    }
}

// MARK: Numbers and chains

extension Session {
    /// Above every number that an archive of this repository ever had, as far as this machine and the archives know: the catalog
    /// was brought up to date when the session began, and since then nobody else writes.
    func nextArchiveNumber() throws -> UInt64 {
        max(record.highestArchive, try catalog.highestNumbers().archive) + 1
    }

    /// The highest snapshot number ever given.
    func highestSnapshot() throws -> UInt64 {
        max(try catalog.highestNumbers().snapshot, record.highestSnapshot)
    }

    /// The newest record archive's digest: commits name it, so that no record can be dropped unseen.
    func recordHead() throws -> Digest? {
        try catalog.archives(of: .record).last?.archive.name.digest
    }

    /// Reads a new archive back from the disk. One that is not what was written is not left where the next start would believe it.
    ///
    /// - Throws: What `PublishedArchive.readBack` throws; the archive is gone then, as far as the disk allows.
    func readBack(_ archive: PublishedArchive) throws {
        do {
            try archive.readBack(from: storage, keys: keys)
        } catch {
            try? storage.remove(archive.stored.name)
            throw error
        }
    }

    /// Remembers of an archive that is recorded that it was read back whole, and how it is compressed. A failure is not one of the
    /// archive: it is only read again sooner.
    func markReadBack(_ archive: PublishedArchive, _ lane: ArchiveRow.Lane) {
        try? catalog.mark([archive.stored.name.number], lane: lane, verified: now().milliseconds)
    }

    /// Opens an archive for reading.
    ///
    /// - Throws: `StorageError.missing`, or `ArchiveError` when it is damaged or does not belong here.
    package func reader(of name: ArchiveName) throws -> ArchiveReader {
        try ArchiveReader(try storage.open(name), name: name, keys: keys, repository: repository.id)
    }
}
