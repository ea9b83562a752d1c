// What changed between two moments, or since a moment until now.
// In: two snapshots, or one and the sources.  Out: a letter for each path, in tree order.
// Two snapshots are compared by their versions: what did not change is not looked at. The sources are compared by metadata, as a scan
// does: a file of the same size and time counts as the same, and none is read.

internal import Archiving
internal import Cataloging
package import Controlling
package import Kernel
internal import Scanning
internal import Tracking

package struct ComparisonOrder: Sendable {
    package var from: Moment
    /// Nil for the sources as they are now.
    package var to: Moment?
    /// Only what is at or below these; none: everything.
    package var paths: [Path]

    package init(from: Moment, to: Moment?, paths: [Path]) {
        self.from = from
        self.to = to
        self.paths = paths
    }
}

/// One path that is not what it was.
package struct PathChange: Hashable, Sendable {
    package var letter: ChangeLetter
    package var path: Path
    /// What it is, or was before it was deleted.
    package var kind: FileKind
    /// As of a version; empty for what was added or deleted.
    package var changed: [String]

    package init(letter: ChangeLetter, path: Path, kind: FileKind, changed: [String]) {
        self.letter = letter
        self.path = path
        self.kind = kind
        self.changed = changed
    }
}

/// What was compared.
package struct ComparisonReport: Hashable, Sendable {
    package var from: UInt64
    /// Nil for the sources.
    package var to: UInt64?
    /// What could not be looked at: it is taken to be as it was.
    package var problems: [PathProblem] = []
}

extension Commands {
    /// Calls `body` with every path that differs, in tree order. A directory of which only the time differs is not among them.
    ///
    /// - Throws: `AgentError.noSnapshot`, `.notInSnapshot` for a path that neither side has, `.interrupted`; what `body` throws.
    /// - Complexity: Two snapshots: O(changes between them). With the sources also a scan of the paths that are asked for.
    package func compare(
        _ order: ComparisonOrder, isCancelled: @escaping @Sendable () -> Bool = { false }, _ body: (PathChange) throws -> Void
    ) throws -> ComparisonReport {
        let session = try openForReading()
        let from = try session.snapshot(at: order.from).number
        let to = try order.to.map { try session.snapshot(at: $0).number }
        for path in order.paths where try !session.has(path, at: from) {
            guard try to.map({ try session.has(path, at: $0) }) ?? ((try? FileStatus(of: path)) != nil) else {
                throw try session.absent(path, at: from, "diff")
            }
        }
        func report(_ change: PathChange?) throws {
            if isCancelled() { throw AgentError.interrupted }
            guard let change, order.paths.isEmpty || order.paths.contains(where: { change.path.isAtOrBelow($0) }) else { return }
            try body(change)
        }
        guard let to else {
            let problems = try session.compareWithSources(from, order.paths, installation.rules, isCancelled, report)
            return ComparisonReport(from: from, to: nil, problems: problems)
        }
        if from != to {
            try session.catalog.forEachDifference(from: min(from, to), to: max(from, to)) { try report(PathChange(from < to ? $0 : $0.reversed)) }
        }
        return ComparisonReport(from: from, to: to)
    }
}

extension Session {
    /// True for a directory above the sources too.
    func has(_ path: Path, at snapshot: UInt64) throws -> Bool {
        try path.isRoot || catalog.entry(path, at: snapshot, includingContent: false) != nil || !catalog.children(of: path, at: snapshot).isEmpty
    }

    /// - Returns: What could not be looked at.
    fileprivate func compareWithSources(
        _ from: UInt64, _ paths: [Path], _ rules: ExcludeRules, _ isCancelled: @escaping @Sendable () -> Bool, _ body: (PathChange?) throws -> Void
    ) throws -> [PathProblem] {
        let scope: ScanScope = paths.isEmpty ? .whole : .changes(paths.map { Change(path: $0, scope: .subtree) })
        let plan: SnapshotPlan
        do {
            plan = try Scanner(state: catalog, rules: rules).plan(scope, isCancelled: isCancelled)
        } catch is ScanCancelled {
            throw AgentError.interrupted
        }
        // From the moment to the newest snapshot by the versions, and from there to now by the plan.
        var known: [Path: PathDifference] = [:]
        if let newest = try catalog.newest()?.number, newest > from {
            try catalog.forEachDifference(from: from, to: newest) { known[$0.path] = $0 }
        }
        let planned = Set(plan.upserts.map(\.path))
        let deleted = Set(plan.deletions)
        for path in Set(known.keys).union(planned).union(deleted).sorted() {
            let old = try known[path].map(\.old) ?? catalog.entry(path, at: from, includingContent: false)
            // What went away since the scan is as good as deleted.
            let status = planned.contains(path) ? try? FileStatus(of: path) : nil
            if deleted.contains(path) || planned.contains(path) && status == nil {
                try body(old.map { PathChange(letter: .deleted, path: path, kind: $0.kind, changed: []) })
            } else if let status, known[path]?.new.map({ !EntryDifference.names(from: $0, to: status).isEmpty }) ?? true {
                try body(PathChange(path, from: old, to: status))
            } else {
                try body(known[path].flatMap(PathChange.init))
            }
        }
        return plan.problems.map(PathProblem.init)
            + plan.unavailable.map { PathProblem(path: "\($0.path)", reason: $0.text + "; its last known content is taken for it") }
    }
}

extension PathChange {
    /// Nil when nothing worth naming differs.
    fileprivate init?(_ difference: PathDifference) {
        guard let kind = difference.new?.kind ?? difference.old?.kind else { return nil }
        var changed: [String] = []
        if let old = difference.old, let new = difference.new {
            changed = EntryDifference.names(from: old, to: new, isSameContent: difference.isSameContent)
            if !EntryDifference.isWorthNaming(changed, kind) { return nil }
        }
        let letter: ChangeLetter = difference.old == nil ? .added : difference.new == nil ? .deleted : changed == ["type"] ? .retyped : .modified
        self.init(letter: letter, path: difference.path, kind: kind, changed: changed)
    }

    /// Nil when nothing worth naming differs, as far as the status tells.
    fileprivate init?(_ path: Path, from old: Entry?, to status: FileStatus) {
        guard let old else {
            self.init(letter: .added, path: path, kind: status.kind, changed: [])
            return
        }
        let changed = EntryDifference.names(from: old, to: status)
        if !EntryDifference.isWorthNaming(changed, status.kind) { return nil }
        self.init(letter: changed == ["type"] ? .retyped : .modified, path: path, kind: status.kind, changed: changed)
    }
}

extension PathDifference {
    /// From the later snapshot to the earlier one.
    fileprivate var reversed: PathDifference { PathDifference(path: path, old: new, new: old, isSameContent: isSameContent) }
}
