// Does the catalog know the sources as they are? And what to do when the repository went back in time.

internal import Cataloging
internal import Kernel
internal import Scanning

/// What a look at everything found.
package struct DoctorReport: Codable, Hashable, Sendable {
    package var entries: UInt64
    /// Paths whose present state is not in the newest snapshot, the first of them.
    package var different: [String]
    package var differentCount: Int
    /// What could not be looked at.
    package var problems: [String]

    package var isHealthy: Bool { differentCount == 0 && problems.isEmpty }
}

extension Commands {
    /// Compares all of the sources with the newest snapshot by their metadata. Nothing is changed.
    ///
    /// - Throws: `AgentError.noSnapshot`, `.rolledBack`, `.interrupted`.
    package func doctor(isCancelled: @escaping @Sendable () -> Bool = { false }) throws -> DoctorReport {
        let session = try openForReading()
        _ = try session.newestSnapshot()
        let plan: SnapshotPlan
        do {
            plan = try Scanner(state: session.catalog, rules: installation.rules).plan(.whole, isCancelled: isCancelled)
        } catch is ScanCancelled {
            throw AgentError.interrupted
        }
        // What is only as new as its reading is compared again some time, and is no difference.
        let different = try plan.upserts.filter { planned in
            try session.catalog.liveStatus(planned.path)?.mayBeRestored(as: planned) != true
        }.map(\.path) + plan.deletions
        return DoctorReport(
            entries: plan.counts.entries, different: different.prefix(100).map(\.description), differentCount: different.count,
            problems: plan.problems.map(\.description) + plan.unavailable.map { "\($0.path) \($0.reason.text)" })
    }

    /// Accepts a repository that went back in time, or lost archives, as it is.
    ///
    /// - Returns: What a person should know.
    /// - Throws: `StorageError.locked` while a daemon runs.
    package func acceptRollback() throws -> String {
        let session = try openForWriting()
        do {
            try session.checkRollback()
            let lost = session.record.lost
            guard !lost.isEmpty else { return "the repository did not go back in time; nothing was changed" }
            session.remember { $0.lost = [] }
            return "\(lost.count) missing archives are given up; what only they held cannot be restored: watchctl verify --data"
        } catch AgentError.rolledBack {
            let newest = try session.acceptRollback()
            return "snapshot \(newest) is the newest there is now; the next snapshot will be a full one"
        }
    }
}
