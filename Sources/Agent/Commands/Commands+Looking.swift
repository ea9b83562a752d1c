// What a person can ask about the past, the space and the next snapshot. Nothing is changed, and no daemon is asked.
// In: paths, the catalog, the sources.  Out: versions of a path, sums, what a snapshot would take.

internal import Archiving
package import Cataloging
package import Controlling
package import Kernel
internal import Scanning
internal import Storing

/// A version of a path, and what sets it apart from the one before.
package struct PathVersion: Hashable, Sendable {
    package var version: DatedVersion
    /// `new` for one that follows nothing or a deletion.
    package var changed: [String]
    /// True when the path was gone before this one.
    package var followsDeletion: Bool

    /// - Parameter versions: Of one path, the oldest first.
    static func list(_ versions: [DatedVersion]) -> [PathVersion] {
        var result: [PathVersion] = []
        for version in versions {
            let before = result.last?.version
            let isContinued = before?.until?.snapshot == version.first.snapshot
            let changed = before.flatMap { isContinued ? EntryDifference.names(from: $0.entry, to: version.entry) : nil } ?? ["new"]
            result.append(PathVersion(version: version, changed: changed, followsDeletion: before != nil && !isContinued))
        }
        return result
    }
}

/// What the next snapshot would take.
package struct SnapshotPreview: Hashable, Sendable {
    package struct Change: Hashable, Sendable {
        package var letter: ChangeLetter
        package var path: Path
    }

    /// The snapshot that everything is compared with; nil before the first.
    package var base: UInt64?
    package var added: UInt64 = 0
    package var modified: UInt64 = 0
    package var deleted: UInt64 = 0
    /// Files that are read again because their metadata cannot tell, and may turn out equal. They are among `modified`.
    package var uncertain: UInt64 = 0
    package var bytesToRead: UInt64 = 0
    /// The first of them, in tree order.
    package var first: [Change] = []
    /// What could not be looked at; its last known content stays.
    package var problems: [PathProblem] = []

    static let shown = 20
}

extension Commands {
    /// Every version of a path that a kept snapshot shows, the oldest first.
    ///
    /// - Throws: `AgentError.failed` when none shows it.
    package func history(_ path: Path) throws -> [PathVersion] {
        let versions = try PathVersion.list(openForReading().catalog.datedHistory(of: path))
        if versions.isEmpty { throw AgentError.failed("\(path) is in no snapshot that is kept; why: watchctl explain \(path.shellText)") }
        return versions
    }

    /// Where the space of the repository goes.
    ///
    /// - Complexity: O(versions + entries): a few seconds for a million entries.
    package func statistics() throws -> StatisticsReport { try StatisticsReport(openForReading().catalog) }

    /// Compares all of the sources with the newest snapshot, as a snapshot would.
    ///
    /// - Throws: `AgentError.rolledBack`, `.interrupted`.
    package func preview(
        _ request: SnapshotRequest, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> SnapshotPreview {
        let session = try openForReading()
        try session.checkRollback()
        let rereading: Rereading = request.rehash || request.standalone ? .everything : .whatDiffers
        let plan: SnapshotPlan
        do {
            plan = try Scanner(state: session.catalog, rules: installation.rules, rereading: rereading).plan(.whole, isCancelled: isCancelled)
        } catch is ScanCancelled {
            throw AgentError.interrupted
        }
        return try SnapshotPreview(plan, session.catalog)
    }
}

extension SnapshotPreview {
    fileprivate init(_ plan: SnapshotPlan, _ catalog: Catalog) throws {
        base = try catalog.newest()?.number
        deleted = UInt64(plan.deletions.count)
        bytesToRead = plan.upserts.bytesToRead
        for planned in plan.upserts {
            // Before the first snapshot the catalog need not be asked.
            let known = base == nil ? nil : try catalog.liveStatus(planned.path)
            if known == nil { added += 1 } else { modified += 1 }
            if let known, known.mayBeRestored(as: planned) { uncertain += 1 }
            if first.count < SnapshotPreview.shown { first.append(Change(letter: known == nil ? .added : .modified, path: planned.path)) }
        }
        first += plan.deletions.prefix(SnapshotPreview.shown).map { Change(letter: .deleted, path: $0) }
        first = Array(first.sorted { $0.path < $1.path }.prefix(SnapshotPreview.shown))
        problems = plan.problems.map(PathProblem.init)
            + plan.unavailable.map { PathProblem(path: "\($0.path)", reason: $0.text + "; its last known content stays") }
    }
}
