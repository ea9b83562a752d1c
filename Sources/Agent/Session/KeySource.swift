// Where the key of an existing repository comes from: what a person has kept of it.

internal import Encrypting
package import Kernel
internal import Storing

package enum KeySource: Sendable {
    /// A file with either form of the key.
    case file(Path)
    case passphrase([UInt8])
    /// The printed form, or the 44 characters.
    case text(String)
}

extension KeySource {
    /// One key, or more when a passphrase opens older ones too; newest first.
    ///
    /// - Throws: `AgentError.failed` for a file that cannot be read; `EncryptionError` for a typing error (.malformed, .mistyped) or a
    ///   passphrase that opens nothing (.wrongPassphrase).
    func keys(of repository: Repository) throws -> [SecretKey] {
        switch self {
        case .file(let path):
            // A copy on a stick or in the downloads may well be readable by others: it is a copy.
            let bytes: [UInt8]
            do throws(Errno) {
                bytes = try path.readFile(limit: 64 << 10)
            } catch {
                throw AgentError.failed("the key file \(path) cannot be read: \(error)")
            }
            return [try KeyText.parse(String(decoding: bytes, as: UTF8.self))]
        case .text(let text): return [try KeyText.parse(text)]
        case .passphrase(let passphrase): return try repository.unlockAll(passphrase: passphrase)
        }
    }
}
