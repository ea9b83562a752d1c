// What the daemon's threads know of its state, in one place; status requests read it without waiting for any work.
// In: notes of the loop.  Out: StatusFacts; `status.json`, and a report for each listener, after every change.

internal import Archiving
internal import Cataloging
internal import Controlling
internal import Kernel
internal import Storing
internal import Scheduling
internal import Synchronization
internal import Watching

final class StatusBoard: Sendable {
    struct Notes: Sendable {
        var configuration: Configuration
        var places: Places
        var started = Timestamp.now()
        var activity = "idle"
        var progress: StatusReport.Progress?
        var next: StatusReport.Next?
        var isPaused = false
        /// What was asked for and the loop has not heard yet.
        var pauseRequest: Bool?
        /// By code: an activity that succeeds takes back what its failure said.
        var reasons: [String: [StatusReason]] = [:]
        var latest: StatusFacts.LatestSnapshot?
        var latestFull: StatusReport.LatestFull?
        var repositoryID: String?
        var snapshots = 0
        var archives = 0
        var bytes: UInt64 = 0
        var lastVerified: Timestamp?
        var coverage: VerificationCoverage?
        var confirmed: Timestamp?
        /// The change that waits longest, and when it was noticed as the clock on the wall shows it: its age is of that clock, like all ages here.
        var oldestPending: (instant: BootInstant, noticed: Timestamp)?
        var reconciles: UInt64 = 0
        /// The latest, the newest first.
        var recentReconciles: [StatusReport.Reconcile] = []
        /// The last scan found nothing that it could not look at, and nothing has been lost since.
        var isComplete = false
        var keyIsKept = false
        var keyIsReadableByOthers = false
        var watcher: (any Watcher)?
    }

    let notes: Mutex<Notes>
    let dirty: DirtyBox
    private let listeners = Mutex<[UInt64: AsyncStream<StatusReport>.Continuation]>([:])
    /// What the service manager knows.
    private let told = Mutex("")
    private let nextListener = Atomic<UInt64>(0)

    init(configuration: Configuration, places: Places, dirty: DirtyBox) {
        notes = Mutex(Notes(configuration: configuration, places: places))
        self.dirty = dirty
    }

    /// Changes the notes, and tells everyone who listens.
    func note(_ change: (inout Notes) -> Void) {
        notes.withLock { change(&$0) }
        publish()
    }

    /// Changes the notes without telling: for progress, which changes many times a second.
    func noteQuietly(_ change: (inout Notes) -> Void) {
        notes.withLock { change(&$0) }
    }

    /// The last look at everything found nothing that it could not look at.
    var isComplete: Bool { notes.withLock { $0.isComplete && $0.reasons["sources"] == nil } }

    var latestNumber: UInt64? { notes.withLock { $0.latest?.number } }

    var watcher: (any Watcher)? { notes.withLock { $0.watcher } }

    func report() -> StatusReport { facts(isRunning: true).report() }

    /// How backing up stands, and why, the most serious first. That a person paused it is no news to that person.
    func standing() -> (Standing, [StatusReason]) {
        let reasons = facts(isRunning: true).weighed().filter { $0.weight > .advice && $0.code != "paused" }
        let hasFailed = notes.withLock { $0.reasons["snapshot"] != nil || $0.reasons["session"] != nil }
        let standing: Standing = hasFailed || reasons.first?.weight == .unprotected ? .failing : reasons.isEmpty ? .well : .degraded
        return (standing, reasons)
    }

    /// Writes `status.json` for the time when no daemon answers.
    func writeFile(isRunning: Bool = true) {
        write(facts(isRunning: isRunning).report())
    }

    private func write(_ report: StatusReport) {
        let file = notes.withLock { $0.places.statusFile }
        guard let bytes = try? ControlJSON.encode(report, pretty: true) else { return }
        try? file.replaceFile(with: bytes + [UInt8(ascii: "\n")], mode: 0o600, .atomic)
    }

    func changes() -> AsyncStream<StatusReport> {
        let id = nextListener.add(1, ordering: .relaxed).newValue
        let (stream, continuation) = AsyncStream.makeStream(of: StatusReport.self, bufferingPolicy: .bufferingNewest(1))
        continuation.onTermination = { [weak self] _ in _ = self?.listeners.withLock { $0.removeValue(forKey: id) } }
        listeners.withLock { $0[id] = continuation }
        continuation.yield(report())
        return stream
    }

