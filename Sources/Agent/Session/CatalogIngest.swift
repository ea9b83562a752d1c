// Brings the catalog up to date with the archives: after a crash between the commit and the catalog, after the
// catalog was lost, after archives were added or removed by hand.
// In: the list of archives.  Out: a catalog that knows exactly these.
// Invariant: of two commits that cover the same snapshot the one with the higher archive number is valid.

internal import Archiving
internal import Cataloging
internal import Controlling
internal import Encrypting
internal import Kernel
internal import Storing

package struct CatalogIngest {
    private let session: Session

    package init(session: Session) {
        self.session = session
    }

    /// What could not be brought in; the rest is.
    package struct Gap: Sendable {
        package var archive: String
        package var reason: String
    }

    /// - Returns: Archives that are damaged or do not fit; their snapshots cannot be listed.
    /// - Throws: `CatalogError`, and `StorageError` when the repository cannot be listed; the catalog then holds what was
    ///   brought in so far and goes on there the next time.
    @discardableResult
    package func catchUp() throws -> [Gap] {
        let catalog = session.catalog
        let stored = try session.storage.list()
        let known = Set(try catalog.archives().map(\.archive.name))
        let present = Set(stored.map(\.name))
        let vanished = known.subtracting(present)
        let missing = stored.filter { !known.contains($0.name) }
        let texts = Set(present.map(\.text))
        if session.record.lost.contains(where: texts.contains) {
            // Copied back from elsewhere.
            session.remember { $0.lost.removeAll { texts.contains($0) } }
        }
        if vanished.isEmpty && missing.isEmpty { return [] }
        try session.places.catalogIncomplete.replaceFile(with: [], mode: 0o600, .atomic)
        // Whoever removes an archive on purpose tells the catalog first: these were lost.
        session.remember { $0.lost = Array(Set($0.lost).union(vanished.map(\.text))).sorted() }
        // A commit that vanished takes versions with it that only a new beginning sorts out.
        if vanished.contains(where: \.kind.isCommit) { return try beginAnew() }
        if !vanished.isEmpty { try catalog.forget(vanished.map(\.number).sorted()) }

        let (readers, gaps) = open(missing)
        // What could not be used for want of its parent may fit now.
        let hasUnusable = try catalog.archives().contains { $0.archive.name.kind.isCommit && $0.snapshot == nil }
        if hasUnusable, readers.contains(where: \.contents.kind.isCommit) { return try beginAnew() }
        let rows = try catalog.snapshots()
        let newest = rows.last?.number ?? 0
        var fresh: [ArchiveReader] = []
        for reader in readers {
            guard let range = reader.coveredRange else {
                fresh.append(reader)
                continue
            }
            if let winner = rows.first(where: { $0.archive > reader.contents.number && $0.range.overlaps(range) }) {
                try removeIfReplaced(reader, by: winner.archive)
            } else if range.upperBound <= newest {
                // A merge that was published and not recorded rewrites history: it is read from the beginning.
                return try beginAnew()
            } else {
                fresh.append(reader)
            }
        }
        return gaps + (try ingest(fresh))
    }

    /// What a rebuild is answered.
    ///
    /// - Throws: `AgentError.damaged` when archives could not be used; the catalog holds all others.
    static func answer(_ gaps: [Gap], snapshots: Int) throws -> MessageResponse {
        if gaps.isEmpty { return MessageResponse(message: "the catalog was rebuilt: \(snapshots) snapshots") }
        let list = gaps.map { "\n  \($0.archive): \($0.reason)" }.joined()
        throw AgentError.damaged("the catalog was rebuilt: \(snapshots) snapshots; \(gaps.count) archives could not be used:\(list)")
    }

    private func beginAnew() throws -> [Gap] {
        try session.replaceCatalog()
        let (readers, gaps) = open(try session.storage.list())
        return gaps + (try ingest(readers))
    }

    /// Finishes a consolidation that was interrupted between its commit and the removal of what it replaces. A superseded archive
    /// that is not named so (an old copy that came back) stays, and changes nothing.
    private func removeIfReplaced(_ reader: ArchiveReader, by number: UInt64) throws {
        guard session.isWriting, let winner = try session.catalog.archives().first(where: { $0.archive.name.number == number })?.archive
        else { return }
        let replacement = try session.reader(of: winner.name)
        guard replacement.contents.replaces.contains(reader.contents.number), try isProven(replacement),
            let lock = try session.repository.lockForRemoval()
        else { return }
        defer { lock.release() }
        try session.storage.remove(reader.name)
    }

    /// The replacement, with the `data` archives that it names, is on the disk as it was written: the crash may have come before
    /// anyone had looked.
    private func isProven(_ commit: ArchiveReader) throws -> Bool {
        let numbers = Set(commit.contents.snapshot?.dataArchives ?? [])
        let data = try session.catalog.archives().filter { numbers.contains($0.archive.name.number) }.map(\.archive)
        do {
            for archive in data + [stored(commit)] {
                let reader = try session.reader(of: archive.name)
                try PublishedArchive(stored: archive, contents: reader.contents).readBack(from: session.storage, keys: session.keys)
            }
            return true
        } catch is ArchiveError {
            return false
        }
    }

    private func stored(_ reader: ArchiveReader) -> StoredArchive { StoredArchive(name: reader.name, size: reader.size) }

    private func open(_ archives: [StoredArchive]) -> ([ArchiveReader], [Gap]) {
        var readers: [ArchiveReader] = []
        var gaps: [Gap] = []
        for archive in archives {
            do {
                readers.append(try session.reader(of: archive.name))
            } catch {
                gaps.append(Gap(archive: archive.name.text, reason: "\(error)"))
            }
        }
        return (readers, gaps)
    }

    /// Chunks first, for a manifest refers to chunks that stand in archives with higher numbers after a merge.
    private func ingest(_ readers: [ArchiveReader]) throws -> [Gap] {
        let catalog = session.catalog
        var gaps: [Gap] = []
        // Two archives of one number mean two writers. A snapshot is worth more than chunks.
        let ofCommits = Set(readers.filter(\.contents.kind.isCommit).map(\.contents.number))
        for reader in readers where !reader.contents.kind.isCommit {
            if ofCommits.contains(reader.contents.number) {
                gaps.append(Gap(archive: reader.name.text, reason: "another archive has the same number: there were two writers"))
                continue
            }
            do {
                try catalog.record(archive: stored(reader), contents: reader.contents)
            } catch let error as CatalogError where error.code.isAboutTheArchive {
                gaps.append(Gap(archive: reader.name.text, reason: error.reason))
            }
        }
        let (commits, leftOver) = ValidCommits.choose(readers.filter(\.contents.kind.isCommit))
        let opener = try FrameOpener(keys: session.keys)
        var expected = try catalog.newest().map { SnapshotRecord.Parent(number: $0.number, identity: $0.record.identity) }
        for reader in commits {
            guard let snapshot = reader.contents.snapshot else { continue }
            if reader.contents.kind == .incremental, snapshot.parent != expected {
                gaps.append(try setAside(reader, "its parent, snapshot \(snapshot.parent?.number ?? 0), is missing or another one"))
                continue
            }
            do {
                try ingest(reader, opener)
                expected = .init(number: snapshot.number, identity: snapshot.identity)
            } catch let error as ArchiveError {
                gaps.append(try setAside(reader, "\(error)"))
            } catch let error as CatalogError where error.code.isAboutTheArchive {
                gaps.append(try setAside(reader, error.reason))
            }
        }
        // Only now: what was replaced goes when its replacement is in the catalog, and was read back.
        for reader in leftOver {
            guard let range = reader.coveredRange,
                let winner = try catalog.snapshots().first(where: { $0.archive > reader.contents.number && $0.range.overlaps(range) })
            else { continue }
            try removeIfReplaced(reader, by: winner.archive)
        }
        return gaps
    }

    private func ingest(_ reader: ArchiveReader, _ opener: FrameOpener) throws {
        let catalog = session.catalog
        var manifest = try ManifestSource(reader: reader, opener: opener)
        try catalog.record(
            snapshot: stored(reader), contents: reader.contents, mode: reader.contents.kind == .full ? .completeManifest : .changes
        ) {
            if let record = try manifest.next(previousChunks: { try catalog.liveEntry($0)?.content.chunks ?? [] }) { return record }
            try manifest.checkIdentity()
            return nil
        }
    }

    /// The snapshot cannot be used; the chunks that its archive holds can.
    private func setAside(_ reader: ArchiveReader, _ reason: String) throws -> Gap {
        do {
            try session.catalog.record(withoutSnapshot: stored(reader), contents: reader.contents)
        } catch let error as CatalogError where error.code.isAboutTheArchive {
            return Gap(archive: reader.name.text, reason: "\(reason); \(error.reason)")
        }
        return Gap(archive: reader.name.text, reason: reason)
    }
}

