// Brings the catalog up to date with the archives: after a crash between the commit and the catalog, after the
// catalog was lost, after archives were added or removed by hand.
// In: the list of archives.  Out: a catalog that knows exactly these, and the states of snapshots whose manifest was lost since.
// Invariant: of two commits that cover the same snapshot the one with the higher archive number is valid. Memory holds no more
// than one archive's contents, and a few words for each commit.

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

    /// Nothing came or went among the archives since the catalog was brought up to date: no need to list them.
    func isCurrent() throws -> Bool {
        guard let stamp = session.storage.stamp else { return false }
        return try session.record.stamp == stamp && session.catalog.stamp() == stamp
    }

    /// - Returns: Archives that are damaged or do not fit; their snapshots cannot be listed.
    /// - Throws: `CatalogError`, and `StorageError` when the repository cannot be listed; the catalog then holds what was
    ///   brought in so far and goes on there the next time.
    @discardableResult
    package func catchUp() throws -> [Gap] {
        // Taken before the listing: what comes after it changes the stamp.
        let stamp = session.storage.stamp
        let stored = try session.storage.list()
        let gaps = try bringIn(stored)
        let aside = Set(stored.map(\.name)).subtracting(try session.catalog.archives().map(\.archive.name))
        session.setAside(Array(aside))
        // What is left over of a consolidation goes with the next writer: it must look.
        let hasLeftovers = !aside.subtracting(gaps.compactMap { ArchiveName($0.archive) }).isEmpty
        if let stamp, session.isWriting || !hasLeftovers {
            try session.catalog.setStamp(stamp)
            session.remember { $0.stamp = stamp }
        }
        return gaps
    }

    private func bringIn(_ stored: [StoredArchive]) throws -> [Gap] {
        let catalog = session.catalog
        let known = Set(try catalog.archives().map(\.archive.name))
        let present = Set(stored.map(\.name))
        let vanished = known.subtracting(present)
        let missing = stored.filter { !known.contains($0.name) }
        if !session.record.lost.isEmpty {
            // Copied back from elsewhere.
            let texts = Set(present.map(\.text))
            if session.record.lost.contains(where: texts.contains) { session.remember { $0.lost.removeAll { texts.contains($0) } } }
        }
        if vanished.isEmpty && missing.isEmpty { return [] }
        let mark = session.places.catalogIncomplete
        try naming(mark) { () throws(Errno) in try mark.replaceFile(with: [], mode: 0o600, .atomic) }
        var (commits, gaps) = headers(of: missing)
        let replaced = Set(commits.flatMap(\.replaces))
        // Whoever removes an archive on purpose tells the catalog first, or names it in another: these were lost.
        let lost = vanished.filter { !replaced.contains($0.number) }
        if !lost.isEmpty { session.remember { $0.lost = Array(Set($0.lost).union(lost.map(\.text))).sorted() } }
        let newest = try catalog.newest()
        // Without its newest end the repository went back in time; only a new beginning shows what it holds now.
        if let newest, vanished.contains(where: { $0.number == newest.archive }) { return try beginAnew() }
        // What could not be used for want of its parent may fit now.
        if !commits.isEmpty, try !catalog.unusableCommits().isEmpty { return try beginAnew() }
        try catalog.lose(lost.map(\.number).sorted())
        gaps += try recordChunks(missing.filter { !$0.name.kind.isCommit }, commits)
        var leftOver: [CommitHeader] = []
        do {
            try reconcile(&commits, newest: newest?.number ?? 0, &leftOver)
        } catch is HistoryRewritten {
            return try beginAnew()
        }
        gaps += try ingest(commits)
        try removeReplaced(leftOver)
        return gaps
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
        let stored = try session.storage.list()
        let (commits, gaps) = headers(of: stored)
        let chunkGaps = try recordChunks(stored.filter { !$0.name.kind.isCommit }, commits)
        return gaps + chunkGaps + (try ingest(commits))
    }

    /// The commits among these archives, opened for a moment each; what cannot be opened is a gap.
    private func headers(of archives: [StoredArchive]) -> ([CommitHeader], [Gap]) {
        var headers: [CommitHeader] = []
        var gaps: [Gap] = []
        for archive in archives where archive.name.kind.isCommit {
            do {
                if let header = try CommitHeader(session.reader(of: archive.name)) { headers.append(header) }
            } catch {
                gaps.append(Gap(archive: archive.name.text, reason: "\(error)"))
            }
        }
        return (headers, gaps)
    }
}

