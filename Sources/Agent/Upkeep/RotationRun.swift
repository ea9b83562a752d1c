// Decides which snapshots are kept, and merges the others away.
// In: the catalog's snapshots, the policy, the time.  Out: a verdict with reasons for each; fewer, larger archives.
// Invariant: the newest snapshot and pinned ones stay; while another process reads archives, nothing is removed.

internal import Archiving
internal import Cataloging
package import Controlling
internal import Kernel
package import Rotating
internal import Storing

package struct RotationRun {
    private let session: Session
    private let isCancelled: () -> Bool

    package init(session: Session, isCancelled: @escaping () -> Bool = { false }) {
        self.session = session
        self.isCancelled = isCancelled
    }

    /// What would be kept, and why.
    ///
    /// - Parameter size: In place of the configured one, to make room now.
    package func plan(size: UInt64? = nil) throws -> RotationPlan {
        var policy = session.configuration.keep
        if let size { policy.size = size }
        return RotationPlan(snapshots: try summaries(), policy: policy, now: session.now())
    }

    /// A plan that drops these snapshots, whatever the policy says, and no others.
    ///
    /// - Throws: `AgentError.noSnapshot`, `.failed` for the newest and for pinned ones.
    package func plan(forgetting numbers: Set<UInt64>) throws -> RotationPlan {
        let summaries = try summaries()
        let known = Dictionary(summaries.map { ($0.number, $0) }, uniquingKeysWith: { $1 })
        for number in numbers.sorted() {
            guard let summary = known[number] else { throw AgentError.noSnapshot("\(number)") }
            if number == summaries.last?.number {
                throw AgentError.failed("snapshot \(number) is the newest, and stays: take another one first, then forget it")
            }
            if summary.isPinned { throw AgentError.failed("snapshot \(number) is pinned; first: watchctl unpin \(number)") }
        }
        return RotationPlan(snapshots: summaries, forgetting: numbers)
    }

    private func summaries() throws -> [SnapshotSummary] {
        let sizes = Dictionary(try session.catalog.archives().map { ($0.archive.name.number, $0.archive.size) }, uniquingKeysWith: { $1 })
        return try session.catalog.snapshots().map { row in
            SnapshotSummary(
                number: row.number, time: row.time, isFull: row.kind == .full, isPinned: row.isPinned, isStandalone: row.record.isStandalone,
                bytes: ([row.archive] + row.record.dataArchives).reduce(0) { $0 + (sizes[$1] ?? 0) })
        }
    }

    /// Carries a plan out, one group after the other; ends between two when it is cancelled.
    ///
    /// Stands still while archives are missing or cannot be used: what hangs on them is not in the catalog, and would count as unneeded.
    /// - Returns: What was done, and whether that is all; what is left is for the next run.
    /// - Throws: `AgentError.rolledBack`; `ArchiveError` after everything else was done: a group whose content is damaged stays as it was;
    ///   `StorageError`, `CatalogError`: the group at hand is as it was, earlier ones are done.
    package func run(_ plan: RotationPlan) throws -> (response: RotateResponse, isFinished: Bool) {
        try session.checkRollback()
        try session.catchUp()
        var (response, isFinished) = try carryOut(plan)
        // What is to go and still stands was not removed, and is not said to be.
        let standing = Set(try session.catalog.snapshots().map(\.number))
        for index in response.snapshots.indices where standing.contains(response.snapshots[index].number) { response.snapshots[index].keep = true }
        return (response, isFinished)
    }

    private func carryOut(_ plan: RotationPlan) throws -> (response: RotateResponse, isFinished: Bool) {
        var response = plan.response
        if try session.isBroken {
            response.message = "rotation stands still: archives are missing or cannot be used; see: watchctl repair. Bring them back, or give them up: watchctl doctor --accept-rollback"
            return (response, true)
        }
        let data = try session.catalog.archives(of: .data)
        if plan.merges.isEmpty, data.isEmpty { return (response, true) }
        // The newest group first: snapshots refer to what was stored before them, so those still to be merged need nothing of it.
        var drop = try Drop(kept: plan.choices.filter(\.keep).map(\.number), groups: plan.merges.reversed(), session)
        do {
            // What is dead already goes before anything is written.
            response.add(try sweep(drop.needed(before: 0)))
            let isFinished = try merge(&drop, &response)
            if isFinished {
                response.add(try rewriteMostlyDead(drop.needed(before: drop.groups.count)))
                response.add(try sweep(drop.needed(before: drop.groups.count)))
                _ = try session.catalog.pruneChunks()
            }
            if let damage = drop.damage { throw damage }
            return (response, isFinished)
        } catch is ReaderThere {
            response.message = "another process is reading the repository; it is tried again later"
            return (response, true)
        }
    }

    /// Another process holds the readers' lock: nothing more goes.
    private struct ReaderThere: Error {}

    /// The groups on their way, and what is needed at each step.
    private struct Drop {
        var kept: [UInt64]
        var groups: [MergeGroup]
        private var references: ChunkReferences
        /// The first that was met.
        var damage: ArchiveError?
        /// There was no room for them.
        private(set) var postponed: [MergeGroup] = []
        private var hasMerged = false

        init(kept: [UInt64], groups: [MergeGroup], _ session: Session) throws {
            self.kept = kept
            self.groups = groups
            references = try session.catalog.references(kept: kept, dropping: groups.map(\.dropped))
        }

        /// While the groups before `place` are gone, and those from there on are still there.
        func needed(before place: Int) -> NeededChunks { NeededChunks(references, merging: place - 1) }

        /// While the group at `place` is being merged.
        func needed(merging place: Int) -> NeededChunks { NeededChunks(references, merging: place) }

        /// A group that cannot be merged stays as it was, and what it needs with it. Those before it are done.
        mutating func giveUp(_ place: Int, _ error: ArchiveError, _ session: Session) throws {
            damage = damage ?? error
            try leaveOut(place, session)
        }

        /// A group for which there is no room waits until the others are done. Those before it are done.
        mutating func postpone(_ place: Int, _ session: Session) throws {
            postponed.append(groups[place])
            hasMerged = hasMerged || place > 0
            try leaveOut(place, session)
        }

        /// Takes up again what there was no room for, if anything was merged since.
        mutating func resume(_ session: Session) throws -> Bool {
            if postponed.isEmpty || !hasMerged && groups.isEmpty { return false }
            let waiting = Set(postponed.flatMap(\.dropped))
            kept.removeAll(where: waiting.contains)
            groups = postponed
            postponed = []
            hasMerged = false
            references = try session.catalog.references(kept: kept, dropping: groups.map(\.dropped))
            return true
        }

        private mutating func leaveOut(_ place: Int, _ session: Session) throws {
            kept = (kept + groups[place].dropped).sorted()
            groups = Array(groups[(place + 1)...])
            references = try session.catalog.references(kept: kept, dropping: groups.map(\.dropped))
        }
    }

    /// - Returns: False when it ended between two groups.
    private func merge(_ drop: inout Drop, _ response: inout RotateResponse) throws -> Bool {
        if drop.groups.isEmpty { return true }
        let consolidator = try session.consolidator()
        func replace(_ group: MergeGroup, _ needed: NeededChunks) throws {
            guard let freed = try session.replace(consolidator, with: consolidator.merge(group, needed)) else { throw ReaderThere() }
            response.add(freed)
        }
        repeat {
            var place = 0
            while place < drop.groups.count {
                if isCancelled() { return false }
                let needed = drop.needed(merging: place)
                do {
                    while try !hasRoom(for: drop.groups[place], needed) {
                        guard let part = try clearable(drop.groups[place], needed) else {
                            throw StorageError(.full, "there is no room to merge", at: session.repository.path)
                        }
                        try replace(part, needed)
                        drop.groups[place] = drop.groups[place].without(part.dropped)
                    }
                    try replace(drop.groups[place], needed)
                    place += 1
                } catch let error as ArchiveError {
                    // One damaged group does not hold up the others.
                    try drop.giveUp(place, error, session)
                    place = 0
                } catch let error as StorageError where error.code == .full {
                    try drop.postpone(place, session)
                    place = 0
                }
            }
        } while try drop.resume(session)
        if !drop.postponed.isEmpty {
            response.message = "\(session.repository.path): there is not enough free space to merge all; free some on the repository's disk"
        }
        return true
    }

    /// The first commits of a group that has no room: merged into the last of them, and without what only the group needs, they
    /// take up next to nothing. That snapshot is to go as well, and until it does cannot be restored: so this is done only when the
    /// whole group will fit then.
    ///
    /// - Returns: Nil when that would not help, or there is no room for it either.
    private func clearable(_ group: MergeGroup, _ needed: NeededChunks) throws -> MergeGroup? {
        guard let free = session.storage.freeBytes else { return nil }
        let all = try demand(of: group.dropped, needed)
        let whole = try demand(of: group.dropped + [group.into], needed)
        guard all.held > all.written, free + (all.held - all.written) > whole.written else { return nil }
        var count = group.dropped.count
        while count > 0 {
            let part = Array(group.dropped.prefix(count))
            let demand = try demand(of: part, needed)
            // One alone must not be rewritten again and again for nothing.
            let isWorthIt = count > 1 || demand.held > 2 * demand.written
            if isWorthIt, free > demand.written { return MergeGroup(dropped: part.dropLast(), into: part[count - 1]) }
            count /= 2
        }
        return nil
    }

    /// A merge writes what its commits hold, or less, before they go. When the disk fills all the same, the merge leaves nothing.
    private func hasRoom(for group: MergeGroup, _ needed: NeededChunks) throws -> Bool {
        guard let free = session.storage.freeBytes else { return true }
        let numbers = group.dropped + [group.into]
        let commits = try numbers.compactMap { try session.catalog.snapshot($0)?.archive }
        if try free > session.catalog.archives(commits).reduce(1 << 20, { $0 + $1.archive.size }) { return true }
        return try free > demand(of: numbers, needed).written
    }

    /// What the commits of these snapshots hold, and about what is written when they are merged, in bytes.
    private func demand(of numbers: [UInt64], _ needed: NeededChunks) throws -> (held: UInt64, written: UInt64) {
        let rows = try numbers.compactMap { try session.catalog.snapshot($0) }
        let archives = try session.catalog.archives(rows.map(\.archive)).map(\.archive)
        let held = archives.reduce(0) { $0 + $1.size }
        var written: UInt64 = 128 << 10
        for archive in archives {
            written += min(archive.size, try session.catalog.usage(of: archive.name.number, needed: needed).neededBytes)
        }
        // A record of a manifest is about a hundred bytes. Where one of them is full, or nothing stands before, so is the result.
        let isFull = rows.contains { $0.kind == .full }
        let records = isFull ? rows.last?.record.statistics.entries ?? 0 : rows.reduce(0) { $0 + $1.record.statistics.entriesChanged }
        return (held, written + 100 * records)
    }

    /// Removes `data` archives of which nothing is needed. Those that no snapshot names belong to an unfinished one, and stay until a full
    /// snapshot commits; those of a standalone snapshot stay with it.
    private func sweep(_ needed: NeededChunks) throws -> Freed {
        let catalog = session.catalog
        let data = try catalog.archives(of: .data).map(\.archive)
        if data.isEmpty { return Freed() }
        let snapshots = try catalog.snapshots()
        let named = Set(snapshots.flatMap(\.record.dataArchives))
        let standalone = try session.standaloneData()
        let lastFull = snapshots.last { $0.kind == .full }?.archive ?? 0
        let dead = try data.filter { archive in
            let number = archive.name.number
            guard !standalone.contains(number), named.contains(number) || number < lastFull else { return false }
            return try catalog.usage(of: number, needed: needed).neededBytes == 0
        }
        guard let freed = try session.removeData(dead, needed) else { throw ReaderThere() }
        return freed
    }

    /// Gives what is live in `data` archives that are mostly dead a new place; the sweep takes them then. Copies that a standalone snapshot
    /// has left behind are dead as well.
    private func rewriteMostlyDead(_ needed: NeededChunks) throws -> Freed {
        let standalone = try session.standaloneData()
        var freed = Freed()
        for archive in try session.catalog.archives(of: .data).map(\.archive) where !standalone.contains(archive.name.number) {
            let usage = try session.catalog.usage(of: archive.name.number, needed: needed)
            guard usage.neededBytes > 0, usage.neededBytes * 2 < usage.bytes, session.storage.freeBytes ?? .max > archive.size else { continue }
            let evacuation = try session.consolidator().evacuate(archive, needed, .move)
            freed.bytes -= Int64(clamping: evacuation.published.reduce(0) { $0 + $1.stored.size })
        }
        return freed
    }
}