extension CatalogError.Code {
    /// The archive contradicts itself or others; the catalog is sound, and other archives can be recorded.
    fileprivate var isAboutTheArchive: Bool { self == .malformed || self == .outOfOrder || self == .otherRepository }
}

/// Which commits stand for the history, by the specification's second rule of reading.
enum ValidCommits {
    /// - Returns: The valid ones by snapshot number, and those that others supersede.
    static func choose(_ readers: [ArchiveReader]) -> (valid: [ArchiveReader], leftOver: [ArchiveReader]) {
        var valid: [ArchiveReader] = []
        var leftOver: [ArchiveReader] = []
        for reader in readers.sorted(by: { $0.contents.number > $1.contents.number }) {
            guard let range = reader.coveredRange else { continue }
            if valid.contains(where: { $0.coveredRange?.overlaps(range) ?? false }) {
                leftOver.append(reader)
            } else {
                valid.append(reader)
            }
        }
        return (valid.sorted { ($0.contents.snapshot?.number ?? 0) < ($1.contents.snapshot?.number ?? 0) }, leftOver)
    }
}

extension ArchiveReader {
    /// The snapshot numbers that a commit stands for.
    var coveredRange: ClosedRange<UInt64>? {
        guard let snapshot = contents.snapshot, snapshot.coversFrom <= snapshot.number else { return nil }
        return snapshot.coversFrom...snapshot.number
    }
}

/// The records of a commit's manifest, one after the other, whatever frames they stand in.
struct ManifestSource: ~Copyable {
    fileprivate let reader: ArchiveReader
    private let opener: FrameOpener
    private var frames: [Int]
    private var current: ManifestReader?
    /// The last path of the frame before.
    private var last: Path?
    fileprivate var digest = SHA256Hasher()

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
}

extension ManifestSource {
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

extension SnapshotRow {
    /// The snapshot numbers that its commit stands for.
    fileprivate var range: ClosedRange<UInt64> { min(record.coversFrom, number)...number }
}
