// Why a path is, or is not, backed up; when it last was; and whether what stands there now differs from that.
// In: a path.  Out: the rule with its file and line, the latest version, the live file against it; what a running daemon knows of it. Nothing is
// changed.

internal import Archiving
package import Cataloging
package import Controlling
package import Kernel
package import Scanning

/// Everything that is known of one path.
package struct PathReport: Hashable, Sendable {
    /// What stands there now, against the latest version.
    package enum Live: Hashable, Sendable {
        case missing
        /// Nothing of it is in the newest snapshot.
        case new
        /// As far as its status tells.
        case same
        /// As of `EntryDifference`.
        case different([String])
    }

    package var explanation: PathExplanation
    /// Where the rule is written that leaves it out, or takes it back.
    package var location: RuleLocation?
    /// The latest version that a kept snapshot shows.
    package var latest: DatedVersion?
    /// How many versions are kept.
    package var versions: Int
    package var live: Live
    /// Why the snapshots cannot be asked; nil when they were.
    package var problem: String?
    /// Whether a running daemon would notice a change, and what is pending; nil without a daemon, and for what is not backed up.
    package var watch: PathWatch?

    /// The rule that decided.
    package var rule: RuleOrigin? {
        switch explanation.reason {
        case .included(let rule): rule
        case .excluded(let rule): rule
        default: nil
        }
    }
}

extension Commands {
    /// Looks at one path from all sides. Without a repository only the rules are told.
    ///
    /// - Parameter isDirectory: Taken for the kind of a path that neither exists nor is in a snapshot.
    /// - Complexity: A few system calls for each component, and the versions of the path.
    package func explain(_ path: Path, assumingDirectory isDirectory: Bool = false) throws -> PathReport {
        var versions: [DatedVersion] = []
        var problem: String?
        do {
            versions = try openForReading().catalog.datedHistory(of: path)
        } catch {
            problem = "\(error)"
        }
        let latest = versions.last
        let explanation = try installation.rules.explain(path, assuming: latest?.entry.kind ?? (isDirectory ? .directory : .file))
        var report = PathReport(explanation: explanation, latest: latest, versions: versions.count, live: .missing, problem: problem)
        report.location = report.rule?.location(configurationFile: installation.places.configurationFile)
        if explanation.isBackedUp { report.watch = try? client.explain(path) }
        if let status = explanation.status {
            report.live = .new
            if let latest, latest.until == nil {
                let names = EntryDifference.names(from: latest.entry, to: status)
                report.live = EntryDifference.isWorthNaming(names, status.kind) ? .different(names) : .same
            }
        }
        return report
    }
}
