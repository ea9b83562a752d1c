// One archive being read: its contents at once, its frames on demand.
// In: a file of the repository, which may be damaged or hostile.  Out: authenticated contents and payloads.
// Invariant: nothing is believed before its token is authenticated; damage to one frame costs that frame alone.
// Source: RepositoryFormat, "Archive" and "Limits".

package import Archiving
package import Encrypting
internal import Kernel

package final class ArchiveReader: Sendable {
    package let name: ArchiveName
    /// The archive's random id.
    package let id: ArchiveID
    package let contents: ArchiveContents
    private let source: any ArchiveSource
    /// Bytes of the file.
    package var size: UInt64 { source.size }
    /// Where the length field of each frame stands.
    private let offsets: [UInt64]

    /// Most archives end in contents that fit here, so that the end is read at once.
    private static let tailCount = 64 << 10

    /// Reads header, trailer and contents.
    ///
    /// - Parameters:
    ///   - keys: All that may have sealed it; each is tried.
    ///   - repository: Compared with the contents; nil to take any.
    /// - Throws: `ArchiveError`, with the archive's name, when the bytes are refused; `StorageError` when they cannot be read;
    ///   EncryptionError and CompressionError when there is no memory.
    /// - Complexity: Two reads for most archives, three for one with large contents.
    package init(
        _ source: any ArchiveSource, name: ArchiveName, keys: [SecretKey], repository: RepositoryID?
    ) throws {
        self.source = source
        self.name = name
        do {
            let header = try ArchiveHeader(decoding: source.read(at: 0, count: ArchiveHeader.size))
            id = header.id
            let tail = try ArchiveReader.tail(of: source)
            let token = try ArchiveReader.contentsToken(source, tail)
            contents = try ArchiveReader.placing(at: tail.trailer.offset) {
                let number = try ArchiveReader.contentsNumber(token, keys)
                let place = FramePlace(archive: header.id, number: number, kind: .contents, isLast: true)
                var payload: [UInt8] = []
                try token.withUnsafeBytes { try FrameOpener(keys: keys).open($0, at: place, into: &payload) }
                let contents = try ArchiveContents(decoding: payload)
                guard number == UInt32(clamping: contents.frames.count) else {
                    throw ArchiveError(.misplaced, "the contents frame has number \(number) behind \(contents.frames.count) frames")
                }
                return contents
            }
            offsets = try ArchiveReader.offsets(contents.frames, end: tail.trailer.offset)
            try ArchiveReader.compare(contents, name, repository)
        } catch let error as ArchiveError {
            throw error.named(name)
        }
    }

    /// The payload of a frame, authenticated and decompressed, in place of what `payload` held.
    ///
    /// - Parameter number: 0..<contents.frames.count.
    /// - Throws: As `init`; the error names the frame and its offset. `payload` is then of no use.
    package func frame(_ number: Int, into payload: inout [UInt8], opener: FrameOpener) throws {
        try withToken(number) { token, place in try opener.open(token, at: place, into: &payload) }
    }

    /// A frame that moves to another archive: authenticated, not decompressed.
    package func compressedFrame(_ number: Int, opener: FrameOpener) throws -> CompressedFrame {
        try withToken(number) { token, place in try opener.openCompressed(token, at: place) }
    }

    /// Compares the file's SHA-256 with the name. See `ArchiveName.verifyDigest`.
    package func verifyDigest() throws {
        try name.verifyDigest(of: source)
    }

    private func withToken<Result>(
        _ number: Int, _ body: (UnsafeRawBufferPointer, FramePlace) throws -> Result
    ) throws -> Result {
        precondition(contents.frames.indices.contains(number), "the archive has no such frame")
        let frame = contents.frames[number]
        let offset = offsets[number]
        do {
            let bytes = try source.read(at: offset, count: FrameLimit.lengthField + Int(frame.tokenCount))
            return try bytes.withUnsafeBytes { bytes in
                let token = try ArchiveReader.token(in: bytes, expected: frame.tokenCount)
                let place = FramePlace(archive: id, number: UInt32(number), kind: frame.kind, isLast: false)
                return try body(token, place)
            }
        } catch let error as ArchiveError {
            throw error.named(name, frame: UInt32(number), offset: offset)
        }
    }
}

// MARK: Checks

extension ArchiveReader {
    private struct Tail {
        var bytes: [UInt8]
        /// Where `bytes` begins in the file.
        var start: UInt64
        var trailer: ArchiveTrailer
    }

