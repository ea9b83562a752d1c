// Builds the payload of one data frame: tar entries, and where their chunks stand.
// In: chunks with the path that they were found under.  Out: payload and chunk table.
// Invariant: the payload is a whole number of tar entries; chunks stand in the order of their offsets.

package import Encrypting
package import Kernel

package struct DataPayload: Sendable {
    private var payload: [UInt8] = []
    /// What is in the payload so far, in its order.
    package private(set) var chunks: [PayloadChunk] = []
    private let capacity: Int

    /// - Parameter capacity: Bytes to reserve, at once and after each `take`; the payload grows beyond when it must.
    package init(capacity: Int = 0) {
        self.capacity = capacity
        payload.reserveCapacity(capacity)
    }

    /// Bytes of the payload so far. Callers take it before the next chunk would bring it above what they aim at, and in
    /// any case before 64 MiB.
    package var count: Int { payload.count }

    /// Adds a chunk as a tar entry: under its file's path, or for a part of a file under `<path>.chunk-<offset>`.
    ///
    /// - Parameters:
    ///   - bytes: 1...4,194,304 bytes, of which `digest` is the SHA-256.
    ///   - chunkOffset: Where the chunk stands in its file; nil when it is the whole file.
    ///   - modified: Whole seconds are kept: names and times here are a help for people, the manifest is exact.
    /// - Complexity: O(bytes + path). The bytes are copied once.
    package mutating func append(
        _ bytes: UnsafeRawBufferPointer, digest: Digest, path: Path, chunkOffset: UInt64?, mode: UInt16, modified: Timestamp,
        uid: UInt32, gid: UInt32
    ) {
        precondition((1...Int(Chunk.maximumLength)).contains(bytes.count), "a chunk has 1 byte to 4 MiB")
        var name = path.bytes
        if let chunkOffset { name += Array(".chunk-\(padded(chunkOffset, 20))".utf8) }
        let header = TarEntry(
            path: name, kind: .file, mode: mode, uid: uid, gid: gid, size: UInt64(bytes.count),
            modified: Timestamp(seconds: modified.seconds))
        TarWriter.append(header: header, to: &payload)
        chunks.append(PayloadChunk(digest: digest, offset: UInt32(payload.count), length: UInt32(bytes.count)))
        payload.append(contentsOf: bytes)
        TarWriter.append(paddingAfter: UInt64(bytes.count), to: &payload)
    }

    /// As above, with the metadata of `entry`.
    package mutating func append(_ bytes: UnsafeRawBufferPointer, digest: Digest, of entry: Entry, chunkOffset: UInt64?) {
        append(
            bytes, digest: digest, path: entry.path, chunkOffset: chunkOffset, mode: entry.mode, modified: entry.modified,
            uid: entry.uid, gid: entry.gid)
    }

    /// Where the tar entry ends whose content ends at `contentEnd`: at the next whole block.
    package static func entryEnd(_ contentEnd: Int) -> Int { contentEnd + TarWriter.paddingCount(after: UInt64(contentEnd)) }

    /// Takes over a whole tar entry of another payload, as it is.
    ///
    /// - Parameters:
    ///   - entry: Header, content and padding: a whole number of blocks.
    ///   - contentOffset: Where the chunk of `length` bytes stands in it, of which `digest` is the SHA-256: the caller has compared them.
    package mutating func append(entry: UnsafeRawBufferPointer, contentOffset: Int, digest: Digest, length: UInt32) {
        precondition(contentOffset + Int(length) <= entry.count, "the chunk reaches past its entry")
        chunks.append(PayloadChunk(digest: digest, offset: UInt32(payload.count + contentOffset), length: length))
        payload.append(contentsOf: entry)
    }

    /// The type of the file that an entry holds, or holds a part of: its name behind the last dot, without what marks a part.
    ///
    /// - Parameter contentOffset: Where the content stands in the entry; the header is the block before it. Long names are cut off in
    ///   it, and then the type is not known: empty.
    package static func fileType(ofEntry entry: UnsafeRawBufferPointer, contentOffset: Int) -> [UInt8] {
        let start = contentOffset - TarWriter.blockSize
        guard start >= 0, contentOffset <= entry.count else { return [] }
        // The block lies within the entry, checked above.
        var name = entry[start..<contentOffset].prefix(TarField.name.count).prefix { $0 != 0 }
        if name.count > partSuffix, name.dropLast(20).suffix(7).elementsEqual(".chunk-".utf8) { name = name.dropLast(partSuffix) }
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), !name[dot...].contains(UInt8(ascii: "/")) else { return [] }
        return Array(name[dot...].dropFirst())
    }

    /// `.chunk-` and 20 digits.
    private static let partSuffix = 7 + 20

    /// The payload so far; the next chunk begins a new one.
    package mutating func take() -> (payload: [UInt8], chunks: [PayloadChunk]) {
        let taken = (payload, chunks)
        payload = []
        payload.reserveCapacity(capacity)
        chunks = []
        return taken
    }
}
