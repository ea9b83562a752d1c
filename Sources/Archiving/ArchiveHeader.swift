// The first and the last bytes of an archive. Source: RepositoryFormat, "Archive".

/// The 32 bytes before the first frame.
package struct ArchiveHeader: Hashable, Sendable {
    package static let size = 32
    package static let version: UInt16 = 1
    /// "ABARCH", 1A, 0A
    static let magic: [UInt8] = [0x41, 0x42, 0x41, 0x52, 0x43, 0x48, 0x1A, 0x0A]

    package var id: ArchiveID

    package init(id: ArchiveID) {
        self.id = id
    }

    package func encode() -> [UInt8] {
        var bytes = ArchiveHeader.magic
        bytes.append(integer: ArchiveHeader.version)
        // Flags (2) and reserved (4).
        bytes += [UInt8](repeating: 0, count: 2 + 4)
        return bytes + id.bytes
    }

    /// - Parameter bytes: The first 32 bytes of the archive, or more.
    /// - Throws: `truncated`, `malformed` (not an archive), `unknownVersion`, `reservedNotZero`.
    package init(decoding bytes: [UInt8]) throws(ArchiveError) {
        var reader = ByteReader(bytes)
        guard try reader.array(8) == ArchiveHeader.magic else {
            throw ArchiveError(.malformed, "it does not begin as an archive", offset: 0)
        }
        let version: UInt16 = try reader.integer()
        guard version == ArchiveHeader.version else {
            throw ArchiveError(.unknownVersion, "the archive has version \(version), and this program knows 1", offset: 8)
        }
        let flags: UInt16 = try reader.integer()
        let reserved: UInt32 = try reader.integer()
        guard flags == 0, reserved == 0 else {
            throw ArchiveError(.reservedNotZero, "the header uses what this program does not know", offset: 10)
        }
        guard let id = ArchiveID(bytes: try reader.array(ArchiveID.count)) else { throw reader.truncated() }
        self.id = id
    }
}

/// The 24 bytes behind the last frame.
package struct ArchiveTrailer: Hashable, Sendable {
    package static let size = 24
    /// 0A, "ABTAIL", 1A
    static let magic: [UInt8] = [0x0A, 0x41, 0x42, 0x54, 0x41, 0x49, 0x4C, 0x1A]

    /// Where the last frame's length field stands.
    package var offset: UInt64
    /// The last frame's token length.
    package var tokenCount: UInt32

    package init(offset: UInt64, tokenCount: UInt32) {
        self.offset = offset
        self.tokenCount = tokenCount
    }

    package func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: offset)
        bytes.append(integer: tokenCount)
        bytes.append(integer: UInt32(0))
        return bytes + ArchiveTrailer.magic
    }

    /// - Parameters:
    ///   - bytes: The last 24 bytes of the archive.
    ///   - size: Of the whole archive; the last frame must end where the trailer begins.
    /// - Throws: `truncated`, `malformed`, `reservedNotZero`, `tooLarge`.
    package init(decoding bytes: [UInt8], archiveSize size: UInt64) throws(ArchiveError) {
        let least = UInt64(ArchiveHeader.size + FrameLimit.lengthField + ArchiveTrailer.size)
        guard size >= least, size <= UInt64(Int64.max) else {
            throw ArchiveError(.truncated, "\(size) bytes are no archive")
        }
        let start = size - UInt64(ArchiveTrailer.size)
        var reader = ByteReader(bytes)
        offset = try reader.integer()
        tokenCount = try reader.integer()
        let reserved: UInt32 = try reader.integer()
        guard try reader.array(8) == ArchiveTrailer.magic, reader.isAtEnd else {
            throw ArchiveError(.truncated, "it does not end as an archive: it was cut off or overwritten", offset: start)
        }
        guard reserved == 0 else { throw ArchiveError(.reservedNotZero, "the trailer uses what this program does not know", offset: start) }
        guard tokenCount <= UInt32(FrameLimit.token) else {
            throw ArchiveError(.tooLarge, "the last frame is above the limit", offset: start)
        }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(FrameLimit.lengthField) + UInt64(tokenCount))
        guard !overflow, offset >= UInt64(ArchiveHeader.size), end == start else {
            throw ArchiveError(.malformed, "the trailer does not stand behind the frame that it names", offset: start)
        }
    }
}
