// Why a snapshot could not be exported or a single-file archive not be imported, or why a restore ended early.
// Wrong keys and changed tokens are `EncryptionError`s; what the catalog says is a `CatalogError`.

package import Kernel

package struct ExchangeError: Error, Hashable, Sendable {
    package enum Code: String, Hashable, Sendable {
        /// Something stands where the file would be written; it stays.
        case fileExists
        /// The file cannot be read or written; `errno` says how.
        case file
        /// The snapshot has nothing at a path that was asked for.
        case notInSnapshot
        /// The file is an encrypted one, or is to be one, and there is no key.
        case keyMissing
        /// The file is of no format that is read here.
        case unknownFormat
        /// The archive ends too early.
        case truncated
        /// The archive contradicts itself or its checksums.
        case damaged
        /// It was asked to end.
        case cancelled
    }

    package var code: Code
    /// What failed, why, and what to do; without the path.
    package var reason: String
    /// Nil for what has none, as standard output.
    package var path: Path?
    package var errno: Errno?

    package init(_ code: Code, _ reason: String, path: Path?, errno: Errno? = nil) {
        self.code = code
        self.reason = reason
        self.path = path
        self.errno = errno
    }
}

extension ExchangeError: CustomStringConvertible {
    package var description: String {
        (path.map { "\($0): " } ?? "") + reason + (errno.map { ": \($0)" } ?? "")
    }
}
