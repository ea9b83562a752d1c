// The records of a commit's manifest, one after the other, whatever frames they stand in.
// In: an open archive.  Out: records in tree order; at the end, whether the snapshot's identity is that of its manifest.

internal import Archiving
internal import Encrypting
internal import Kernel
internal import Storing

struct ManifestSource: ~Copyable {
    private let reader: ArchiveReader
    private let opener: FrameOpener
    private var frames: [Int]
    private var current: ManifestReader?
    /// The last path of the frame before.
    private var last: Path?
    private var digest = SHA256Hasher()

    init(reader: ArchiveReader, opener: FrameOpener) throws {
        self.reader = reader
        self.opener = opener
        frames = reader.contents.frames.indices.filter { reader.contents.frames[$0].kind == .manifest }.reversed()
    }

    mutating func next(previousChunks: (Path) throws -> [Chunk]) throws -> ManifestRecord? {
        while true {
            if var manifest = current {
                current = nil
                if let record = try manifest.next(previousChunks: previousChunks) {
                    current = manifest
                    return record
                }
                last = manifest.lastPath
            }
            guard let frame = frames.popLast() else { return nil }
            var payload: [UInt8] = []
            try reader.frame(frame, into: &payload, opener: opener)
            digest.update(payload)
            current = ManifestReader(payload, after: last, of: reader.contents.kind == .full ? .full : .incremental)
        }
    }

    /// Compares the identity with the manifest, after its last record. That of a merged commit was made of another manifest.
    ///
    /// - Throws: `ArchiveError.parentMismatch`.
    mutating func checkIdentity() throws {
        guard let snapshot = reader.contents.snapshot, reader.contents.replaces.isEmpty, snapshot.coversFrom == snapshot.number else { return }
        let identity = SnapshotRecord.identity(
            repository: reader.contents.repository, number: snapshot.number, time: snapshot.time, parent: snapshot.parent?.identity,
            manifest: digest.finish())
        guard identity == snapshot.identity else {
            throw ArchiveError(.parentMismatch, "the snapshot's identity is not that of its manifest", archive: reader.name.text)
        }
    }
}
