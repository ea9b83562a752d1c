// Why bytes of a repository are refused.
// Made by every decoder of this module; Storing fills in the archive's name.

internal import Kernel

package struct ArchiveError: Error, Hashable, Sendable {
    package enum Code: String, Hashable, Sendable {
        case unknownVersion, reservedNotZero, tooLarge, authentication, misplaced, malformed, hostilePath
        case digestMismatch, parentMissing, parentMismatch, truncated
        /// What was sealed did not open to the same bytes: bad memory, or a fault in a library. Nothing was written.
        case selfCheck
        /// The system gave no memory; the archive may be sound.
        case noMemory
    }

    package var code: Code
    /// The archive's file name; empty where it is not known.
    package var archive: String
    package var frame: UInt32?
    /// Within the archive, or within the decompressed payload when `frame` is there and the frame opened.
    package var offset: UInt64?
    /// What was wrong, in words; safe on a terminal.
    package var reason: String

    package init(_ code: Code, _ reason: String, archive: String = "", frame: UInt32? = nil, offset: UInt64? = nil) {
        self.code = code
        self.archive = archive
        self.frame = frame
        self.offset = offset
        self.reason = reason
    }
}

extension ArchiveError {
    /// The same error, with what a caller knows of the place; what is known already stays.
    package func placed(archive: String, frame: UInt32? = nil) -> ArchiveError {
        var error = self
        if error.archive.isEmpty { error.archive = archive }
        if error.frame == nil { error.frame = frame }
        return error
    }
}

extension ArchiveError: CustomStringConvertible {
    /// `archive 000000007-….enc, frame 3, offset 17: the token fails authentication`
    package var description: String {
        var place: [String] = []
        if !archive.isEmpty { place.append("archive \(printable(archive.utf8))") }
        if let frame { place.append("frame \(frame)") }
        if let offset { place.append("offset \(offset)") }
        return (place.isEmpty ? "" : place.joined(separator: ", ") + ": ") + reason
    }
}
