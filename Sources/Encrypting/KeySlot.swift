// The secret key, locked with a passphrase, as it stands in repository.json.
// In: key and passphrase.  Out: a slot that is safe to show to anyone who cannot guess the passphrase.
// Its token is plain Fernet under the derived key, and its plaintext the key's 44 characters: other programs can open it.

package import Kernel

package struct KeySlot: Hashable, Sendable {
    /// 16 hexadecimal digits by which a person names the slot.
    package var id: String
    package var cost: DerivationCost
    /// 16 random bytes.
    package var salt: [UInt8]
    /// base64url.
    package var token: String
    /// ISO 8601 in UTC; for a person, not authenticated.
    package var created: String

    package static let saltCount = 16

    package init(id: String, cost: DerivationCost, salt: [UInt8], token: String, created: String) {
        self.id = id
        self.cost = cost
        self.salt = salt
        self.token = token
        self.created = created
    }

    /// Locks `key`.
    ///
    /// - Parameter passphrase: 1 or more bytes, without a line end.
    /// - Throws: `.refused` for an empty passphrase or a cost over the limit; `.cryptography`.
    /// - Complexity: That of `cost`.
    package static func seal(
        _ key: SecretKey, passphrase: [UInt8], created: Timestamp, cost: DerivationCost = .standard
    ) throws(EncryptionError) -> KeySlot {
        if passphrase.isEmpty { throw EncryptionError(.refused, "the passphrase is empty") }
        let salt = try RandomBytes.make(saltCount)
        let lock = try cost.deriveKey(passphrase: passphrase, salt: salt)
        var text = key.textBytes
        defer { text.wipe() }
        let token = try Fernet.seal(text, key: lock, timeSeconds: UInt64(clamping: created.seconds))
        return KeySlot(
            id: Hex.encode(try RandomBytes.make(8)), cost: cost, salt: salt, token: token, created: created.iso8601)
    }

    /// The key in the slot.
    ///
    /// - Throws: `.wrongPassphrase`; `.refused` for a cost over the limit, before any memory is taken; `.malformed` for a slot
    ///   that is damaged in a way that a wrong passphrase cannot explain.
    /// - Complexity: That of `cost`.
    package func open(passphrase: [UInt8]) throws(EncryptionError) -> SecretKey {
        let lock = try cost.deriveKey(passphrase: passphrase, salt: salt)
        var text: [UInt8]
        do throws(EncryptionError) {
            text = try Fernet.open(token, key: lock)
        } catch {
            switch error.code {
            case .authentication: throw EncryptionError(.wrongPassphrase, "the passphrase does not open key slot \(printable(id.utf8))")
            case .malformed: throw damaged
            default: throw error
            }
        }
        defer { text.wipe() }
        guard let key = SecretKey(text: text) else { throw damaged }
        return key
    }

    private var damaged: EncryptionError {
        EncryptionError(.malformed, "key slot \(printable(id.utf8)) is damaged")
    }
}
