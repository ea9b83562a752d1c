// What `watchctl status --json` prints and `status.json` holds: a contract with scripts.
// Times are ISO 8601 in UTC with milliseconds. Members are only ever added.

/// The state of one installation, schema 1.
package struct StatusReport: Codable, Hashable, Sendable {
    package enum Verdict: String, Codable, Sendable {
        /// Everything in the sources is in a snapshot, or will be in moments.
        case protected
        /// Backing up, but something needs attention.
        case degraded
        /// Failing, or too old.
        case unprotected
        /// No daemon runs.
        case stopped
    }

    /// Why the verdict is not better, or an advice.
    package struct Reason: Codable, Hashable, Sendable {
        /// One of the codes of the interface, for example `source-missing`.
        package var code: String
        package var message: String
        /// What mends it.
        package var remedy: String

        package init(code: String, message: String, remedy: String) {
            self.code = code
            self.message = message
            self.remedy = remedy
        }
    }

    package struct Daemon: Codable, Hashable, Sendable {
        package var running: Bool
        @Nullable package var pid: Int32?
        package var version: String
        @Nullable package var started: String?

        package init(running: Bool, pid: Int32?, version: String, started: String?) {
            self.running = running
            self.pid = pid
            self.version = version
            self.started = started
        }
    }

    package struct LatestSnapshot: Codable, Hashable, Sendable {
        package var number: UInt64
        package var kind: String
        package var time: String
        package var ageSeconds: Double
        package var entriesChanged: UInt64
        package var bytesAdded: UInt64

        package init(number: UInt64, kind: String, time: String, ageSeconds: Double, entriesChanged: UInt64, bytesAdded: UInt64) {
            self.number = number
            self.kind = kind
            self.time = time
            self.ageSeconds = ageSeconds
            self.entriesChanged = entriesChanged
            self.bytesAdded = bytesAdded
        }
    }

    package struct LatestFull: Codable, Hashable, Sendable {
        package var number: UInt64
        package var time: String

        package init(number: UInt64, time: String) {
            self.number = number
            self.time = time
        }
    }

    /// What changed and is not in a snapshot yet.
    package struct Pending: Codable, Hashable, Sendable {
        package var paths: Int
        @Nullable package var oldestAgeSeconds: Double?
        /// The paths that change all the time, at most twenty; those that are saved least often first.
        @Later package var hot: [Hot]

        package init(paths: Int, oldestAgeSeconds: Double?, hot: [Hot] = []) {
            self.paths = paths
            self.oldestAgeSeconds = oldestAgeSeconds
            self.hot = hot
        }
    }

    /// A path that is saved less often because it never comes to rest.
    package struct Hot: Codable, Hashable, Sendable {
        package var path: String
        /// How long it must rest now, at most, before it is saved.
        package var backoffSeconds: Double
        /// When it is saved next; null when it has not changed since.
        @Nullable package var due: String?

        package init(path: String, backoffSeconds: Double, due: String?) {
            self.path = path
            self.backoffSeconds = backoffSeconds
            self.due = due
        }
    }

    /// A comparison of everything in the sources with the latest snapshot.
    package struct Reconcile: Codable, Hashable, Sendable {
        package var time: String
        /// For example `start`, `overflow`, `interval`, `full`.
        package var reasons: [String]
        /// What the comparison took, without reading content.
        package var seconds: Double
        /// What was looked at, and what differed.
        package var entries: UInt64
        package var changed: UInt64

        package init(time: String, reasons: [String], seconds: Double, entries: UInt64, changed: UInt64) {
            self.time = time
            self.reasons = reasons
            self.seconds = seconds
            self.entries = entries
            self.changed = changed
        }
    }

    package struct Unwatched: Codable, Hashable, Sendable {
        package var path: String
        package var reason: String

        package init(path: String, reason: String) {
            self.path = path
            self.reason = reason
        }
    }

    package struct Watch: Codable, Hashable, Sendable {
        package var backend: String
        package var directoriesWatched: Int
        package var directoriesWanted: Int
        /// The most directories to watch, so that other programs can watch some too; null where watches are not counted.
        @Nullable package var limit: Int?
        package var events: UInt64
        package var overflows: UInt64
        package var reconciles: UInt64
        @Nullable package var lastReconcile: String?
        /// The latest five, the newest first.
        @Later package var recentReconciles: [Reconcile]
        /// The first of them; `directoriesWanted - directoriesWatched` tells how many there are.
        package var unwatched: [Unwatched]

        package init(
            backend: String, directoriesWatched: Int, directoriesWanted: Int, limit: Int? = nil, events: UInt64, overflows: UInt64,
            reconciles: UInt64, lastReconcile: String?, recentReconciles: [Reconcile] = [], unwatched: [Unwatched]
        ) {
            self.backend = backend
            self.directoriesWatched = directoriesWatched
            self.directoriesWanted = directoriesWanted
            self.limit = limit
            self.events = events
            self.overflows = overflows
            self.reconciles = reconciles
            self.lastReconcile = lastReconcile
            self.recentReconciles = recentReconciles
            self.unwatched = unwatched
        }
    }

    package struct Progress: Codable, Hashable, Sendable {
        package var filesDone: UInt64
        package var filesTotal: UInt64
        package var bytesDone: UInt64
        package var bytesTotal: UInt64

        package init(filesDone: UInt64, filesTotal: UInt64, bytesDone: UInt64, bytesTotal: UInt64) {
            self.filesDone = filesDone
            self.filesTotal = filesTotal
            self.bytesDone = bytesDone
            self.bytesTotal = bytesTotal
        }
    }

    package struct Next: Codable, Hashable, Sendable {
        package var action: String
        @Nullable package var due: String?
        @Nullable package var waitingFor: String?

        package init(action: String, due: String?, waitingFor: String?) {
            self.action = action
            self.due = due
            self.waitingFor = waitingFor
        }
    }

    package struct Activity: Codable, Hashable, Sendable {
        /// idle, waiting, snapshotting, reconciling, verifying, rotating, compacting or paused
        package var state: String
        @Nullable package var progress: Progress?
        @Nullable package var next: Next?

        package init(state: String, progress: Progress?, next: Next?) {
            self.state = state
            self.progress = progress
            self.next = next
        }
    }

    /// How far back the readings of all archives reach.
    package struct Verification: Codable, Hashable, Sendable {
        /// When the archive that was read longest ago was read; null when one was never read, or there is none.
        @Nullable package var oldest: String?
        /// Archives that were not read in full within 31 days.
        package var unread: Int

        package init(oldest: String?, unread: Int) {
            self.oldest = oldest
            self.unread = unread
        }
    }

    package struct Repository: Codable, Hashable, Sendable {
        package var path: String
        @Nullable package var id: String?
        package var snapshots: Int
        package var archives: Int
        package var bytes: UInt64
        @Nullable package var freeBytes: UInt64?
        @Nullable package var lastVerified: String?
        /// Null as long as the repository could not be opened.
        @Nullable package var verification: Verification?

        package init(
            path: String, id: String?, snapshots: Int, archives: Int, bytes: UInt64, freeBytes: UInt64?, lastVerified: String?,
            verification: Verification? = nil
        ) {
            self.path = path
            self.id = id
            self.snapshots = snapshots
            self.archives = archives
            self.bytes = bytes
            self.freeBytes = freeBytes
            self.lastVerified = lastVerified
            self.verification = verification
        }
    }

    package var schema = 1
    package var verdict: Verdict
    package var reasons: [Reason]
    package var daemon: Daemon
    @Nullable package var latestSnapshot: LatestSnapshot?
    /// When this report was made.
    package var asOf: String
    /// The latest moment at which everything in the sources was known to be in a snapshot.
    @Nullable package var confirmed: String?
    @Nullable package var latestFull: LatestFull?
    package var pending: Pending
    package var watch: Watch
    package var activity: Activity
    package var repository: Repository
    package var sources: [String]

    package init(
        verdict: Verdict, reasons: [Reason], daemon: Daemon, latestSnapshot: LatestSnapshot?, asOf: String, confirmed: String?,
        latestFull: LatestFull?, pending: Pending, watch: Watch, activity: Activity, repository: Repository, sources: [String]
    ) {
        self.verdict = verdict
        self.reasons = reasons
        self.daemon = daemon
        self.latestSnapshot = latestSnapshot
        self.asOf = asOf
        self.confirmed = confirmed
        self.latestFull = latestFull
        self.pending = pending
        self.watch = watch
        self.activity = activity
        self.repository = repository
        self.sources = sources
    }
}
