// The formats of a snapshot in one file, which standard programs open.
// In: the first bytes of a file.  Out: its format.
// Source: the .xz File Format, "Header Magic Bytes"; the Fernet specification, "Token Format".

internal import Archiving

package enum ExportFormat: String, Sendable, CaseIterable {
    /// A Fernet token, as base64url text, of a `.tar.xz`: `Fernet(key).decrypt(text)` and `tar -xJ` open it.
    case fernet
    case tarXZ = "tar.xz"
    /// POSIX pax.
    case tar

    /// Bytes that `init(beginning:)` wants to see, when the file has as many.
    package static let beginningCount = 512

    /// The format of a file that begins so; nil for none of these.
    package init?(beginning bytes: [UInt8]) {
        if bytes.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]) {
            self = .tarXZ
        } else if bytes.starts(with: "gAAAA".utf8) {
            // The version, 0x80, and a time before the year 2106.
            self = .fernet
        } else if bytes.count >= ExportFormat.beginningCount, bytes.withUnsafeBytes(ExportFormat.isTar) {
            self = .tar
        } else {
            return nil
        }
    }

    /// A header's checksum tells; of a tar file without entries, its zeros.
    private static func isTar(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var reader = TarReader()
        var position = 0
        do throws(ArchiveError) {
            _ = try reader.next(in: bytes, at: &position)
            return true
        } catch {
            return false
        }
    }
}
