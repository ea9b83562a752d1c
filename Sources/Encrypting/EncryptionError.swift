// Why a token, a key or a passphrase was refused.
// Damaged and hostile input ends here, never in a trap. What a caller may do depends on the code alone.

internal import COpenSSL
package import Kernel

package struct EncryptionError: Error, Hashable, Sendable {
    package enum Code: Sendable {
        /// Not made with this key, or changed since.
        case authentication
        /// Not of the form that it must have.
        case malformed
        /// Of the right form, and copied with a mistake.
        case mistyped
        /// A token older than allowed, or from the future.
        case expired
        /// A key that is well formed and not the right one.
        case wrongKey
        /// The passphrase does not open this slot.
        case wrongPassphrase
        /// There is no key file.
        case keyMissing
        /// The key file can be written by others, or belongs to someone else.
        case keyUnsafe
        /// Another file stands where a key would be written.
        case keyExists
        /// Parameters that cost more than is allowed.
        case refused
        /// The file system failed; `errno` says how.
        case file
        /// OpenSSL failed: no memory, or no such algorithm.
        case cryptography
        /// Used again after an error or after its end: a mistake of this program.
        case misuse
    }

    package let code: Code
    /// What failed, why, and what to do, without the path and a full stop.
    package let reason: String
    package let path: Path?
    package let errno: Errno?

    package init(_ code: Code, _ reason: String, path: Path? = nil, errno: Errno? = nil) {
        self.code = code
        self.reason = reason
        self.path = path
        self.errno = errno
    }
}

extension EncryptionError: CustomStringConvertible {
    package var description: String {
        var text = reason
        if let path { text = "\(path): \(text)" }
        if let errno { text += ": \(errno)" }
        return text
    }
}

extension EncryptionError {
    /// What OpenSSL says of its last failure on this thread, whose list of errors it empties.
    static func openSSL(_ action: String) -> EncryptionError {
        let code = ERR_get_error()
        ERR_clear_error()
        let cause = ERR_reason_error_string(code).map { String(cString: $0) } ?? "unknown cause"
        return EncryptionError(.cryptography, "\(action) failed: \(cause)")
    }
}
