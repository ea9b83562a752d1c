// The first 32 bytes of a frame's plaintext, which tie it to its place. Source: RepositoryFormat, "Frame".

package import Compressing

package enum FrameLimit {
    /// Bytes of the length field before a token.
    package static let lengthField = 4
    /// Bytes of a token.
    package static let token = (64 << 20) + 4096

    /// The length of the token behind a length field.
    ///
    /// - Parameter bytes: The 4 bytes of the field.
    /// - Throws: `truncated`, `tooLarge`.
    package static func tokenCount(decoding bytes: [UInt8]) throws(ArchiveError) -> UInt32 {
        var reader = ByteReader(bytes)
        let count: UInt32 = try reader.integer()
        guard count <= UInt32(token) else { throw ArchiveError(.tooLarge, "a token of \(count) bytes is above the limit") }
        return count
    }
}

/// A payload that is authenticated but still compressed: what a frame that moves takes along.
package struct CompressedFrame: Hashable, Sendable {
    package var codec: Codec
    /// Bytes of the decompressed payload.
    package var count: Int
    package var bytes: [UInt8]

    package init(codec: Codec, count: Int, bytes: [UInt8]) {
        self.codec = codec
        self.count = count
        self.bytes = bytes
    }
}

struct FrameHeader: Equatable {
    static let size = 32
    static let lastFlag: UInt8 = 1

    var place: FramePlace
    var codec: Codec
    /// Bytes of the decompressed payload: 0...67,108,864.
    var count: UInt32

    func encode() -> [UInt8] {
        var bytes = place.archive.bytes
        bytes.append(integer: place.number)
        bytes.append(place.kind.rawValue)
        bytes.append(codec.rawValue)
        bytes.append(place.isLast ? FrameHeader.lastFlag : 0)
        bytes.append(0)
        bytes.append(integer: count)
        bytes.append(integer: UInt32(0))
        return bytes
    }

    /// - Parameters:
    ///   - bytes: The first 32 bytes of an authenticated plaintext.
    ///   - place: Where the frame was found.
    /// - Throws: `truncated`, `misplaced`, `reservedNotZero`, `malformed`, `tooLarge`.
    init(decoding bytes: [UInt8], at place: FramePlace) throws(ArchiveError) {
        var reader = ByteReader(bytes)
        guard reader.remaining >= FrameHeader.size, let archive = ArchiveID(bytes: try reader.array(ArchiveID.count)) else {
            throw ArchiveError(.truncated, "the frame is shorter than its header", frame: place.number)
        }
        let number: UInt32 = try reader.integer()
        let kind = try reader.byte()
        let codec = try reader.byte()
        let flags = try reader.byte()
        let reserved = try reader.byte()
        let count: UInt32 = try reader.integer()
        let moreReserved: UInt32 = try reader.integer()
        guard flags & ~FrameHeader.lastFlag == 0, reserved == 0, moreReserved == 0 else {
            throw ArchiveError(.reservedNotZero, "the frame uses what this program does not know", frame: place.number)
        }
        guard archive == place.archive else {
            throw ArchiveError(.misplaced, "the frame belongs to archive id \(archive)", frame: place.number)
        }
        guard number == place.number, kind == place.kind.rawValue, (flags != 0) == place.isLast else {
            throw ArchiveError(
                .misplaced, "a frame of number \(number), kind \(kind)\(flags != 0 ? ", the last one," : "") stands here",
                frame: place.number)
        }
        guard let codec = Codec(rawValue: codec) else {
            throw ArchiveError(.malformed, "codec \(codec) is not known", frame: place.number)
        }
        guard count <= UInt32(PayloadLimit.payload) else {
            throw ArchiveError(.tooLarge, "a payload of \(count) bytes is above 64 MiB", frame: place.number)
        }
        self.place = place
        self.codec = codec
        self.count = count
    }

    init(place: FramePlace, codec: Codec, count: UInt32) {
        self.place = place
        self.codec = codec
        self.count = count
    }
}

extension FramePlace {
    /// The place that a frame says it was sealed for.
    ///
    /// - Parameter bytes: The first 32 bytes of an authenticated plaintext; `FrameHeader` checks what else is in them.
    /// - Throws: `truncated`, `malformed`.
    init(sealedIn bytes: [UInt8]) throws(ArchiveError) {
        var reader = ByteReader(bytes)
        guard reader.remaining >= FrameHeader.size, let archive = ArchiveID(bytes: try reader.array(ArchiveID.count)) else {
            throw ArchiveError(.truncated, "the frame is shorter than its header")
        }
        let number: UInt32 = try reader.integer()
        guard let kind = FrameKind(rawValue: try reader.byte()) else {
            throw ArchiveError(.malformed, "the kind of the frame is not known", frame: number)
        }
        // The codec.
        try reader.skip(1)
        self.init(archive: archive, number: number, kind: kind, isLast: try reader.byte() & FrameHeader.lastFlag != 0)
    }
}