// MARK: Commits that do not simply come next

extension CatalogIngest {
    /// The catalog's history is another than that of the archives.
    private struct HistoryRewritten: Error {}

    /// Takes those out of `commits` that stand for snapshots that the catalog knows.
    private func reconcile(_ commits: inout [CommitHeader], newest: UInt64, _ leftOver: inout [CommitHeader]) throws {
        if newest == 0 { return }
        let rows = try session.catalog.snapshots()
        var fresh: [CommitHeader] = []
        for commit in commits.sorted(by: { $0.archive.name.number < $1.archive.name.number }) {
            if let winner = rows.covering(commit.range), winner.archive > commit.archive.name.number {
                leftOver.append(commit)
            } else if commit.range.upperBound > newest {
                fresh.append(commit)
            } else if try !takeBack(commit) {
                throw HistoryRewritten()
            }
        }
        commits = fresh
    }

    /// A commit of a snapshot that the catalog knows: one that was lost and came back, or a merge that was published and not recorded.
    ///
    /// - Returns: False when the catalog's snapshots are others.
    private func takeBack(_ commit: CommitHeader) throws -> Bool {
        let catalog = session.catalog
        guard let row = try catalog.snapshot(commit.range.upperBound), row.record.identity == commit.identity else { return false }
        let contents = try session.reader(of: commit.archive.name).contents
        if row.archive == commit.archive.name.number {
            try catalog.record(returned: commit.archive, contents: contents)
            return true
        }
        let dropped = try catalog.snapshots().map(\.number).filter { commit.range.contains($0) && $0 != commit.range.upperBound }
        do {
            try catalog.replace(
                MergeRecord(
                    dropped: dropped, into: row.number, archive: commit.archive, contents: contents, removedArchives: contents.replaces))
            return true
        } catch let error as CatalogError where error.code.isAboutTheArchive || error.code == .inUse {
            return false
        }
    }

    /// Finishes consolidations that were interrupted between their commit and the removal of what they replace. A superseded archive
    /// that is not named so (an old copy that came back) stays, and changes nothing.
    private func removeReplaced(_ leftOver: [CommitHeader]) throws {
        guard session.isWriting, !leftOver.isEmpty else { return }
        let rows = try session.catalog.snapshots()
        var proven: [UInt64: Set<UInt64>] = [:]
        for commit in leftOver {
            guard let winner = rows.covering(commit.range), winner.archive > commit.archive.name.number,
                let archive = try session.catalog.archives([winner.archive]).first?.archive
            else { continue }
            if proven[winner.archive] == nil {
                let replacement = try session.reader(of: archive.name)
                proven[winner.archive] = try isProven(replacement) ? Set(replacement.contents.replaces) : []
            }
            guard proven[winner.archive]?.contains(commit.archive.name.number) ?? false, let lock = try session.repository.lockForRemoval()
            else { continue }
            defer { lock.release() }
            try session.storage.remove(commit.archive.name)
        }
    }

    /// The replacement, with the `data` archives that it names, is on the disk as it was written: the crash may have come before
    /// anyone had looked.
    private func isProven(_ commit: ArchiveReader) throws -> Bool {
        let data = try session.catalog.archives(commit.contents.snapshot?.dataArchives ?? []).map(\.archive)
        do {
            for archive in data + [StoredArchive(name: commit.name, size: commit.size)] {
                let reader = try session.reader(of: archive.name)
                try PublishedArchive(stored: archive, contents: reader.contents).readBack(from: session.storage, keys: session.keys)
            }
            return true
        } catch is ArchiveError {
            return false
        }
    }
}

// MARK: Recording

extension CatalogIngest {
    /// Chunks first, for a manifest refers to chunks that stand in archives with higher numbers after a merge.
    private func recordChunks(_ archives: [StoredArchive], _ commits: [CommitHeader]) throws -> [Gap] {
        var gaps: [Gap] = []
        // Two archives of one number mean two writers. A snapshot is worth more than chunks.
        let ofCommits = Set(commits.map(\.archive.name.number))
        for archive in archives {
            if ofCommits.contains(archive.name.number) {
                gaps.append(Gap(archive: archive.name.text, reason: "another archive has the same number: there were two writers"))
                continue
            }
            do {
                try session.catalog.record(archive: archive, contents: session.reader(of: archive.name).contents)
            } catch let error as CatalogError where error.code.isAboutTheArchive {
                gaps.append(Gap(archive: archive.name.text, reason: error.reason))
            } catch let error as CatalogError {
                throw error
            } catch {
                gaps.append(Gap(archive: archive.name.text, reason: "\(error)"))
            }
        }
        return gaps
    }

