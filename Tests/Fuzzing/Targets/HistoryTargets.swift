// What archives say, taken into a catalog: tables of contents and manifests that are well formed and lie.

import Archiving
import Cataloging
import Encrypting
import Kernel
import Storing

/// Up to four archives, each `count(2) contents(count) count(2) manifest(count)`, in a catalog of their own.
@Sendable func readHistory(_ input: UnsafeRawBufferPointer) throws {
    guard let repository = ArchiveID(bytes: [UInt8](repeating: 7, count: ArchiveID.count)) else { return }
    let scratch = Path(ProcessIdentity.environment("TMPDIR") ?? "/tmp") ?? .root
    let file = scratch.appending("fuzz-\(ProcessIdentity.pid).sqlite".utf8)
    try Catalog.discard(at: file)
    let catalog = try Catalog.open(at: file, repository: repository)
    defer {
        try? catalog.close()
        try? Catalog.discard(at: file)
    }
    var parts = InputReader(input)
    for _ in 0..<4 where !parts.isAtEnd {
        let payload = parts.bytes(parts.short())
        let manifest = parts.bytes(parts.short())
        guard var contents = try? ArchiveContents(decoding: payload) else { continue }
        contents.repository = repository
        do {
            try record(contents, manifest, in: catalog)
        } catch is ArchiveError {
        } catch let error as CatalogError {
            try require(error.code == .malformed || error.code == .outOfOrder, "a catalog refuses what is wrong: \(error)")
        }
    }
    try catalog.checkIntegrity()
    try look(at: catalog)
}

private func record(_ contents: ArchiveContents, _ manifest: [UInt8], in catalog: Catalog) throws {
    let name = ArchiveName(number: contents.number, time: contents.time, kind: contents.kind, digest: SHA256.digest(of: manifest))
    let archive = StoredArchive(name: name, size: UInt64(manifest.count))
    guard let snapshot = contents.snapshot else { return try catalog.record(archive: archive, contents: contents) }
    var reader = ManifestReader(manifest, of: contents.kind == .full ? .full : .incremental)
    var entries: [Entry] = []
    try catalog.record(snapshot: archive, contents: contents, mode: contents.kind == .full ? .completeManifest : .changes) {
        let record = try reader.next { try catalog.liveEntry($0)?.content.chunks ?? [] }
        if case .upsert(let entry) = record { entries.append(entry) }
        return record
    }
    guard contents.kind == .full else { return }
    var known: [Entry] = []
    try catalog.forEachEntry(below: .root, at: snapshot.number, includingContent: true) { known.append($0) }
    try require(known == entries, "a catalog gives back what the manifest lists")
}

/// As a person does.
private func look(at catalog: Catalog) throws {
    let snapshots = try catalog.snapshots().map(\.number)
    for (number, before) in zip(snapshots, [nil] + snapshots.map(Optional.some)) {
        try catalog.forEachChange(from: before, to: number) { record in
            _ = try catalog.history(of: record.path)
            _ = try catalog.datedHistory(of: record.path)
            _ = try catalog.entry(record.path, at: number)
        }
        if let before { try catalog.forEachDifference(from: before, to: number) { _ in } }
        for child in try catalog.children(of: .root, at: number) { _ = child.entry.modified.iso8601 }
    }
    _ = try catalog.fileSpace(below: [.root], types: 3, directories: 3)
    _ = try catalog.archiveSpace()
    _ = try catalog.chunkSpace()
    _ = try catalog.totals()
    _ = try catalog.lostChunks()
    _ = try catalog.coverage(since: 0)
    _ = try catalog.references(kept: snapshots.suffix(1), dropping: [snapshots.dropLast()])
    _ = try catalog.pruneChunks()
}
