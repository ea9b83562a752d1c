// The local index of a repository: snapshots, every path's versions, and where each chunk is stored.
// In: archives' contents and manifests.  Out: answers about any moment, for scanning, restoring and rotation.
// Invariant: a cache. Each recording is one transaction, done after the archive is durable; whatever is lost here is rebuilt
// from the archives alone. A crash leaves the state before or after a recording.
// Readers run while a writer works (write-ahead log), and see the last committed state.

package import Archiving
internal import GRDB
package import Kernel
internal import Synchronization

/// - Thread safety: any thread. Recordings wait for each other; a closure given to a recording may read, but not record.
package final class Catalog: Sendable {
    package let path: Path
    package let repository: RepositoryID
    let owners = OwnerCache()
    private let pool: DatabasePool
    /// One more connection, for single chunks: a pool's reader costs more than the look itself.
    private let lookups: DatabaseQueue
    private let isClosed = Mutex(false)

    private init(path: Path, repository: RepositoryID, pool: DatabasePool, lookups: DatabaseQueue) {
        self.path = path
        self.repository = repository
        self.pool = pool
        self.lookups = lookups
    }

    /// Opens the catalog at `path`, and makes it when nothing or an empty file is there (mode 0600).
    ///
    /// - Parameter path: UTF-8, for SQLite is given text. Its directory exists.
    /// - Throws: `CatalogError`: `.corrupt`, `.otherRepository`, `.otherVersion` (the file is unchanged: `discard` it and rebuild),
    ///   `.io`, `.busy`, `.full`.
    package static func open(at path: Path, repository: RepositoryID) throws -> Catalog {
        guard let text = String(validating: path.bytes, as: UTF8.self) else {
            throw CatalogError(.io, "its path is not UTF-8, which SQLite needs", path: path)
        }
        do {
            // SQLite would make it readable for others; its log takes the mode of the file. One that is there is not opened: closing it
            // would end the locks that SQLite has on it in this process (fcntl_locking(2)), and another could then remove its log.
            try Descriptor.open(path, [.readWrite, .create, .exclusive], mode: 0o600).close()
        } catch Errno.fileExists {
        } catch {
            throw CatalogError(.io, "it cannot be opened (\(error))", path: path)
        }
        do {
            let pool = try DatabasePool(path: "/" + text, configuration: configuration())
            do {
                try pool.write { try prepare($0, for: repository) }
                var readonly = configuration()
                readonly.readonly = true
                let lookups = try DatabaseQueue(path: "/" + text, configuration: readonly)
                return Catalog(path: path, repository: repository, pool: pool, lookups: lookups)
            } catch {
                try? pool.close()
                throw error
            }
        } catch {
            throw located(error, path)
        }
    }

    /// Removes the catalog at `path`, with its log. What is not there is not an error.
    package static func discard(at path: Path) throws {
        for suffix in ["-wal", "-shm", ""] {
            let file = Path(unchecked: path.bytes + suffix.utf8)
            do throws(Errno) {
                try file.removeFile()
            } catch {
                if error != .noSuchFileOrDirectory { throw CatalogError(.io, "it cannot be removed (\(error))", path: file) }
            }
        }
    }

    /// Writes the log back and closes. Every later use throws, but closing again.
    ///
    /// - Complexity: waits up to 5 seconds for readers in other processes.
    package func close() throws {
        let wasClosed = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return isClosed
        }
        if wasClosed { return }
        try mapped {
            // A log that another process still reads stays, and is as good as the file.
            _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
            try lookups.close()
            try pool.close()
        }
    }

    /// What was recorded until now survives a power cut. Without it, the catalog is an older one after that.
    ///
    /// Only the log is fsynced: whatever SQLite moved from there into the database, it has fsynced itself.
    package func makeDurable() throws {
        let log = Path(unchecked: path.bytes + "-wal".utf8)
        do throws(Errno) {
            let file = try Descriptor.open(log, [.read])
            try file.synchronize()
            try (path.parent ?? .root).synchronizeDirectory()
        } catch {
            // There is none when everything has been moved.
            if error != .noSuchFileOrDirectory { throw CatalogError(.io, "its log cannot be made durable (\(error))", path: log) }
        }
    }

    /// Reads the whole database, and compares its parts with each other.
    ///
    /// - Throws: `.corrupt` with the first finding.
    /// - Complexity: O(size of the database); seconds for a million entries.
    package func checkIntegrity() throws {
        try read { db in
            let findings = try String.fetchAll(db, sql: "PRAGMA integrity_check(1)")
            if findings != ["ok"] { throw CatalogError(.corrupt, printable((findings.first ?? "no answer").utf8)) }
            var reachable: Int64 = 0
            var walk = try TreeWalk(db, .live, below: .root, directory: Schema.rootDirectory)
            while !walk.isFinished { try walk.advance(db, limit: 4096) { _, _, _ in reachable += 1 } }
            let all = try db.prepared("SELECT count(*) FROM live WHERE parent > 0").firstInteger() ?? 0
            if reachable != all { throw CatalogError(.corrupt, "\(all - reachable) of \(all) entries hang on no directory") }
        }
    }

    /// Gives memory that caches hold back to the system.
    package func releaseMemory() {
        pool.releaseMemory()
        lookups.releaseMemory()
    }

    // MARK: - Access

    /// One consistent look at the last committed state.
    func read<Result>(_ body: (Database) throws -> Result) throws -> Result {
        try mapped { try pool.read(body) }
    }

    /// For a body that makes one query: without a transaction around it.
    func readOnce<Result>(_ body: (Database) throws -> Result) throws -> Result {
        try mapped { try pool.unsafeRead(body) }
    }

    /// For a body that makes one short query: one caller at a time.
    func lookUp<Result>(_ body: (Database) throws -> Result) throws -> Result {
        try mapped { try lookups.unsafeRead(body) }
    }

    /// One transaction: all of it or nothing.
    func write<Result>(_ body: (Database) throws -> Result) throws -> Result {
        try mapped { try pool.write(body) }
    }

    private func mapped<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            throw Catalog.located(error, path)
        }
    }

    /// Errors of SQLite and of this module name the file; those of closures pass as they are.
    private static func located(_ error: any Error, _ path: Path) -> any Error {
        var found: CatalogError
        switch error {
        case let error as DatabaseError: found = CatalogError(error, path: path)
        case let error as CatalogError: found = error
        default: return error
        }
        if found.path.isRoot { found.path = path }
        // A header of another format forbids writing, too, which ours never does. Source: sqlite.org, "Database File Format", 1.3.3.
        if found.code == .readOnly { found.code = found.path.isWritable ? .corrupt : .io }
        return found
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.label = "catalog"
        configuration.maximumReaderCount = 6
        configuration.busyMode = .timeout(5)
        configuration.foreignKeysEnabled = false
        configuration.prepareDatabase { db in
            // KiB; one writer, and a few readers whose pages the kernel caches too.
            try db.execute(sql: "PRAGMA cache_size = -\(db.configuration.readonly ? 8 << 10 : 32 << 10)")
            // The log of a first snapshot is large; afterwards it shrinks to this.
            try db.execute(sql: "PRAGMA journal_size_limit = \(64 << 20)")
        }
        return configuration
    }

    /// Makes the tables of an empty database, or checks that they are ours.
    private static func prepare(_ db: Database, for repository: RepositoryID) throws {
        let version = try db.prepared("PRAGMA user_version").firstInteger() ?? 0
        let isEmpty = try db.prepared("SELECT 1 FROM sqlite_schema LIMIT 1").firstInteger() == nil
        if isEmpty && version == 0 {
            try Schema.create(in: db)
            try Meta.setRepository(repository, in: db)
            return
        }
        guard version == Schema.version else {
            throw CatalogError(.otherVersion, "its schema is version \(version), and this program knows \(Schema.version)")
        }
        guard try Meta.repository(in: db) == repository else {
            throw CatalogError(.otherRepository, "it belongs to another repository")
        }
        // The first page of each table: a quick probe of whether this is a database at all.
        for table in ["archive", "snapshot", "live", "past", "directory", "chunk"] {
            _ = try db.prepared("SELECT 1 FROM \(table) LIMIT 1").firstInteger()
        }
    }
}
