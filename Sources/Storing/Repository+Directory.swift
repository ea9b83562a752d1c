// The directory of a repository while it is made, and its locks.
// In: a directory that is new or empty.  Out: everything but repository.json, which makes it a repository.

internal import Archiving
internal import Encrypting
package import Kernel

extension Repository {
    /// Makes what is missing of a repository but its description, and flushes it to the disk.
    ///
    /// - Throws: `.alreadyExists` when something else is in the directory, or what the file system says. What was made stays.
    package static func prepareDirectory(_ path: Path) throws(StorageError) {
        let names: [[UInt8]]
        do throws(Errno) {
            try path.makeDirectories(mode: 0o700, .durable)
            names = try DirectoryStream.names(in: path)
        } catch {
            throw StorageError(error, cannot: "make a repository", at: path)
        }
        try refuseForeign(names, at: path)
        do throws(Errno) {
            let directory = try Descriptor.open(path, [.read, .directory])
            // The root of a disk belongs to someone else at times; what counts is inside.
            try? directory.setMode(0o700)
            let archives = path.appending(archivesName.utf8)
            try archives.makeDirectories(mode: 0o700)
            for name in [lockName, readersName] {
                _ = try Descriptor.open(cString(name), in: directory, [.readWrite, .create, .noFollow], mode: 0o600)
            }
            if try !DirectoryStream.names(in: archives).isEmpty { throw .directoryNotEmpty }
            try directory.synchronize()
        } catch {
            throw StorageError(error, cannot: "make a repository", at: path)
        }
    }

    /// Takes an empty directory, an empty disk, and what an interrupted `create` left.
    private static func refuseForeign(_ names: [[UInt8]], at path: Path) throws(StorageError) {
        if names.contains(Array(descriptionName.utf8)) {
            throw StorageError(
                .alreadyExists, "a repository is there already", at: path,
                remedy: "continue with it by `watchctl adopt`, or choose another directory")
        }
        let ours = [archivesName, lockName, readersName, "lost+found"].map { Array($0.utf8) }
        guard let foreign = names.first(where: { !ours.contains($0) && !isLeftover($0) }) else { return }
        throw StorageError(
            .alreadyExists, "the directory is not empty: it holds \(printable(foreign))", at: path,
            remedy: "choose an empty directory, or one that does not exist yet")
    }

    /// True for `.repository.json.<random>.tmp`, beside which repository.json was to be replaced.
    static func isLeftover(_ name: [UInt8]) -> Bool {
        name.starts(with: ".\(descriptionName).".utf8) && name.suffix(4).elementsEqual(".tmp".utf8)
    }
}

// MARK: Locks

extension Repository {
    /// The lock of the one writer, exclusive. Whoever publishes, removes or changes repository.json holds it.
    ///
    /// - Throws: `.locked`, with the holder as far as it is known.
    package func lockForWriting() throws(StorageError) -> RepositoryLock {
        let file = path.appending(Repository.lockName.utf8)
        guard let lock = try RepositoryLock.take(.exclusive, at: file) else {
            let holder = RepositoryLock.signature(at: file)
            throw StorageError(
                .locked, "another writer holds the repository" + (holder.isEmpty ? "" : ": process \(holder)"), at: path,
                remedy: "wait for it, or end it; one repository has one writer")
        }
        lock.sign()
        return lock
    }

    /// Held while archives are read, shared with other readers: what is listed stays while it is held. Waits while archives are being
    /// removed, which is short.
    package func lockForReading() throws(StorageError) -> RepositoryLock {
        try RepositoryLock.wait(.shared, at: path.appending(Repository.readersName.utf8))
    }

    /// Held while archives are removed. Nil while someone reads: remove nothing then, and try again later.
    package func lockForRemoval() throws(StorageError) -> RepositoryLock? {
        try RepositoryLock.take(.exclusive, at: path.appending(Repository.readersName.utf8))
    }
}
