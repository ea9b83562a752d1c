// A new key takes the place of the others, while archives under these are still there.
// In: the newest key and a new one.  Out: a new repository.json; all keys, for who has the newest.
// Invariant: every older key whose wrapped copy opens stands there under the newest one, so that one key file reads everything.
// A crash leaves the old description or the new one, never a part. Source: RepositoryFormat, "Keys".

internal import Archiving
package import Encrypting
internal import Kernel

/// What became of the passphrases when a new key took the place of the others.
package struct KeyRotation: Hashable, Sendable {
    /// The new key's id.
    package var key: Int
    /// Slots of older keys that are gone: a slot without its passphrase cannot hold the new key.
    package var droppedSlots: Int
    package var newSlots: Int
}

extension Repository {
    /// Reads repository.json again: another process may have replaced it.
    ///
    /// - Throws: As `open`; `.malformed` when another repository stands there now. What was read before stays then.
    package func reload() throws(StorageError) {
        let description = try Repository.readDescription(at: path)
        guard description.id == id else {
            throw StorageError(.malformed, "another repository took this one's place", at: path)
        }
        current.withLock { $0 = description }
    }

    /// Is this the key that new archives are sealed with?
    ///
    /// - Returns: The key's id.
    /// - Throws: `.wrongKey`, which says whether it is an older key or a stranger's; `EncryptionError` `.cryptography`.
    @discardableResult
    package func checkNewest(_ key: SecretKey) throws -> Int {
        try checkKey(key)
        guard let newest = description.keys.last, try newest.isKey(key, of: id) else { throw olderKey }
        return newest.id
    }

    /// Every key that the newest one opens, itself first, then the older ones from the newest to the oldest. One whose wrapped copy is
    /// missing or damaged is left out: that costs what only it opens.
    ///
    /// - Throws: As `checkNewest`.
    package func allKeys(openedBy key: SecretKey) throws -> [SecretKey] {
        try checkNewest(key)
        return [key] + (try description.keys.dropLast().reversed().compactMap { try $0.unwrap(with: key, of: id) })
    }

    /// Makes `new` the newest key, in one step: it gets the slots, every older key is wrapped under it, and loses its own slots.
    ///
    /// An older key whose wrapped copy does not open keeps its record and its slots as they are: nothing that can still be had is given up.
    /// - Parameters:
    ///   - old: The newest key until now.
    ///   - passphrases: Of the new key's slots; may be empty.
    ///   - cost: Of one guess at a passphrase.
    /// - Throws: `.wrongKey` when `old` is not the newest; `EncryptionError` `.refused` for an empty passphrase; what writing runs into.
    ///   repository.json is as it was, unless only its flush to the disk failed.
    /// - Complexity: One derivation for each passphrase.
    package func beginKeyRotation(
        from old: SecretKey, to new: SecretKey, passphrases: [[UInt8]], cost: DerivationCost = .standard, holding lock: RepositoryLock
    ) throws -> KeyRotation {
        try reload()
        let older = try checkNewest(old)
        var rotation = KeyRotation(key: older + 1, droppedSlots: 0, newSlots: 0)
        let now = Timestamp.now()
        var record = try KeyRecord(id: rotation.key, key: new, repository: id, created: now)
        for passphrase in passphrases {
            _ = try record.addSlot(new, passphrase: passphrase, created: now, cost: cost)
        }
        rotation.newSlots = record.slots.count
        try update { description in
            for index in description.keys.indices {
                let isNewest = index == description.keys.indices.last
                guard let key = try isNewest ? old : description.keys[index].unwrap(with: old, of: id) else { continue }
                try description.keys[index].wrap(key, under: new, at: now)
                rotation.droppedSlots += description.keys[index].slots.count
                description.keys[index].slots = []
            }
            description.keys.append(record)
        }
        return rotation
    }

    /// Wraps those of the keys that have no wrapped copy yet, so that the newest one alone opens them from now on.
    ///
    /// - Parameter keys: Keys of the repository, the newest first.
    /// - Throws: What writing runs into; repository.json is as it was.
    package func wrapOlderKeys(_ keys: [SecretKey], holding lock: RepositoryLock) throws {
        guard let newest = keys.first else { return }
        let opened = try allKeys(openedBy: newest)
        let closed = keys.filter { !opened.contains($0) }
        if closed.isEmpty { return }
        try update { description in
            for index in description.keys.indices.dropLast() {
                for key in closed where try description.keys[index].isKey(key, of: id) {
                    try description.keys[index].wrap(key, under: newest, at: .now())
                }
            }
        }
    }

    private var olderKey: StorageError {
        StorageError(
            .wrongKey, "the key file holds an older key of this repository", at: path,
            remedy: "import the newer one (`watchctl key import`)")
    }
}

extension KeyRecord {
    /// The key, from its copy under the newest one; nil when there is none, or when it is damaged.
    func unwrap(with newest: SecretKey, of repository: ArchiveID) throws(EncryptionError) -> SecretKey? {
        guard let wrapped else { return nil }
        do throws(EncryptionError) {
            let key = try WrappedKey.open(wrapped, with: newest)
            return try isKey(key, of: repository) ? key : nil
        } catch {
            if error.code == .authentication || error.code == .malformed { return nil }
            throw error
        }
    }

    fileprivate mutating func wrap(_ key: SecretKey, under newest: SecretKey, at time: Timestamp) throws(EncryptionError) {
        wrapped = try WrappedKey.seal(key, under: newest, timeSeconds: UInt64(clamping: time.seconds))
    }
}
