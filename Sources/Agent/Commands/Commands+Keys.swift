// The key and its locked copies in the repository.

package import Controlling
internal import Encrypting
internal import Kernel
internal import Storing

/// One passphrase slot.
package struct KeySlotListing: Codable, Hashable, Sendable {
    package var key: Int
    package var slot: Int
    package var created: String
}

extension Commands {
    private var keyFile: Path { installation.configuration.keyFile ?? installation.places.keyFile }

    /// The secret key as in its file.
    package func keyText() throws -> String { try KeyFile.read(at: keyFile).key.text }

    /// The printable form with its checksum; that it was asked for is remembered.
    package func keyExport() throws -> String {
        let session = try openForReading()
        session.remember { $0.keyExported = true }
        // The status is right without it too, a while later.
        _ = try? ask { try $0.post("/v1/keys", KeyRequest(action: .exported), MessageResponse.self) }
        return KeyText.export(session.key)
    }

    /// Puts the newest key of the repository into its file; an older one that stands there gives way.
    ///
    /// - Throws: `EncryptionError` for a typing error, a passphrase that opens nothing, or when a strange key stands there; `StorageError`
    ///   .wrongKey, also for an older key. What stands there is untouched then.
    package func keyImport(_ source: KeySource) throws {
        let repository = try Repository.open(at: installation.configuration.repository)
        let key = try source.keys(of: repository)[0]
        try repository.checkNewest(key)
        try KeyRing.place(key, at: keyFile, of: repository)
    }

    package func keySlots() throws -> [KeySlotListing] {
        try Repository.open(at: installation.configuration.repository).slots.map {
            KeySlotListing(key: $0.key, slot: $0.slot.id, created: $0.slot.created)
        }
    }

    /// Adds, removes or changes a passphrase, or makes a new key.
    ///
    /// - Throws: `EncryptionError.wrongPassphrase`, `AgentError.failed` when there is no such slot; `repository.json` is as before. As
    ///   `Session.beginKeyRotation` for a new key.
    package func changeKeys(_ request: KeyRequest) throws -> MessageResponse {
        if let response = try ask({ try $0.post("/v1/keys", request, MessageResponse.self) }) { return response }
        return try openForWriting().changeKeys(request)
    }
}

extension Session {
    func changeKeys(_ request: KeyRequest) throws -> MessageResponse {
        try withWriterLock { lock in
            switch request.action {
            case .exported:
                remember { $0.keyExported = true }
                return MessageResponse(message: "")
            case .add:
                let newest = try repository.checkNewest(key)
                // With two of them, removing one would not take the passphrase away.
                if let same = repository.slots.first(where: { $0.key == newest && (try? $0.slot.slot?.open(passphrase: request.passphrase)) != nil }) {
                    throw AgentError.failed("this passphrase opens the repository already (slot \(same.slot.id))")
                }
                let slot = try repository.addSlot(passphrase: request.passphrase, key: key, holding: lock)
                return MessageResponse(message: "the passphrase opens the repository from now on (slot \(slot))")
            case .remove:
                guard let found = repository.slots.last(where: { $0.slot.id == request.slot }) else {
                    throw AgentError.failed("there is no slot \(request.slot); see: watchctl key list")
                }
                try repository.removeSlot(request.slot, ofKey: found.key, holding: lock)
                return MessageResponse(message: "slot \(request.slot) is removed; its passphrase still opens old copies of repository.json")
            case .rotate: return try beginKeyRotation(passphrases: request.passphrases)
            case .change:
                let newest = try repository.checkNewest(key)
                let opened = repository.slots.filter { $0.key == newest && (try? $0.slot.slot?.open(passphrase: request.oldPassphrase)) != nil }
                if opened.isEmpty { throw EncryptionError(.wrongPassphrase, "the old passphrase opens no slot") }
                let slot = try repository.addSlot(passphrase: request.passphrase, key: key, holding: lock)
                for old in opened { try repository.removeSlot(old.slot.id, ofKey: newest, holding: lock) }
                return MessageResponse(message: "the passphrase is changed (slot \(slot)); the old one still opens old copies of repository.json")
            }
        }
    }
}