    private func ingest(_ headers: [CommitHeader]) throws -> [Gap] {
        let catalog = session.catalog
        var gaps: [Gap] = []
        let (commits, leftOver) = ValidCommits.choose(headers)
        let opener = try FrameOpener(keys: session.keys)
        var expected = try catalog.newest().map { SnapshotRecord.Parent(number: $0.number, identity: $0.record.identity) }
        for commit in commits {
            let isNext = commit.archive.name.kind == .full || commit.parent == expected
            do {
                let reader = try session.reader(of: commit.archive.name)
                guard isNext else {
                    gaps.append(try setAside(reader, "its parent, snapshot \(commit.parent?.number ?? 0), is missing or another one"))
                    continue
                }
                do {
                    try ingest(reader, opener)
                    expected = .init(number: commit.range.upperBound, identity: commit.identity)
                } catch let error as ArchiveError {
                    gaps.append(try setAside(reader, "\(error)"))
                } catch let error as CatalogError where error.code.isAboutTheArchive {
                    gaps.append(try setAside(reader, error.reason))
                }
            } catch let error as ArchiveError {
                gaps.append(Gap(archive: commit.archive.name.text, reason: "\(error)"))
            }
        }
        // Only now: what was replaced goes when its replacement is in the catalog, and was read back.
        try removeReplaced(leftOver)
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

    private func stored(_ reader: ArchiveReader) -> StoredArchive { StoredArchive(name: reader.name, size: reader.size) }
}

extension CatalogError.Code {
    /// The archive contradicts itself or others; the catalog is sound, and other archives can be recorded.
    fileprivate var isAboutTheArchive: Bool { self == .malformed || self == .outOfOrder || self == .otherRepository }
}

/// What must be known of a commit to put it in its place.
struct CommitHeader {
    let archive: StoredArchive
    /// The snapshot numbers that it stands for; the last is its snapshot's.
    let range: ClosedRange<UInt64>
    let identity: Digest
    let parent: SnapshotRecord.Parent?
    let replaces: [UInt64]

    /// Nil when it says that it stands for nothing.
    init?(_ reader: ArchiveReader) {
        guard let snapshot = reader.contents.snapshot, snapshot.coversFrom <= snapshot.number else { return nil }
        archive = StoredArchive(name: reader.name, size: reader.size)
        range = snapshot.coversFrom...snapshot.number
        identity = snapshot.identity
        parent = snapshot.parent
        replaces = reader.contents.replaces
    }
}

/// Which commits stand for the history, by the specification's second rule of reading.
enum ValidCommits {
    /// - Returns: The valid ones by snapshot number, and those that others supersede.
    static func choose(_ commits: [CommitHeader]) -> (valid: [CommitHeader], leftOver: [CommitHeader]) {
        // By descending range, so that commits in their usual order are appended.
        var valid: [CommitHeader] = []
        var leftOver: [CommitHeader] = []
        for commit in commits.sorted(by: { $0.archive.name.number > $1.archive.name.number }) {
            var low = 0
            var high = valid.count
            while low < high {
                let middle = (low + high) / 2
                if valid[middle].range.lowerBound > commit.range.upperBound { low = middle + 1 } else { high = middle }
            }
            // The first that does not lie wholly above; it overlaps, or lies wholly below as all behind it.
            if low < valid.count, valid[low].range.overlaps(commit.range) {
                leftOver.append(commit)
            } else {
                valid.insert(commit, at: low)
            }
        }
        return (valid.reversed(), leftOver)
    }
}

extension [SnapshotRow] {
    /// Of these ascending snapshots, the first whose commit stands for any of the numbers.
    fileprivate func covering(_ range: ClosedRange<UInt64>) -> SnapshotRow? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].number < range.lowerBound { low = middle + 1 } else { high = middle }
        }
        guard low < count, Swift.min(self[low].record.coversFrom, self[low].number) <= range.upperBound else { return nil }
        return self[low]
    }
}
