// A new secret key takes the place of the present one; the archives under older keys are rewritten afterwards.
// In: the passphrases to keep.  Out: a new key file and repository.json; how far archives may be under an older key.
// Invariant: at every moment the key file, or `<key file>.new` beside it, holds the key that the repository calls its newest.
// A crash before repository.json is replaced leaves the old key and a file that nobody needs; one after it is mended by `KeyRing`.

package import Controlling
internal import Encrypting
internal import Kernel
internal import Storing

extension Session {
    /// Makes a new key, which seals from now on.
    ///
    /// - Parameter passphrases: Of the new key's slots. All slots of the present key go.
    /// - Returns: What a person must know: where the key is, and how many slots were dropped.
    /// - Throws: `StorageError`, `EncryptionError`; the present key stays the newest then, unless repository.json was replaced and only what
    ///   comes after failed, as its flush to the disk: that is found when the repository is opened again, and this session seals with the
    ///   old key until then.
    package func beginKeyRotation(passphrases: [[UInt8]]) throws -> MessageResponse {
        try withWriterLock { lock in
            let through = try nextArchiveNumber() - 1
            let waiting = KeyFile.waitingPlace(for: keyFile)
            try removeLeftover(waiting)
            let new = try SecretKey.generate()
            try KeyFile.write(new, to: waiting)
            let rotation: KeyRotation
            do {
                rotation = try repository.beginKeyRotation(from: key, to: new, passphrases: passphrases, holding: lock)
            } catch {
                // Only what is certain: a repository that cannot be read now may have the new key.
                if (try? repository.reload()) != nil, (try? repository.checkNewest(key)) != nil { try? waiting.removeFile() }
                throw error
            }
            replaceKeys(try KeyRing(of: repository, file: keyFile))
            remember { record in
                record.rekeyThrough = through
                record.rekeyKey = rotation.key
                // What was printed does not open what is sealed from now on.
                record.keyExported = false
            }
            return MessageResponse(message: answer(to: rotation))
        }
    }

    /// Forgets the older keys. Does nothing when there are none to forget.
    ///
    /// - Throws: `AgentError.failed` while an archive is left that may be under one of them; `StorageError`: what is not forgotten yet is
    ///   forgotten by the next call.
    package func finishKeyRotation() throws {
        try withWriterLock { lock in
            guard let through = record.rekeyThrough else { return }
            if let left = try storage.list().first(where: { $0.name.number <= through }) {
                throw AgentError.failed("\(left.name.text) may be sealed with an older key, which is still needed")
            }
            // After a power cut those would be there again that were removed last, and nothing would open them.
            try storage.makeRemovalsDurable()
            let newest = try repository.checkNewest(key)
            for older in repository.description.keys.map(\.id) where older != newest { try repository.removeKey(older, holding: lock) }
            replaceKeys(KeyRing(keys: [key], isReadableByOthers: keyIsReadableByOthers))
            forgetRekeying()
        }
    }

    /// Makes what is remembered agree with repository.json: after a crash between the two, a lost memory, and a change of owner.
    func noteOlderKeys() throws {
        let keys = repository.description.keys
        if keys.count < 2 {
            if record.rekeyThrough != nil { forgetRekeying() }
        } else if record.rekeyThrough == nil || record.rekeyKey != keys.last?.id {
            // The memory is of no key, or of an earlier one: until now any key may have sealed.
            let through = try nextArchiveNumber() - 1
            remember { record in
                record.rekeyThrough = through
                record.rekeyKey = keys.last?.id
            }
        }
    }

    private func forgetRekeying() {
        remember { record in
            record.rekeyThrough = nil
            record.rekeyKey = nil
        }
    }

    /// Removes what an unfinished change of the key left beside the key file, unless it could be needed.
    ///
    /// - Throws: `EncryptionError` for a file that holds no key; `AgentError.failed` for a key that is nowhere else.
    private func removeLeftover(_ waiting: Path) throws {
        let leftover: SecretKey
        do {
            leftover = try KeyFile.read(at: waiting).key
        } catch {
            if error.code == .keyMissing { return }
            throw error
        }
        // The key file could not be renamed when this session was opened.
        if leftover == key { return try KeyFile.takeWaiting(key, to: keyFile) }
        if !keys.contains(leftover), try isKnown(leftover) {
            throw AgentError.failed("\(waiting) holds a key of this repository that may be nowhere else; move it to a safe place first")
        }
        try naming(waiting) { () throws(Errno) in try waiting.removeFile() }
    }

    private func isKnown(_ key: SecretKey) throws -> Bool {
        do {
            try repository.checkKey(key)
            return true
        } catch let error as StorageError where error.code == .wrongKey {
            return false
        }
    }

    private func answer(to rotation: KeyRotation) -> String {
        func slots(_ count: Int) -> String { count == 1 ? "1 passphrase slot" : "\(count) passphrase slots" }
        let made = rotation.newSlots == 0 ? "no passphrase opens the new key" : "\(slots(rotation.newSlots)) made for the new key"
        let waiting = KeyFile.waitingPlace(for: keyFile)
        return "the repository has a new key, in \(waiting.exists ? waiting : keyFile): keep a copy of it elsewhere (watchctl key export), for what was printed of the old key is of no use for it; \(slots(rotation.droppedSlots)) dropped, \(made); the archives under the old key are rewritten in the background"
    }
}
