// A real repository and catalog in a scratch directory, with snapshots of directories beside them.

import Archiving
import Cataloging
import Compressing
import Encrypting
import Kernel
import Storing
import Testing

@testable import Restoring

final class SampleRepository {
    let scratch: Scratch
    let key: SecretKey
    let repository: Repository
    let catalog: Catalog
    private let pool: SealingPool
    private(set) var archives: [StoredArchive] = []
    private var latest: SnapshotRecord?

    static let chunkLength = 64 << 10

    init(_ scratch: Scratch) throws {
        self.scratch = scratch
        key = try SecretKey.generate()
        repository = try Repository.create(
            at: scratch["repository"], key: key, owner: .thisMachine(configuration: RepositoryOwner.newConfiguration()))
        catalog = try Catalog.open(at: scratch["catalog.sqlite"], repository: repository.id)
        pool = try SealingPool(key: key, workers: 1)
    }

    deinit {
        try? catalog.close()
    }

    var shelf: ArchiveShelf {
        let (repository, key) = (repository, key)
        return ArchiveShelf { number in
            guard let stored = try repository.storage.list().first(where: { $0.name.number == number }) else {
                throw ArchiveError(.truncated, "there is no archive \(number)")
            }
            return try ArchiveReader(repository.storage.open(stored.name), name: stored.name, keys: [key], repository: repository.id)
        }
    }

    func restorer(_ request: RestoreRequest, isCancelled: @escaping @Sendable () -> Bool = { false }) throws -> Restorer {
        try Restorer(request, catalog: catalog, shelf: shelf, keys: [key], isCancelled: isCancelled)
    }

    /// Restores everything of a snapshot.
    @discardableResult
    func restore(
        _ snapshot: UInt64 = 1, to target: Path, _ overwrite: RestoreRequest.Overwrite = .never, isDryRun: Bool = false
    ) throws -> RestoreReport {
        let selection = RestoreRequest.Selection(path: .root, place: .root)
        return try restorer(
            RestoreRequest(snapshot: snapshot, selections: [selection], target: target, overwrite: overwrite, isDryRun: isDryRun)
        ).run()
    }

    func exporter(windowLimit: Int = SnapshotExporter.windowLimit) -> SnapshotExporter {
        SnapshotExporter(catalog: catalog, shelf: shelf, keys: [key], windowLimit: windowLimit)
    }

    /// Takes a full snapshot of what stands below `directory`, as if it were the root directory.
    ///
    /// - Parameters:
    ///   - frameLimit: A frame ends when its payload has as many bytes; 1 gives every chunk its own.
    ///   - change: Changes entries before they are recorded; nil leaves one out.
    /// - Returns: Its number.
    @discardableResult
    func snapshot(_ directory: Path, frameLimit: Int = 1 << 20, change: (Entry) -> Entry? = { $0 }) throws -> UInt64 {
        let number = (latest?.number ?? 0) + 1
        let writer = try ArchiveWriter(
            storage: repository.storage, number: UInt64(archives.count) + 1, repository: repository.id, pool: pool)
        var payload = DataPayload()
        var entries: [Entry] = []
        for path in try TreeListing(directory).lines.keys.sorted() {
            let place = directory.appending(path.bytes)
            var entry = Entry(path: path, status: try FileStatus(of: place))
            entry.attributes = try ExtendedAttribute.all(ofUnopened: place)
            entry.userName = Array((AccountDatabase.userName(entry.uid) ?? "").utf8)
            entry.groupName = Array((AccountDatabase.groupName(entry.gid) ?? "").utf8)
            if entry.kind == .symlink {
                entry.target = try Descriptor.ofParent(of: place).readSymlink(place.name.map { CChar(bitPattern: $0) } + [0])
            }
            if entry.kind == .file { try read(place, into: &entry, &payload, writer, frameLimit) }
            if let entry = change(entry) { entries.append(entry) }
        }
        try giveFrame(&payload, to: writer)
        try finish(writer, number, entries)
        return number
    }

    private func read(
        _ place: Path, into entry: inout Entry, _ payload: inout DataPayload, _ writer: ArchiveWriter, _ frameLimit: Int
    ) throws {
        let file = try Descriptor.open(place, [.read])
        entry.inodeFlags = try file.inodeFlags()
        var end: UInt64 = 0
        while end < entry.size {
            let data = try file.nextData(from: end) ?? (entry.size, entry.size)
            if data.start > end { entry.content.holes.append(Hole(offset: end, length: data.start - end)) }
            end = data.start
            while end < data.end {
                let bytes = try file.bytes(at: end, count: min(SampleRepository.chunkLength, Int(data.end - end)))
                let digest = SHA256.digest(of: bytes)
                entry.content.chunks.append(Chunk(digest: digest, length: UInt32(bytes.count)))
                bytes.withUnsafeBytes { payload.append($0, digest: digest, of: entry, chunkOffset: end) }
                end += UInt64(bytes.count)
                if payload.count >= frameLimit { try giveFrame(&payload, to: writer) }
            }
        }
    }

    private func giveFrame(_ payload: inout DataPayload, to writer: ArchiveWriter) throws {
        let (bytes, chunks) = payload.take()
        if !chunks.isEmpty { try writer.appendData(payload: bytes, chunks: chunks, level: .fast) }
    }

    private func finish(_ writer: ArchiveWriter, _ number: UInt64, _ entries: [Entry]) throws {
        var manifest = ManifestWriter()
        for entry in entries { manifest.add(upsert: entry) }
        let frame = manifest.takeFrame()
        if !frame.isEmpty { try writer.appendManifest(frame, level: .fast) }
        let time = Int64(number) * 60_000
        let parent = latest.map { SnapshotRecord.Parent(number: $0.number, identity: $0.identity) }
        let record = SnapshotRecord(
            number: number, time: time, host: Array("host".utf8), sources: [.root],
            identity: SnapshotRecord.identity(
                repository: repository.id, number: number, time: time, parent: parent?.identity, manifest: SHA256.digest(of: frame)),
            parent: parent, coversFrom: number)
        let published = try writer.finish(kind: .full, time: time, snapshot: record, highestSnapshot: number)
        var rest = entries[...]
        try catalog.record(snapshot: published.stored, contents: published.contents, mode: .completeManifest) {
            rest.popFirst().map { .upsert($0) }
        }
        archives.append(published.stored)
        latest = record
    }

    /// Turns bits in the middle of the frame that holds the first chunk of `path`.
    func damage(_ path: String, at snapshot: UInt64 = 1, chunk index: Int = 0) throws {
        let place = try #require(Path(path))
        let entry = try #require(try catalog.entry(place, at: snapshot))
        let location = try #require(try catalog.location(of: entry.content.chunks[index].digest))
        let stored = try #require(archives.first { $0.name.number == location.archive })
        let contents = try shelf.reader(location.archive).contents
        var offset = UInt64(ArchiveHeader.size)
        for frame in contents.frames[..<Int(location.frame)] { offset += 4 + UInt64(frame.tokenCount) }
        offset += 4 + UInt64(contents.frames[Int(location.frame)].tokenCount) / 2
        let file = try Descriptor.open(
            scratch["repository/archives"].appending(stored.name.text.utf8), [.readWrite])
        var byte = try file.bytes(at: offset, count: 1)
        byte[0] ^= 0x55
        try byte.withUnsafeBytes { try file.write($0, at: offset) }
    }
}
