// The whole way of a snapshot, on one page.
//
//   where to look  →  SnapshotPlan      Scanning    what differs from the catalog
//   the plan       →  entries, chunks   Scanning    files are read, cut and named by their digests
//   new chunks     →  data frames       Archiving   tar, compressed, encrypted; `data` archives when there are many
//   entries        →  manifest frames   Archiving   all of them (full), or what differs (incremental)
//   the archive    →  a published file  Storing     one rename is the commit
//   the archive    →  the catalog       Cataloging  told last; after a crash it is told at the next start
//
// Invariant: every snapshot is complete. A problem with a source file is that file's; a failure of the repository
// fails the snapshot as a whole, and earlier ones are as they were.

internal import Archiving
internal import Cataloging
internal import Controlling
internal import Encrypting
internal import Kernel
package import Scanning
internal import Storing

package struct SnapshotPipeline {
    private let session: Session
    private let rules: ExcludeRules
    private let progress: (SnapshotProgress) -> Void
    private let isCancelled: @Sendable () -> Bool

    package init(
        session: Session, rules: ExcludeRules, progress: @escaping (SnapshotProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.session = session
        self.rules = rules
        self.progress = progress
        self.isCancelled = isCancelled
    }

    /// Takes a snapshot of what differs.
    ///
    /// - Returns: Without a record when nothing differs and a full one was not asked for.
    /// - Throws: `StorageError`, `CatalogError`, `AgentError.interrupted`, `.rolledBack`: no snapshot was added; `data` archives that
    ///   were finished stay, and the next attempt does not store their content again.
    package func run(_ order: SnapshotOrder) throws -> SnapshotOutcome {
        let started = session.now()
        var outcome = SnapshotOutcome(time: started)
        try session.checkRollback()
        var order = order
        if session.record.mustBeFull { order.recording = .full }
        let parent = try session.catalog.newest()
        let plan = try plan(order, started, &outcome)
        // Before the first snapshot everything is new, which tells nothing.
        if parent != nil { outcome.changedDirectories = plan.changedDirectories(limit: 10_000) }
        if plan.isEmpty, order.recording == .incremental || !outcome.unavailable.isEmpty && parent == nil { return outcome }

        let isFull = order.recording == .full || parent == nil
        let archives = try SnapshotArchives(
            session: session, time: started.milliseconds, isSmall: plan.isSmall, isStandalone: order.standalone,
            expecting: plan.upserts.count)
        defer { archives.close() }
        try session.checkRoom()
        let reading = try SnapshotReading(plan, into: archives, session: session, healed: outcome.healed, isCancelled: isCancelled)
            .run(progress: progress)
        outcome.problems += reading.problems
        outcome.unsettled = reading.unsettled
        let changes = reading.changes
        if changes.isEmpty, !isFull { return outcome }

        try archives.endData()
        let statistics = try isFull ? writeWhole(changes, parent, archives) : writeChanges(changes, parent, archives)
        // Above its parent's there may be numbers of snapshots that were lost and given up: it stands for those too.
        let number = try session.highestSnapshot() + 1
        let parentLink = parent.map { SnapshotRecord.Parent(number: $0.number, identity: $0.record.identity) }
        let commit = try archives.commit(kind: isFull ? .full : .incremental, highestSnapshot: number) { manifest, bytesAdded, data in
            var statistics = statistics
            statistics.bytesAdded = bytesAdded
            return SnapshotRecord(
                number: number, time: started.milliseconds, host: Array(ProcessIdentity.hostName.utf8),
                sources: session.configuration.sources,
                identity: SnapshotRecord.identity(
                    repository: session.repository.id, number: number, time: started.milliseconds, parent: parentLink?.identity,
                    manifest: manifest),
                parent: parentLink, coversFrom: (parent?.number ?? 0) + 1, dataArchives: data, statistics: statistics, isStandalone: order.standalone)
        }
        try record(commit, changes, archives.lane)
        outcome.record = commit.contents.snapshot
        outcome.kind = commit.stored.name.kind
        return outcome
    }

    private func plan(_ order: SnapshotOrder, _ started: Timestamp, _ outcome: inout SnapshotOutcome) throws -> SnapshotPlan {
        let rereading: Rereading = order.rehash || order.standalone ? .everything : .whatDiffers
        let scanner = Scanner(state: session.catalog, rules: rules, rereading: rereading)
        var plan: SnapshotPlan
        let began = BootInstant.now()
        do {
            plan = try scanner.plan(order.recording == .full ? .whole : order.scope, isCancelled: isCancelled)
        } catch is ScanCancelled {
            throw AgentError.interrupted
        }
        if order.looksEverywhere { outcome.healed = try addLost(to: &plan) }
        outcome.problems = plan.problems.map(PathProblem.init)
        outcome.unavailable = plan.unavailable
        outcome.entriesSeen = plan.counts.entries
        outcome.entriesLeftOut = plan.counts.excluded + plan.counts.tooLarge + plan.counts.noDump
        outcome.comparison = .now() - began
        outcome.differences = plan.upserts.count + plan.deletions.count
        return plan
    }

    /// Files whose recorded content is in no archive any more, and that still stand in the sources, are read again.
    private func addLost(to plan: inout SnapshotPlan) throws -> Set<Path> {
        let lost = try session.catalog.livePathsOfLostChunks()
        if lost.isEmpty { return [] }
        let planned = Set(plan.upserts.map(\.path) + plan.deletions)
        for path in lost where !planned.contains(path) {
            guard let status = try? FileStatus(of: path), status.kind == .file else { continue }
            plan.upserts.append(PlannedEntry(path: path, status: status, reading: .content))
        }
        plan.upserts.arrange()
        return Set(lost)
    }

    private func record(_ commit: PublishedArchive, _ changes: SnapshotChanges, _ lane: ArchiveRow.Lane) throws {
        let readBack = ReadBack(of: commit, session)
        // Whatever happens, nothing reads on behind this.
        defer { try? readBack.finish() }
        var records = changes.records()
        try session.catalog.record(snapshot: commit.stored, contents: commit.contents, mode: .changes) {
            if let record = try records.next() { return record }
            // The catalog is not told of an archive that does not read back.
            try readBack.finish()
            session.remember {
                $0.highestArchive = max($0.highestArchive, commit.stored.name.number)
                $0.highestSnapshot = max($0.highestSnapshot, commit.contents.snapshot?.number ?? 0)
                if commit.stored.name.kind == .full { $0.mustBeFull = false }
            }
            return nil
        }
        // Only now: whoever reads beside this must not miss in the catalog what was seen.
        session.remember { $0.expectedSnapshot = commit.contents.snapshot?.number ?? $0.expectedSnapshot }
        session.markReadBack(commit, lane)
    }
}

extension SnapshotPlan {
    /// Few enough that the deep lane costs no time that anyone would notice.
    fileprivate var isSmall: Bool { upserts.count < 2000 && upserts.bytesToRead < 4 << 20 }
}

// MARK: Manifests

extension SnapshotPipeline {
    /// An incremental manifest: the changes alone. The totals follow from the parent's.
    private func writeChanges(
        _ changes: SnapshotChanges, _ parent: SnapshotRow?, _ archives: SnapshotArchives
    ) throws -> SnapshotRecord.Statistics {
        var statistics = SnapshotRecord.Statistics(
            entries: parent?.record.statistics.entries ?? 0, bytesSource: parent?.record.statistics.bytesSource ?? 0, entriesChanged: UInt64(changes.count))
        var records = changes.records()
        while let record = try records.next() {
            let previous = try session.catalog.liveEntry(record.path)
            if let previous { statistics.remove(previous) }
            switch record {
            case .upsert(let entry):
                statistics.add(entry)
                try archives.add(upsert: entry, previous: previous?.content.chunks)
            case .deletion(let path):
                try archives.add(deletion: path)
            }
        }
        return statistics
    }

    /// A full manifest: the parent's state from the catalog, with the changes worked in.
    private func writeWhole(
        _ changes: SnapshotChanges, _ parent: SnapshotRow?, _ archives: SnapshotArchives
    ) throws -> SnapshotRecord.Statistics {
        var statistics = SnapshotRecord.Statistics(entriesChanged: UInt64(changes.count))
        var pending = changes.records()
        var next = try pending.next()
        func write(_ entry: Entry) throws {
            statistics.add(entry)
            try archives.add(upsert: entry, previous: nil)
        }
        func writePending(upTo path: Path?) throws {
            while let record = next, path.map({ record.path < $0 }) ?? true {
                if case .upsert(let entry) = record { try write(entry) }
                next = try pending.next()
            }
        }
        if let parent {
            try session.catalog.forEachEntry(below: .root, at: parent.number, includingContent: true) { entry in
                try writePending(upTo: entry.path)
                if let record = next, record.path == entry.path {
                    if case .upsert(let changed) = record { try write(changed) }
                    next = try pending.next()
                } else {
                    try write(entry)
                }
            }
        }
        try writePending(upTo: nil)
        return statistics
    }
}

extension SnapshotRecord.Statistics {
    fileprivate mutating func add(_ entry: Entry) {
        // Three sparse files can be larger together than a number; and what was before may come from an archive that lies.
        entries &+= 1
        if entry.kind == .file { bytesSource &+= entry.size }
    }

    fileprivate mutating func remove(_ entry: Entry) {
        entries = entries == 0 ? 0 : entries - 1
        if entry.kind == .file { bytesSource -= min(bytesSource, entry.size) }
    }
}
