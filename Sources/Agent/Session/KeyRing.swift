// All keys of a repository, by way of the one in this machine's key file.
// In: the repository and the key file.  Out: its keys, newest first.
// Invariant: the first key is the one that the repository calls its newest; nothing is ever sealed with another.
// A crash while a new key took the old one's place is mended here: `<key file>.new` becomes the key file once the repository has that key.

internal import Encrypting
internal import Kernel
internal import Storing

struct KeyRing: Sendable {
    /// Newest first; at least one.
    let keys: [SecretKey]
    /// Group or others may read the key file.
    let isReadableByOthers: Bool

    var newest: SecretKey { keys[0] }
}

extension KeyRing {
    /// - Throws: `EncryptionError` (.keyMissing, .keyUnsafe …); `StorageError` .wrongKey for a stranger's key and for an older one, or
    ///   what reading repository.json runs into.
    init(of repository: Repository, file: Path) throws {
        do {
            try self.init(now: repository, file)
        } catch let error as StorageError where error.code == .wrongKey {
            // Another process may have put a new key into its place between the look at the one file and at the other.
            try self.init(now: repository, file)
        }
    }

    private init(now repository: Repository, _ path: Path) throws {
        var file: KeyFile
        do {
            file = try KeyFile.read(at: path)
            try repository.reload()
            try repository.checkNewest(file.key)
        } catch {
            guard KeyRing.isMended(error), let waiting = KeyRing.takeWaiting(of: repository, path) else { throw error }
            file = waiting
        }
        self.init(keys: try repository.allKeys(openedBy: file.key), isReadableByOthers: file.readableByOthers)
    }

    /// The key that waits beside the key file, in its place if that can be done; nil unless it is the repository's newest.
    private static func takeWaiting(of repository: Repository, _ path: Path) -> KeyFile? {
        guard let waiting = try? KeyFile.read(at: KeyFile.waitingPlace(for: path)), (try? repository.reload()) != nil,
            (try? repository.checkNewest(waiting.key)) != nil
        else { return nil }
        do {
            // Whoever replaced repository.json may have crashed before that was durable, and the old key is needed as long as it is not.
            try repository.path.synchronizeDirectory()
            try KeyFile.takeWaiting(waiting.key, to: path)
        } catch {
            // Both files stay, and the next opening tries again: looking and restoring go on where nothing can be written.
        }
        return waiting
    }

    private static func isMended(_ error: any Error) -> Bool {
        switch error {
        case let error as StorageError: error.code == .wrongKey
        case let error as EncryptionError: error.code == .keyMissing
        default: false
        }
    }
}

extension KeyRing {
    /// Puts the newest key into the key file. Only nothing, or an older key that the newest one opens, may stand there.
    ///
    /// - Throws: `EncryptionError` (.keyExists, .keyUnsafe, .file); what stands there is untouched then.
    static func place(_ newest: SecretKey, at file: Path, of repository: Repository) throws {
        do {
            try KeyFile.write(newest, to: file)
        } catch {
            guard error.code == .keyExists, let present = try? KeyFile.read(at: file),
                try repository.allKeys(openedBy: newest).contains(present.key)
            else { throw error }
            try KeyFile.replace(with: newest, at: file)
        }
    }
}
