// Why the catalog cannot answer, or did not take what it was given.
// Made from SQLite's result codes and from contradictions between what is recorded and what comes.
// Invariant: a failed recording leaves the catalog as it was; `needsRebuild` errors are mended by a rebuild, never by a person.

internal import GRDB
package import Kernel

package struct CatalogError: Error, Hashable, Sendable {
    package enum Code: String, Hashable, Sendable, CaseIterable {
        /// Not a database, a damaged one, or one that contradicts itself.
        case corrupt
        /// SQLite takes it for one that nobody may write. `Catalog` tells whether that is so (`io`) or its header is damaged (`corrupt`).
        case readOnly
        /// Of another repository.
        case otherRepository
        /// Its schema is of another version of this program.
        case otherVersion
        /// No such snapshot; it may have been merged away meanwhile.
        case unknownSnapshot
        /// A snapshot that is not newer than the newest one, or an incremental one that does not follow it.
        case outOfOrder
        /// Contents or records that contradict themselves, their archive or the catalog.
        case malformed
        /// An archive that cannot go, because a snapshot's manifest is in it.
        case inUse
        /// Another process holds the database.
        case busy
        /// No space left for the database.
        case full
        /// The state directory cannot be read or written.
        case io
        /// Everything else that SQLite reports.
        case database
    }

    package var code: Code
    /// Of the database file.
    package var path: Path
    /// What was wrong, in words; safe on a terminal.
    package var reason: String

    package init(_ code: Code, _ reason: String, path: Path = .root) {
        self.code = code
        self.path = path
        self.reason = reason
    }

    /// True when `Catalog.discard` and recording everything anew is the remedy.
    package var needsRebuild: Bool {
        switch code {
        case .corrupt, .otherRepository, .otherVersion: true
        default: false
        }
    }

    /// True when the catalog was asked and said no: it is as it was. After other errors of a recording it is that, or has recorded.
    package var isRefusal: Bool {
        switch code {
        case .unknownSnapshot, .outOfOrder, .malformed, .inUse: true
        default: false
        }
    }

    /// Source: sqlite.org, "Result and Error Codes"; the low byte is the primary code.
    init(resultCode: CInt, _ message: String, path: Path = .root) {
        let code: Code =
            switch resultCode & 0xFF {
            // SQLITE_CORRUPT, SQLITE_NOTADB; SQLITE_CONSTRAINT: rows that cannot be; SQLITE_ERROR: a table or column has another name.
            case 11, 26, 19, 1: .corrupt
            case 5, 6: .busy  // SQLITE_BUSY, SQLITE_LOCKED
            case 13: .full  // SQLITE_FULL
            case 8: .readOnly  // SQLITE_READONLY
            case 3, 10, 14, 23: .io  // SQLITE_PERM, _IOERR, _CANTOPEN, _AUTH
            default: .database
            }
        self.init(code, printable(message.utf8), path: path)
    }

    init(_ error: DatabaseError, path: Path) {
        self.init(resultCode: error.extendedResultCode.rawValue, error.message ?? "SQLite reports no reason", path: path)
    }

    static let ownRows = CatalogError(.corrupt, "a row of the catalog holds what was never written")
}

extension CatalogError: CustomStringConvertible {
    package var description: String {
        (path.isRoot ? "catalog: \(reason)" : "catalog \(path): \(reason)") + (code == .corrupt ? "; make it anew with: watchctl catalog rebuild" : "")
    }
}
