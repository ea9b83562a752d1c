// flock(2) on two files of the repository: one writer; many readers or one remover.
// In: the repository's directory.  Out: a lock that is held until it is released or ends.
// Invariant: the kernel frees a lock when its process ends, however it ends; no lock is ever stale.

internal import Kernel

/// Held while it lives, or until `release`.
package final class RepositoryLock: Sendable {
    private let file: Descriptor

    private init(_ file: consuming Descriptor) {
        self.file = file
    }

    deinit {
        // Closing alone would leave it to a child that another thread has just forked, until that one runs its program.
        release()
    }

    /// Frees the lock now. More than once does no harm.
    package func release() {
        try? file.unlock()
    }

    /// Takes the lock if it is free; nil when another holds it.
    static func take(_ lock: Descriptor.Lock, at path: Path) throws(StorageError) -> RepositoryLock? {
        let file = try open(path, lock)
        do throws(Errno) {
            return try file.tryLock(lock) ? RepositoryLock(file) : nil
        } catch {
            throw StorageError(error, cannot: "lock the repository", at: path)
        }
    }

    /// Takes the lock as soon as it is free.
    static func wait(_ lock: Descriptor.Lock, at path: Path) throws(StorageError) -> RepositoryLock {
        let file = try open(path, lock)
        do throws(Errno) {
            try file.waitForLock(lock)
        } catch {
            throw StorageError(error, cannot: "lock the repository", at: path)
        }
        return RepositoryLock(file)
    }

    /// Says in the file who holds it, for the message that another writer gives. A courtesy: it may fail.
    func sign() {
        try? file.truncate(to: 0)
        try? file.write(Array("\(ProcessIdentity.pid) on \(ProcessIdentity.hostName)\n".utf8))
    }

    /// What the holder wrote; empty when it wrote nothing.
    static func signature(at path: Path) -> String {
        let bytes = (try? path.readFile(limit: 1024)) ?? []
        return printable(bytes.prefix { $0 != UInt8(ascii: "\n") })
    }

    private static func open(_ path: Path, _ lock: Descriptor.Lock) throws(StorageError) -> Descriptor {
        do throws(Errno) {
            return try Descriptor.open(path, [.readWrite, .create, .noFollow], mode: 0o600)
        } catch .readOnlyFileSystem where lock == .shared {
            return try openReadOnly(path)
        } catch .permissionDenied where lock == .shared {
            return try openReadOnly(path)
        } catch {
            throw StorageError(error, cannot: "open the lock file", at: path)
        }
    }

    /// A repository that can only be read: the file, or where there is none, the directory. Nobody removes anything here.
    private static func openReadOnly(_ path: Path) throws(StorageError) -> Descriptor {
        do throws(Errno) {
            do throws(Errno) {
                return try Descriptor.open(path, [.read, .noFollow])
            } catch .noSuchFileOrDirectory {
                return try Descriptor.open(path.parent ?? .root, [.read, .directory])
            }
        } catch {
            throw StorageError(error, cannot: "open the lock file", at: path)
        }
    }
}