    private static func tail(of source: any ArchiveSource) throws -> Tail {
        let start = source.size - min(source.size, UInt64(tailCount))
        let bytes = try source.read(at: start, count: Int(source.size - start))
        guard UInt64(bytes.count) == source.size - start else {
            throw ArchiveError(.truncated, "the file became shorter while it was read", offset: start + UInt64(bytes.count))
        }
        let trailer = try ArchiveTrailer(decoding: Array(bytes.suffix(ArchiveTrailer.size)), archiveSize: source.size)
        return Tail(bytes: bytes, start: start, trailer: trailer)
    }

    /// The token of the contents frame, from what was read already or from the file.
    private static func contentsToken(_ source: any ArchiveSource, _ tail: Tail) throws -> [UInt8] {
        let count = FrameLimit.lengthField + Int(tail.trailer.tokenCount)
        let frame: [UInt8]
        if tail.trailer.offset >= tail.start {
            let first = Int(tail.trailer.offset - tail.start)
            frame = Array(tail.bytes[first..<first + count])
        } else {
            frame = try source.read(at: tail.trailer.offset, count: count)
        }
        return try placing(at: tail.trailer.offset) {
            try frame.withUnsafeBytes { Array(try token(in: $0, expected: tail.trailer.tokenCount)) }
        }
    }

    /// The number that the contents frame bears: an opener is told where a frame stands, and of this one nobody knows it before.
    /// Source: RepositoryFormat, "Frame".
    private static func contentsNumber(_ token: [UInt8], _ keys: [SecretKey]) throws -> UInt32 {
        var plaintext: [UInt8] = []
        for key in keys {
            do {
                let cipher = try FernetCipher(key: key)
                _ = try token.withUnsafeBytes { try cipher.open($0, into: &plaintext) }
            } catch let error as EncryptionError where error.code != .cryptography {
                continue
            }
            guard plaintext.count >= 20 else { break }
            return plaintext.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 16, as: UInt32.self)) }
        }
        throw ArchiveError(.authentication, "the contents fail authentication: they are damaged, or were made with another key")
    }

    /// Names the place in errors that lack one.
    private static func placing<Result>(at offset: UInt64, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as ArchiveError {
            throw error.named(nil, offset: offset)
        }
    }

    /// The token behind a length field that must agree with what another place says of it.
    private static func token(in frame: UnsafeRawBufferPointer, expected: UInt32) throws(ArchiveError) -> UnsafeRawBufferPointer {
        guard frame.count == FrameLimit.lengthField + Int(expected) else {
            throw ArchiveError(.truncated, "the file ends within the frame")
        }
        let length = UInt32(littleEndian: frame.loadUnaligned(as: UInt32.self))
        guard length == expected else {
            throw ArchiveError(.malformed, "the frame's length field says \(length), the contents say \(expected)")
        }
        return UnsafeRawBufferPointer(rebasing: frame[FrameLimit.lengthField...])
    }

    /// Where each frame stands; all of them together fill the space up to the contents frame at `end`.
    private static func offsets(_ frames: [FrameRecord], end: UInt64) throws(ArchiveError) -> [UInt64] {
        var offsets: [UInt64] = []
        offsets.reserveCapacity(frames.count)
        var offset = UInt64(ArchiveHeader.size)
        for frame in frames {
            offsets.append(offset)
            // Below 2^26 + 2^13 each, and their number fits the payload of the contents: no overflow.
            offset += UInt64(FrameLimit.lengthField) + UInt64(frame.tokenCount)
        }
        guard offset == end else {
            throw ArchiveError(.malformed, "the frames end at \(offset), and the contents frame begins at \(end)", offset: end)
        }
        return offsets
    }

    private static func compare(
        _ contents: ArchiveContents, _ name: ArchiveName, _ repository: RepositoryID?
    ) throws(ArchiveError) {
        guard contents.number == name.number, contents.kind == name.kind, contents.time == name.time else {
            throw ArchiveError(
                .misplaced, "it was written as archive \(contents.number), \(contents.kind.text), and has been renamed")
        }
        if let repository, contents.repository != repository {
            throw ArchiveError(.misplaced, "it belongs to another repository, \(contents.repository)")
        }
    }
}

extension ArchiveError {
    /// With the places filled in that the thrower did not know.
    fileprivate func named(_ name: ArchiveName?, frame: UInt32? = nil, offset: UInt64? = nil) -> ArchiveError {
        var error = self
        if let name, error.archive.isEmpty { error.archive = name.text }
        if error.frame == nil { error.frame = frame }
        if error.offset == nil { error.offset = offset }
        return error
    }
}
