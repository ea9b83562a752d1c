// A repository: a directory with archives, its description, and its locks.
// In: a path.  Out: storage for archives; the secret key, for who has a passphrase; locks.
// Invariant: repository.json is written last when a repository is made, and replaced in one step afterwards.
// A crash while it is made leaves a directory that `create` accepts again. Source: RepositoryFormat, "The directory".

package import Archiving
package import Encrypting
package import Kernel

package final class Repository: Sendable {
    package let path: Path
    package let id: RepositoryID
    package let storage: any Storage
    let current: Monitor<RepositoryDescription>

    private init(path: Path, description: RepositoryDescription, storage: any Storage) {
        self.path = path
        id = description.id
        self.storage = storage
        current = Monitor(description)
    }

    /// What repository.json said when it was last read or written here.
    package var description: RepositoryDescription { current.withLock { $0 } }

    static let descriptionName = "repository.json"
    static let archivesName = "archives"
    static let lockName = "lock"
    static let readersName = "readers"
    /// Far above what slots and keys can need.
    private static let descriptionLimit = 1 << 20

    /// Opens a repository that exists. Takes no lock and asks for no key.
    ///
    /// - Parameter wrap: Puts another storage in front of that of the directory; tests let it fail there.
    /// - Throws: `.notThere`, `.notARepository`, `.newerFormat`, `.malformed`, or what the file system says.
    package static func open(
        at path: Path, wrapping wrap: (any Storage) -> any Storage = { $0 }
    ) throws(StorageError) -> Repository {
        let archives = path.appending(archivesName.utf8)
        let repository = Repository(
            path: path, description: try readDescription(at: path), storage: wrap(LocalStorage(at: archives)))
        do throws(Errno) {
            if try FileStatus(of: archives).kind == .directory { return repository }
        } catch .noSuchFileOrDirectory {
        } catch {
            throw StorageError(error, cannot: "look at the archives' directory", at: archives)
        }
        throw StorageError(
            .malformed, "the repository's directory of archives is missing", at: archives,
            remedy: "copy it back from where the repository was moved or synchronised")
    }

    /// A repository's description stands there; nothing is said of what it holds.
    package static func isThere(_ path: Path) -> Bool { path.appending(descriptionName.utf8).exists }

    /// Makes a repository in `path`, which does not exist yet or is an empty directory, with one key.
    ///
    /// - Parameters:
    ///   - passphrase: Of the key's first slot; nil for none.
    ///   - cost: Of one guess at the passphrase.
    /// - Throws: `.alreadyExists` when something is in the directory, or what the file system says. What was made stays, and is accepted
    ///   by the next call. `EncryptionError` when the key cannot be locked.
    package static func create(
        at path: Path, key: SecretKey, owner: RepositoryOwner, passphrase: [UInt8]? = nil,
        cost: DerivationCost = .standard
    ) throws -> Repository {
        try prepareDirectory(path)
        let now = Timestamp.now()
        let id = RepositoryID.random()
        var record = try KeyRecord(id: 1, key: key, repository: id, created: now)
        if let passphrase {
            _ = try record.addSlot(key, passphrase: passphrase, created: now, cost: cost)
        }
        let description = RepositoryDescription(id: id, created: now, owner: owner, keys: [record])
        try write(description, at: path)
        return try open(at: path)
    }

    /// Removes what killed writers left behind, among the archives and beside them.
    ///
    /// - Returns: How many unfinished archives there were.
    package func removeLeftovers(holding lock: RepositoryLock) throws(StorageError) -> Int {
        do throws(Errno) {
            for name in try DirectoryStream.names(in: path) where Repository.isLeftover(name) {
                try path.appending(name).removeFile()
            }
        } catch {
            throw StorageError(error, cannot: "remove an unfinished file", at: path)
        }
        return try storage.removeLeftovers()
    }

    /// Changes repository.json in one step, from what it holds now.
    ///
    /// - Throws: The old file is still there then.
    func update(_ change: (inout RepositoryDescription) throws -> Void) throws {
        try reload()
        var description = description
        try change(&description)
        try Repository.write(description, at: path)
        current.withLock { $0 = description }
    }

    static func readDescription(at path: Path) throws(StorageError) -> RepositoryDescription {
        let file = path.appending(descriptionName.utf8)
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try file.readFile(limit: descriptionLimit)
        } catch .noSuchFileOrDirectory, .notDirectory {
            throw absence(at: path)
        } catch .fileTooLarge {
            throw StorageError(.malformed, "the file is larger than 1 MiB", at: file)
        } catch {
            throw StorageError(error, cannot: "read the repository's description", at: file)
        }
        return try RepositoryDescription(bytes: bytes, at: file)
    }

    private static func absence(at path: Path) -> StorageError {
        switch (try? FileStatus(of: path))?.kind {
        case nil:
            StorageError(
                .notThere, "there is no repository", at: path,
                remedy: "connect or mount its disk, or make one with `watchctl init`")
        case .directory, .symlink:
            StorageError(
                .notARepository, "the directory holds no \(descriptionName), so it is no repository", at: path,
                remedy: "check the path, or make one with `watchctl init`")
        default:
            StorageError(.notARepository, "a repository is a directory, and this is none", at: path, remedy: "check the path")
        }
    }

    private static func write(_ description: RepositoryDescription, at path: Path) throws(StorageError) {
        let file = path.appending(descriptionName.utf8)
        guard let bytes = description.bytes else {
            throw StorageError(.malformed, "the description cannot be written as JSON", at: file)
        }
        do throws(Errno) {
            try file.replaceFile(with: bytes, mode: 0o600)
        } catch {
            throw StorageError(error, cannot: "write the repository's description", at: file)
        }
    }
}
