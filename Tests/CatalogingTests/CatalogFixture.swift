// A catalog in a directory of its own, and archives made by hand to fill it.

import Archiving
import Encrypting
import Foundation
import Kernel
import Storing

@testable import Cataloging

final class CatalogFixture {
    static let repository = ArchiveID(bytes: [UInt8](repeating: 7, count: 16))!

    let directory: String
    let path: Path
    let catalog: Catalog
    private(set) var lastArchive: UInt64 = 0
    private(set) var identities: [UInt64: Digest] = [:]

    init() throws {
        directory = NSTemporaryDirectory() + "/catalog-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        path = Path(directory + "/catalog.sqlite")!
        catalog = try Catalog.open(at: path, repository: CatalogFixture.repository)
    }

    deinit {
        try? catalog.close()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// The next archive, with contents that fit it.
    func archive(
        _ kind: ArchiveKind, chunks: [StoredChunk] = [], snapshot: SnapshotRecord? = nil, remarks: [Remark] = []
    ) -> (StoredArchive, ArchiveContents) {
        lastArchive += 1
        let time = snapshot?.time ?? Int64(lastArchive) * 1000
        let name = ArchiveName(number: lastArchive, time: time, kind: kind, digest: digest("archive \(lastArchive)"))
        let contents = ArchiveContents(
            repository: CatalogFixture.repository, number: lastArchive, kind: kind, time: time, chunks: chunks,
            snapshot: snapshot, remarks: remarks)
        return (StoredArchive(name: name, size: 1000 + lastArchive), contents)
    }

    func snapshotRecord(_ number: UInt64, parent: UInt64?, coversFrom: UInt64? = nil) -> SnapshotRecord {
        let identity = identities[number] ?? digest("snapshot \(number)")
        identities[number] = identity
        return SnapshotRecord(
            number: number, time: Int64(truncatingIfNeeded: number) &* 60_000, host: Array("laptop".utf8), sources: [Path("/home/me")!],
            identity: identity,
            parent: parent.map { SnapshotRecord.Parent(number: $0, identity: identities[$0] ?? digest("snapshot \($0)")) },
            coversFrom: coversFrom ?? number,
            statistics: SnapshotRecord.Statistics(entries: number, bytesSource: 2, entriesChanged: 3, bytesAdded: 4))
    }

    /// Records an incremental snapshot after the newest one, or a full one as the first.
    func record(_ records: [ManifestRecord], stored: [StoredChunk] = []) throws {
        let parent = try catalog.newest()?.number
        let kind: ArchiveKind = parent == nil ? .full : .incremental
        let (archive, contents) = archive(kind, chunks: stored, snapshot: snapshotRecord((parent ?? 0) + 1, parent: parent))
        try catalog.record(snapshot: archive, contents: contents, mode: .changes, records: feed(records))
    }

    /// Records a full snapshot after the newest one from its complete manifest.
    func recordFull(_ entries: [Entry], stored: [StoredChunk] = []) throws {
        let parent = try catalog.newest()?.number
        let (archive, contents) = archive(.full, chunks: stored, snapshot: snapshotRecord((parent ?? 0) + 1, parent: parent))
        try catalog.record(
            snapshot: archive, contents: contents, mode: .completeManifest, records: feed(entries.map { .upsert($0) }))
    }

    func entries(at snapshot: UInt64, below path: Path = .root) throws -> [Entry] {
        var result: [Entry] = []
        try catalog.forEachEntry(below: path, at: snapshot, includingContent: true) { result.append($0) }
        return result
    }

    func changes(from before: UInt64?, to snapshot: UInt64) throws -> [ManifestRecord] {
        var result: [ManifestRecord] = []
        try catalog.forEachChange(from: before, to: snapshot) { result.append($0) }
        return result
    }
}

func feed(_ records: [ManifestRecord]) -> () throws -> ManifestRecord? {
    var iterator = records.makeIterator()
    return { iterator.next() }
}

func digest(_ text: String) -> Digest {
    SHA256.digest(of: Array(text.utf8))
}

func path(_ text: String) -> Path {
    Path(text)!
}

/// A file of the chunks that `texts` name, each 100 bytes long.
func file(_ text: String, _ texts: String..., mode: UInt16 = 0o644, inode: UInt64 = 1, links: UInt32 = 1) -> Entry {
    Entry(
        path: path(text), kind: .file, mode: mode, uid: 1000, gid: 100, userName: Array("me".utf8), groupName: Array("users".utf8),
        modified: Timestamp(seconds: 1_700_000_000, nanoseconds: 5), changed: Timestamp(seconds: -1, nanoseconds: 999_999_999),
        device: 8 << 32 | 1, inode: inode, links: links, size: UInt64(texts.count) * 100,
        content: Content(chunks: texts.map { Chunk(digest: digest($0), length: 100) }))
}

func folder(_ text: String) -> Entry {
    Entry(path: path(text), kind: .directory, mode: 0o755, uid: 1000, gid: 100)
}

/// The chunks that `texts` name, as one data frame holds them.
func stored(_ texts: String...) -> [StoredChunk] {
    texts.enumerated().map { index, text in
        StoredChunk(digest: digest(text), frame: 0, offset: UInt32(index) * 1000 + 512, length: 100)
    }
}
