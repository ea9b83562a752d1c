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
    package func plan() throws -> RotationPlan {
        let rows = try session.catalog.snapshots()
        let sizes = Dictionary(try session.catalog.archives().map { ($0.archive.name.number, $0.archive.size) }, uniquingKeysWith: { $1 })
        let summaries = rows.map { row in
            SnapshotSummary(
                number: row.number, time: row.time, isFull: row.kind == .full, isPinned: row.isPinned, isStandalone: row.record.isStandalone,
                bytes: ([row.archive] + row.record.dataArchives).reduce(0) { $0 + (sizes[$1] ?? 0) })
        }
        return RotationPlan(snapshots: summaries, policy: session.configuration.keep, now: .now())
    }

    /// Carries the plan out, one group after the other; ends between two when it is cancelled.
    ///
    /// Stands still while archives are missing or cannot be used: what hangs on them is not in the catalog, and would count as unneeded.
    /// - Returns: What was done, and whether that is all; what is left is for the next run.
    /// - Throws: `AgentError.rolledBack`; `ArchiveError` after everything else was done: a group whose content is damaged stays as it was;
    ///   `StorageError`, `CatalogError`: the group at hand is as it was, earlier ones are done.
    package func run() throws -> (response: RotateResponse, isFinished: Bool) {
        try session.checkRollback()
        let plan = try plan()
        var response = plan.response
        let isBroken = try session.catalog.archives().contains { $0.archive.name.kind.isCommit && $0.snapshot == nil }
        if isBroken || !session.gaps.isEmpty || !session.record.lost.isEmpty {
            response.message = "rotation stands still: archives are missing or cannot be used; see: watchctl verify. Bring them back, or give them up: watchctl doctor --accept-rollback"
            return (response, true)
        }
        let kept = plan.choices.filter(\.keep).map(\.number)
        guard !plan.merges.isEmpty else {
            if try sweep(&response) == false { response.message = RotationRun.readerMessage }
            return (response, true)
        }
        guard let removalLock = try session.repository.lockForRemoval() else {
            response.message = RotationRun.readerMessage
            return (response, true)
        }
        defer { removalLock.release() }
        let compression = session.configuration.compression
        let level = compression.deep ?? compression.fast
        let pool = try SealingPool(
            key: session.key, verifies: compression.verifiesWrites, bytesInFlight: Int(clamping: session.configuration.limits.memory / 4))
        defer { pool.shutDown() }
        let consolidator = try Consolidator(
            storage: session.storage, keys: session.keys, catalog: session.catalog, repository: session.repository.id, pool: pool,
            settings: .init(level: level, archiveSize: session.configuration.archiveSize))
        var damage: ArchiveError?
        var isFinished = true
        var unmerged: [UInt64] = []
        // The newest first: snapshots refer to what was stored before them, so those still to be merged need nothing of this group.
        let groups = Array(plan.merges.reversed())
        for (index, group) in groups.enumerated() {
            if isCancelled() {
                isFinished = false
                break
            }
            // Snapshots of other groups are still there: this run may end before it comes to them.
            let remaining = groups[(index + 1)...].flatMap(\.dropped)
            let live = try session.catalog.referencedChunks(keeping: (kept + remaining + unmerged).sorted())
            let highest = try session.highestSnapshot()
            let outcome: Consolidator.Outcome
            do {
                outcome = try consolidator.merge(group, live: live, recordHead: try session.recordHead(), highestSnapshot: highest) {
                    let number = try session.nextArchiveNumber()
                    session.remember { $0.highestArchive = max($0.highestArchive, number) }
                    return number
                }
            } catch let error as ArchiveError {
                // One damaged group does not hold up the others.
                damage = damage ?? error
                unmerged += group.dropped
                continue
            }
            try remove(outcome.superseded, &response)
            response.freedBytes -= min(response.freedBytes, outcome.published.reduce(0) { $0 + $1.stored.size })
        }
        _ = try sweep(&response, holding: removalLock)
        _ = try session.catalog.pruneChunks()
        if let damage { throw damage }
        return (response, isFinished)
    }

    /// Removes `data` archives that no snapshot names and of which nothing is needed: what unfinished snapshots left behind. They stay
    /// until a full snapshot commits. Those that a snapshot names go when it is merged; a standalone one keeps its own copies.
    ///
    /// - Returns: False when something could go and another process is reading.
    private func sweep(_ response: inout RotateResponse, holding lock: RepositoryLock? = nil) throws -> Bool {
        let catalog = session.catalog
        let rows = try catalog.archives()
        let lastFull = rows.last { $0.archive.name.kind == .full }?.archive.name.number ?? 0
        let named = Set(try catalog.snapshots().flatMap(\.record.dataArchives))
        let candidates = rows.filter {
            $0.archive.name.kind == .data && $0.archive.name.number < lastFull && !named.contains($0.archive.name.number)
        }
        if candidates.isEmpty { return true }
        let usage = try catalog.usage(referenced: try catalog.referencedChunks())
        let dead = candidates.filter { usage[$0.archive.name.number]?.referencedChunks ?? 0 == 0 }.map(\.archive)
        if dead.isEmpty { return true }
        guard let removal = try lock ?? session.repository.lockForRemoval() else { return false }
        defer { if lock == nil { removal.release() } }
        try catalog.forget(dead.map(\.name.number))
        try remove(dead, &response)
        return true
    }

    private func remove(_ archives: [StoredArchive], _ response: inout RotateResponse) throws {
        for archive in archives {
            do {
                try session.storage.remove(archive.name)
            } catch {
                if error.code == .missing { continue }
                throw error
            }
            response.removedArchives += 1
            response.freedBytes += archive.size
        }
    }

    private static let readerMessage = "another process is reading the repository; nothing was removed, and it is tried again later"
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
