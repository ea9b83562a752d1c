// What is known of an installation at one moment, and the verdict that follows from it.
// In: facts, gathered by the daemon or, without one, from what it left behind.  Out: StatusReport.
// Pure: the moment is one of the facts.

package import Controlling
package import Kernel

/// Something that a person should know, and how much it takes from the verdict.
package struct StatusReason: Hashable, Sendable {
    package enum Weight: Int, Comparable, Sendable {
        /// Good to know; the verdict stays.
        case advice
        case degraded
        case unprotected

        package static func < (left: Weight, right: Weight) -> Bool { left.rawValue < right.rawValue }
    }

    package var code: String
    package var message: String
    package var remedy: String
    package var weight: Weight

    package init(_ code: String, _ weight: Weight, _ message: String, remedy: String) {
        self.code = code
        self.weight = weight
        self.message = message
        self.remedy = remedy
    }
}

package struct StatusFacts: Sendable {
    package var now: Timestamp
    package var daemon: StatusReport.Daemon
    package var sources: [Path]
    /// What the activities reported, by code.
    package var reasons: [StatusReason] = []
    package var latest: LatestSnapshot?
    package var latestFull: StatusReport.LatestFull?
    package var pendingPaths = 0
    package var oldestPending: Duration?
    package var hot: [StatusReport.Hot] = []
    package var watch: StatusReport.Watch
    package var confirmed: Timestamp?
    package var activity: StatusReport.Activity
    package var repository: StatusReport.Repository
    package var isPaused = false
    package var keyIsKept: Bool
    package var keyIsReadableByOthers = false
    package var keyIsThere = true
    package var keyFile: Path
    /// Since when the archive that waits longest to be read has been waiting.
    package var unreadSince: Timestamp?
    package var isRepositoryThere = true
    /// Free bytes of the repository's disk below which a person is told.
    package var lowSpace: UInt64 = 0
    /// Beyond this, what is not in a snapshot counts as unprotected.
    package var staleAfter: Duration = .seconds(86400)

    package struct LatestSnapshot: Hashable, Sendable {
        package var number: UInt64
        package var kind: String
        package var time: Timestamp
        package var entriesChanged: UInt64
        package var bytesAdded: UInt64

        package init(number: UInt64, kind: String, time: Timestamp, entriesChanged: UInt64, bytesAdded: UInt64) {
            self.number = number
            self.kind = kind
            self.time = time
            self.entriesChanged = entriesChanged
            self.bytesAdded = bytesAdded
        }
    }

    package init(
        now: Timestamp, daemon: StatusReport.Daemon, sources: [Path], watch: StatusReport.Watch, activity: StatusReport.Activity,
        repository: StatusReport.Repository, keyIsKept: Bool, keyFile: Path
    ) {
        self.now = now
        self.daemon = daemon
        self.sources = sources
        self.watch = watch
        self.activity = activity
        self.repository = repository
        self.keyIsKept = keyIsKept
        self.keyFile = keyFile
    }
}

extension StatusFacts {
    /// Protected or not, and why.
    package func report() -> StatusReport {
        let all = weighed()
        let verdict: StatusReport.Verdict =
            switch all.map(\.weight).max() {
            case _ where !daemon.running: .stopped
            case .unprotected: .unprotected
            case .degraded: .degraded
            case .advice, nil: .protected
            }
        return StatusReport(
            verdict: verdict, reasons: all.map { .init(code: $0.code, message: $0.message, remedy: $0.remedy) }, daemon: daemon,
            latestSnapshot: latest.map {
                .init(
                    number: $0.number, kind: $0.kind, time: $0.time.iso8601, ageSeconds: max(0, now.duration(since: $0.time).secondsValue),
                    entriesChanged: $0.entriesChanged, bytesAdded: $0.bytesAdded)
            },
            asOf: now.iso8601, confirmed: confirmed?.iso8601, latestFull: latestFull,
            pending: .init(paths: pendingPaths, oldestAgeSeconds: oldestPending?.secondsValue, hot: hot), watch: watch, activity: activity,
            repository: repository, sources: sources.map(\.description))
    }

    /// All reasons, the most serious first.
    package func weighed() -> [StatusReason] {
        (reasons + derivedReasons()).sorted { ($1.weight, $0.code) < ($0.weight, $1.code) }
    }

    private func derivedReasons() -> [StatusReason] {
        var result: [StatusReason] = []
        if isPaused {
            result.append(StatusReason("paused", .degraded, "backing up is paused; changes are noted and wait", remedy: "watchctl resume"))
        }
        if latest == nil, daemon.running {
            let isBeingTaken = activity.state == "snapshotting"
            result.append(
                StatusReason(
                    "stale", .unprotected, isBeingTaken ? "the first snapshot is being taken" : "there is no snapshot yet",
                    remedy: "wait for it: watchctl status --watch"))
        } else if let confirmed {
            let age = now.duration(since: confirmed)
            if age > staleAfter {
                result.append(
                    StatusReason(
                        "stale", .unprotected, "changes of the last \(DurationText.rough(age)) are in no snapshot", remedy: "watchctl snapshot"))
            }
        }
        if let latest, latest.time.duration(since: now) > .seconds(300) {
            result.append(
                StatusReason(
                    "clock", .degraded, "the clock shows \(now.localText), and the latest snapshot is from \(latest.time.localText)",
                    remedy: "set the clock; rotation stands still until then"))
        }
        if !isRepositoryThere, !reasons.contains(where: { $0.code == "repository-missing" }) {
            result.append(
                StatusReason(
                    "repository-missing", .unprotected, "there is no repository at \(repository.path)",
                    remedy: "connect or mount its disk; changes are noted until then"))
        } else if let free = repository.freeBytes, free < lowSpace, !reasons.contains(where: { $0.code == "repository-full" }) {
            result.append(
                StatusReason(
                    "repository-full", .degraded, "only \(ByteText.describe(free)) are free for the repository",
                    remedy: "free some space on its disk, or keep less: watchctl rotate --size, [keep] size"))
        }
        if !keyIsThere, !reasons.contains(where: { $0.code == "key-missing" }) {
            // The daemon goes on with the one that it has read.
            let reason = StatusReport.Reason.keyMissing(keyFile)
            result.append(StatusReason(reason.code, .degraded, reason.message, remedy: reason.remedy))
        }
        if keyIsReadableByOthers {
            result.append(
                StatusReason("key-unsafe", .degraded, "others can read the key file \(keyFile)", remedy: "chmod 600 \(keyFile)"))
        }
        if let unreadSince, now.duration(since: unreadSince) > VerificationPatience.behind, let verification = repository.verification {
            result.append(
                StatusReason(
                    "verification-behind", .advice,
                    "\(verification.unread) of \(repository.archives) archives were not read in full in the last 31 days",
                    remedy: "watchctl verify --data"))
        }
        if !keyIsKept {
            result.append(
                StatusReason(
                    "key-not-kept", .advice, "the key exists on this computer only: if it is lost, so are the backups",
                    remedy: "watchctl key export, and keep what it prints; or watchctl key add for a passphrase"))
        }
        return result
    }
}

/// The contract's verdict as an exit status.
extension StatusReport {
    package var exitStatus: Int32 {
        switch verdict {
        case .protected: 0
        case .degraded: 1
        case .unprotected: 2
        case .stopped: 3
        }
    }
}