    func endListening() {
        let all = listeners.withLock { listeners in
            defer { listeners.removeAll() }
            return Array(listeners.values)
        }
        for listener in all { listener.finish() }
    }

    private func publish() {
        let report = report()
        write(report)
        if ServiceManager.isThere { tellManager(report.line) }
        let all = listeners.withLock { Array($0.values) }
        for listener in all { listener.yield(report) }
    }

    /// Once for each change.
    private func tellManager(_ line: String) {
        told.withLock { told in
            if told != line { ServiceManager.notify("STATUS=\(line)") }
            told = line
        }
    }

    private func facts(isRunning: Bool) -> StatusFacts {
        let pending = dirty.summary()
        let now = Timestamp.now()
        let notes = notes.withLock { notes in
            if notes.oldestPending?.instant != pending.oldest {
                notes.oldestPending = pending.oldest.map { ($0, now.adding(.zero - (.now() - $0))) }
            }
            return notes
        }
        let isPaused = notes.pauseRequest ?? notes.isPaused
        let statistics = notes.watcher?.statistics()
        let watch = watchReport(notes, statistics)
        let daemon = StatusReport.Daemon(
            running: isRunning, pid: isRunning ? ProcessIdentity.pid : nil, version: AgentVersion.text,
            started: notes.started.iso8601)
        var repository = StatusReport.Repository(
            path: "\(notes.configuration.repository)", id: notes.repositoryID, snapshots: notes.snapshots, archives: notes.archives,
            bytes: notes.bytes, freeBytes: nil, lastVerified: notes.lastVerified?.iso8601,
            verification: notes.coverage.map(StatusReport.Verification.init))
        let fileSystem = try? FileSystemStatus(at: notes.configuration.repository)
        repository.freeBytes = fileSystem?.freeBytes
        var facts = StatusFacts(
            now: now, daemon: daemon, sources: notes.configuration.sources, watch: watch,
            activity: .init(state: isPaused && notes.activity == "idle" ? "paused" : notes.activity, progress: notes.progress, next: notes.next),
            repository: repository, keyIsKept: notes.keyIsKept, keyFile: notes.configuration.keyFile ?? notes.places.keyFile)
        facts.reasons = notes.reasons.values.flatMap { $0 }
        if let statistics { facts.reasons += WatchReasons.of(statistics, every: notes.configuration.schedule.reconcileEvery) }
        facts.latest = notes.latest
        facts.latestFull = notes.latestFull
        facts.pendingPaths = pending.count
        facts.oldestPending = pending.oldest.map { .now() - $0 }
        facts.hot = hotPaths()
        // A twentieth of the disk, but no more than a person would call little, and well before snapshots fail.
        facts.lowSpace = max(2 * Session.reserve(on: fileSystem), min((fileSystem?.totalBytes ?? 0) / 20, 5 << 30))
        facts.isRepositoryThere = Repository.isThere(notes.configuration.repository)
        facts.isPaused = isPaused
        facts.unreadSince = notes.coverage?.waitingSince.map { Timestamp(milliseconds: $0) }
        // As the key was found when it was read, until that is mended.
        facts.keyIsReadableByOthers = notes.keyIsReadableByOthers && (try? FileStatus(of: facts.keyFile).mode & 0o077) != 0
        facts.keyIsThere = facts.keyFile.exists
        facts.staleAfter = notes.configuration.limits.longestWait
        // While everything is watched, what stood there before the oldest pending change is in the latest snapshot.
        let isKnown = isRunning && notes.latest != nil && notes.isComplete && !["snapshotting", "reconciling"].contains(notes.activity)
            && watch.directoriesWatched == watch.directoriesWanted && watch.directoriesWatched > 0
        facts.confirmed = isKnown ? notes.oldestPending?.noticed ?? now : notes.confirmed
        if let before = notes.confirmed, let present = facts.confirmed, present < before, before <= now { facts.confirmed = before }
        return facts
    }

    /// Keeps the confirmed moment for the time of a snapshot, when what is pending is not known.
    func holdConfirmed() {
        let confirmed = facts(isRunning: true).confirmed
        notes.withLock { $0.confirmed = confirmed }
    }
}

package enum AgentVersion {
    package static let text = "1.0.0"
}
