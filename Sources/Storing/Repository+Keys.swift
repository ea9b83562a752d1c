// The keys of a repository: which are right, and which passphrases open them.
// In: keys and passphrases.  Out: a new repository.json.
// Invariant: at least one key is valid. A slot that was removed still opens an old copy of repository.json.
// Whoever changes something here holds the writer's lock, for the file is read, changed and replaced.

internal import Archiving
package import Encrypting
internal import Kernel

extension Repository {
    /// Is this one of the repository's keys?
    ///
    /// - Returns: The key's id.
    /// - Throws: `.wrongKey`; `EncryptionError` `.cryptography`.
    @discardableResult
    package func checkKey(_ key: SecretKey) throws -> Int {
        for record in description.keys where try record.isKey(key, of: id) { return record.id }
        throw StorageError(
            .wrongKey, "the key is not this repository's", at: path,
            remedy: "use the key file that belongs to it, or a passphrase (`watchctl key import`)")
    }

    /// Every key that the passphrase opens, newest first: older ones too, where a slot of theirs was kept.
    ///
    /// - Throws: `.wrongKey` when it opens none, or no slot is there.
    /// - Complexity: One derivation (128 MiB, about half a second) for each slot that is tried.
    package func unlockAll(passphrase: [UInt8]) throws -> [SecretKey] {
        let keys = try description.keys.reversed().compactMap { try $0.open(passphrase, of: id) }
        if keys.isEmpty { throw noSlot }
        return keys
    }

    /// The slots of all keys, in the order of the file.
    package var slots: [(key: Int, slot: SlotRecord)] {
        description.keys.flatMap { record in record.slots.map { (record.id, $0) } }
    }

    /// Locks `key`, which is one of the repository's, with one more passphrase.
    ///
    /// - Returns: The new slot's id.
    /// - Throws: `.wrongKey`, or what writing runs into; repository.json is as it was.
    @discardableResult
    package func addSlot(
        passphrase: [UInt8], key: SecretKey, cost: DerivationCost = .standard, holding lock: RepositoryLock
    ) throws -> Int {
        let keyID = try checkKey(key)
        var added = 0
        try update { description in
            guard let index = description.keys.firstIndex(where: { $0.id == keyID }) else { throw noKey(keyID) }
            added = try description.keys[index].addSlot(key, passphrase: passphrase, created: .now(), cost: cost)
        }
        return added
    }

    /// Removes a slot, so that its passphrase opens nothing here any more.
    ///
    /// - Throws: `.unknownKey` when there is no such slot, or what writing runs into; repository.json is as it was.
    package func removeSlot(_ slot: Int, ofKey key: Int, holding lock: RepositoryLock) throws {
        try update { description in
            guard let index = description.keys.firstIndex(where: { $0.id == key }) else { throw noKey(key) }
            let before = description.keys[index].slots.count
            description.keys[index].slots.removeAll { $0.id == slot }
            guard description.keys[index].slots.count < before else {
                throw StorageError(.unknownKey, "key \(key) has no slot \(slot)", at: path, remedy: "`watchctl key show` lists them")
            }
        }
    }

    /// Forgets a key and its slots. No archive must be left that only this key opens.
    ///
    /// - Throws: `.unknownKey` when there is no such key; `.wrongKey` for the last one, which stays.
    package func removeKey(_ key: Int, holding lock: RepositoryLock) throws {
        try update { description in
            guard description.keys.contains(where: { $0.id == key }) else { throw noKey(key) }
            guard description.keys.count > 1 else { throw StorageError(.wrongKey, "a repository has at least one key", at: path) }
            description.keys.removeAll { $0.id == key }
        }
    }

    /// Gives the repository to another machine or configuration: an explicit act of its owner.
    package func changeOwner(to owner: RepositoryOwner, holding lock: RepositoryLock) throws {
        try update { description in
            let unknown = description.owner.unknown
            description.owner = owner
            description.owner.unknown = unknown
        }
    }

    private func noKey(_ key: Int) -> StorageError {
        StorageError(.unknownKey, "the repository has no key \(key)", at: path, remedy: "`watchctl key show` lists them")
    }

    private var noSlot: StorageError {
        StorageError(
            .wrongKey, slots.isEmpty ? "the repository has no passphrase" : "no passphrase of the repository is this one",
            at: path, remedy: "use the key file, or another passphrase")
    }
}

extension KeyRecord {
    /// A record for `key`, without slots.
    init(id: Int, key: SecretKey, repository: ArchiveID, created: Timestamp) throws(EncryptionError) {
        self.id = id
        self.created = created
        check = try Fernet.seal(repository.bytes, key: key, timeSeconds: UInt64(clamping: created.seconds))
        slots = []
    }

    func isKey(_ key: SecretKey, of repository: ArchiveID) throws(EncryptionError) -> Bool {
        do throws(EncryptionError) {
            return try Fernet.open(check, key: key) == repository.bytes
        } catch {
            if error.code == .authentication || error.code == .malformed { return false }
            throw error
        }
    }

    /// The key, from the first slot that the passphrase opens; nil when it opens none. A slot that is damaged, not understood, or asks
    /// for more memory than is allowed is passed over: another one may do.
    func open(_ passphrase: [UInt8], of repository: ArchiveID) throws(EncryptionError) -> SecretKey? {
        for slot in slots.compactMap(\.slot) {
            do throws(EncryptionError) {
                let key = try slot.open(passphrase: passphrase)
                if try isKey(key, of: repository) { return key }
            } catch {
                switch error.code {
                case .wrongPassphrase, .malformed, .refused: continue
                default: throw error
                }
            }
        }
        return nil
    }

    mutating func addSlot(
        _ key: SecretKey, passphrase: [UInt8], created: Timestamp, cost: DerivationCost
    ) throws(EncryptionError) -> Int {
        let next = (slots.map(\.id).max() ?? 0) + 1
        var slot = try KeySlot.seal(key, passphrase: passphrase, created: created, cost: cost)
        slot.id = String(next)
        slots.append(SlotRecord(id: next, slot: slot))
        return next
    }
}