extension Session {
    /// Archives are missing, cannot be used or are known to be damaged.
    var isBroken: Bool {
        get throws { try !gaps.isEmpty || !record.lost.isEmpty || !catalog.unusableCommits().isEmpty }
    }

    /// There is something that repair could mend: damage, or what an earlier one could not do.
    var isDamaged: Bool {
        get throws { try !record.damaged.isEmpty || !catalog.snapshotsWithoutArchive().isEmpty || isBroken }
    }
}

extension MergeGroup {
    fileprivate func without(_ gone: [UInt64]) -> MergeGroup { MergeGroup(dropped: Array(dropped.dropFirst(gone.count)), into: into) }
}

extension RotateResponse {
    fileprivate mutating func add(_ freed: Freed) {
        removedArchives += freed.archives
        freedBytes += freed.bytes
    }
}

extension RotationPlan {
    var response: RotateResponse {
        RotateResponse(
            snapshots: choices.map { RotationVerdict(number: $0.number, keep: $0.keep, reasons: $0.reasons.map(\.rawValue)) },
            removedArchives: 0, freedBytes: 0, message: suspension.map { "rotation stands still: \($0.text)" } ?? "")
    }
}

extension RotationPlan.Suspension {
    fileprivate var text: String {
        switch self {
        case .clockBehind: "the newest snapshot is in the future; the clock is suspect"
        case .clockSetBack: "the clock was set back lately"
        case .clockJumped: "the clock jumped lately, or the computer was off for long; a day of snapshots will tell"
        }
    }
}
