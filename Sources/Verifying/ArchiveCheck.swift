// Reads one archive whole: every frame authenticated and decoded, every chunk compared with its digest.
// In: an archive.  Out: each piece that is damaged, and nothing else; damage never ends the check early.

internal import Archiving
package import Encrypting
internal import Kernel
package import Storing

/// A damaged piece of one archive.
package struct ArchiveDamage: Sendable {
    /// Nil when the archive as a whole cannot be opened.
    package var frame: UInt32?
    package var reason: String
    /// The chunks that it holds and that cannot be had from here.
    package var chunks: [Digest]
}

package struct ArchiveCheck {
    private let opener: FrameOpener

    package init(keys: [SecretKey]) throws {
        opener = try FrameOpener(keys: keys)
    }

    /// - Throws: `StorageError` when the file cannot be read at all, which says nothing about its bytes.
    /// - Complexity: One pass over the frames; the memory of one frame.
    package func damage(of reader: ArchiveReader) throws -> [ArchiveDamage] {
        var result: [ArchiveDamage] = []
        var chunks = reader.contents.chunks[...]
        var payload: [UInt8] = []
        var lastPath: Path?
        for number in reader.contents.frames.indices {
            let own = chunks.prefix { $0.frame == UInt32(number) }
            chunks = chunks.dropFirst(own.count)
            do {
                try reader.frame(number, into: &payload, opener: opener)
                switch reader.contents.frames[number].kind {
                case .data: try check(own, in: payload, frame: UInt32(number), &result)
                case .manifest: try check(manifest: payload, of: reader.contents.kind, &lastPath)
                case .contents: break
                }
            } catch let error as ArchiveError {
                result.append(ArchiveDamage(frame: UInt32(number), reason: error.reason, chunks: own.map(\.digest)))
            }
        }
        return result
    }

    private func check(
        _ chunks: ArraySlice<StoredChunk>, in payload: [UInt8], frame: UInt32, _ result: inout [ArchiveDamage]
    ) throws {
        let wrong = payload.withUnsafeBytes { payload in
            chunks.filter { chunk in
                let start = Int(chunk.offset)
                let end = start + Int(chunk.length)
                // Both are below 2^33: no overflow. The range is checked before it is used.
                guard end <= payload.count else { return true }
                return SHA256.digest(of: UnsafeRawBufferPointer(rebasing: payload[start..<end])) != chunk.digest
            }
        }
        if !wrong.isEmpty {
            result.append(ArchiveDamage(frame: frame, reason: "chunks have other content than their digests say", chunks: wrong.map(\.digest)))
        }
    }

    private func check(manifest payload: [UInt8], of kind: ArchiveKind, _ lastPath: inout Path?) throws {
        var reader = ManifestReader(payload, after: lastPath, of: kind == .full ? .full : .incremental)
        defer { lastPath = reader.lastPath }
        do {
            while try reader.next(previousChunks: { _ in [] }) != nil {}
        } catch {
            // A large file that changed refers to chunks of the parent snapshot, which is not at hand here. The frame is
            // authenticated; what follows in it is decoded when the parent is.
            if error.code != .parentMissing { throw error }
        }
    }
}
