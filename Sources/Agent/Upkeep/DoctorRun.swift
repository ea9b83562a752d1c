// Does the catalog know the sources as they are, and does the watcher watch them?
// In: the sources, the newest snapshot; of a running daemon its watcher.  Out: DoctorResponse.
// Invariant: nothing is changed, and no content is read.

internal import Cataloging
internal import Controlling
internal import Kernel
internal import Scanning
internal import Tracking
internal import Watching

/// What became of paths that looked different.
struct Diagnosis: Sendable {
    /// They differ, and nobody knows. In tree order.
    var missed: [Path]
    /// So many others differ, and are known to.
    var waiting: Int
}

struct DoctorRun: Sendable {
    let catalog: Catalog
    let rules: ExcludeRules
    let isCancelled: @Sendable () -> Bool

    struct Findings: Sendable {
        var entries: UInt64
        /// In tree order.
        var different: [Path]
        var problems: [String]
    }

    /// Compares all of the sources with the newest snapshot by their metadata.
    ///
    /// - Throws: `AgentError.interrupted`; `CatalogError`.
    func compareAll() throws -> Findings {
        let (plan, different) = try look(.whole)
        return Findings(
            entries: plan.counts.entries, different: different,
            problems: plan.problems.map(\.description) + plan.unavailable.map { "\($0.path) \($0.text)" })
    }

    /// Those of `paths` that differ.
    func compare(_ paths: [Path]) throws -> [Path] {
        let wanted = Set(paths)
        return try differences(.changes(paths.map { Change(path: $0, scope: .entry) })).filter(wanted.contains)
    }

    /// What a scan of this scope finds different, in tree order.
    func differences(_ scope: ScanScope) throws -> [Path] { try look(scope).different }

    /// - Throws: `WatchError`.
    func audit(_ watcher: (any Watcher)?) throws -> DoctorResponse.Watch? {
        try watcher?.audit(isCancelled: isCancelled).map { audit in
            DoctorResponse.Watch(
                directories: audit.directories, blind: audit.blind.map(\.description), stale: audit.stale.map(\.description))
        }
    }

    private func look(_ scope: ScanScope) throws -> (plan: SnapshotPlan, different: [Path]) {
        let plan: SnapshotPlan
        do {
            plan = try Scanner(state: catalog, rules: rules).plan(scope, isCancelled: isCancelled)
        } catch is ScanCancelled {
            throw AgentError.interrupted
        }
        // What is only as new as its reading is compared again some time, and is no difference.
        let different = try plan.upserts.filter { planned in
            try catalog.liveStatus(planned.path)?.mayBeRestored(as: planned) != true
        }.map(\.path) + plan.deletions
        return (plan, different.sorted())
    }
}

extension DoctorRun.Findings {
    func response(_ diagnosis: Diagnosis, _ watch: DoctorResponse.Watch?) -> DoctorResponse {
        DoctorResponse(
            entries: entries, different: diagnosis.missed.map(\.description), waitingCount: diagnosis.waiting, problems: problems, watch: watch)
    }
}
