// What a person can ask for. Whatever writes goes through the daemon when one runs, and is done here when none does;
// whatever reads looks at the catalog and the archives itself.
// In: requests.  Out: the same answers, whoever did the work.

internal import Archiving
package import Cataloging
package import Controlling
internal import Encrypting
package import Kernel
internal import Scanning
internal import Storing

package struct Commands: Sendable {
    let installation: Installation

    package init(_ installation: Installation) {
        self.installation = installation
    }

    var client: ControlClient { installation.client }

    /// Asks the daemon; nil when none runs.
    ///
    /// - Throws: The daemon's `Problem`; `ControlError` when it runs and does not answer.
    func ask<Value>(_ call: (ControlClient) throws -> Value) throws -> Value? {
        do {
            return try call(client)
        } catch ControlError.notRunning where !installation.isDaemonRunning {
            return nil
        }
    }

    func openForWriting() throws -> Session { try Session(installation.configuration, at: installation.places, for: .writing) }

    func openForReading() throws -> Session { try Session(installation.configuration, at: installation.places, for: .reading) }
}

// MARK: Writing

extension Commands {
    /// Verifies. Without a daemon, and for progress, the work is done here.
    package func verify(
        _ request: VerifyRequest, progress: @escaping @Sendable (_ bytes: UInt64, _ total: UInt64) -> Void = { _, _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> VerifyResponse {
        if let response = try ask({ try $0.post("/v1/verify", request, VerifyResponse.self) }) { return response }
        if request.depth == .digests { return try VerificationRun.digests(installation, progress: progress, isCancelled: isCancelled) }
        return try VerificationRun(session: openForReading(), progress: progress, isCancelled: isCancelled).run(request).response
    }

    package func rotate(_ request: RotateRequest) throws -> RotateResponse {
        if let response = try ask({ try $0.post("/v1/rotate", request, RotateResponse.self) }) { return response }
        if request.dryRun { return try RotationRun(session: openForReading()).plan(size: request.size).response }
        let run = RotationRun(session: try openForWriting())
        return try run.run(try run.plan(size: request.size)).response
    }

    package func remark(_ request: RemarkRequest) throws -> MessageResponse {
        if let response = try ask({ try $0.post("/v1/remarks", request, MessageResponse.self) }) { return response }
        return try openForWriting().remark(request)
    }

    package func rebuildCatalog() throws -> MessageResponse {
        if let response = try ask({ try $0.post("/v1/catalog/rebuild", MessageResponse.self) }) { return response }
        let session = try openForWriting()
        let gaps = try session.rebuildCatalog()
        let count = try session.catalog.totals().snapshots
        return try CatalogIngest.answer(gaps, snapshots: count)
    }

    /// - Throws: `ControlError.notRunning`: only a daemon can pause.
    package func pause(_ request: PauseRequest) throws -> MessageResponse { try client.post("/v1/pause", request, MessageResponse.self) }

    package func resume() throws -> MessageResponse { try client.post("/v1/resume", MessageResponse.self) }

    package func reload() throws -> MessageResponse { try client.post("/v1/reload", MessageResponse.self) }
}

// MARK: Looking

extension Commands {
    /// The daemon's report; without one, what it left behind, as `stopped`.
    package func status() -> StatusReport {
        let failure: any Error
        do {
            return try client.status()
        } catch {
            failure = error
        }
        let (verdict, reason) = verdict(without: failure)
        let stored = (try? installation.places.statusFile.readFile(limit: 1 << 20))
            .flatMap { try? ControlJSON.decode(StatusReport.self, from: $0) }
        var report = stored ?? emptyReport()
        report.verdict = verdict
        report.daemon.running = verdict != .stopped
        if verdict == .stopped { report.daemon.pid = nil }
        report.activity = .init(state: "idle", progress: nil, next: nil)
        report.reasons.insert(reason, at: 0)
        for obstacle in obstacles(to: &report) { report.reasons.insert(obstacle, at: 1) }
        addRepository(to: &report)
        return report
    }

    /// What it means that the daemon gave no report.
    private func verdict(without failure: any Error) -> (StatusReport.Verdict, StatusReport.Reason) {
        guard installation.isDaemonRunning else {
            return (.stopped, .init(code: "daemon-stopped", message: "no daemon runs: nothing is being backed up", remedy: "watchctl start"))
        }
        // Nobody listens yet, for it brings the catalog up to date first, or makes it anew; or no more, for it finishes what it has begun.
        if case ControlError.notRunning = failure, installation.daemonStarted.map({ Timestamp.now().duration(since: $0) < .seconds(3600) }) ?? false {
            return (.degraded, .init(code: "daemon-starting", message: "the daemon is starting, or about to end", remedy: "wait for it: watchctl status --watch"))
        }
        return (.unprotected, .init(code: "daemon-hung", message: "the daemon runs and does not answer", remedy: "watchctl restart"))
    }

    /// What would keep a daemon from working, as it is now: what an earlier report said of that is taken out of it.
    private func obstacles(to report: inout StatusReport) -> [StatusReport.Reason] {
        report.reasons.removeAll { ["repository-missing", "key-missing"].contains($0.code) }
        let configuration = installation.configuration
        let keyFile = configuration.keyFile ?? installation.places.keyFile
        var result: [StatusReport.Reason] = []
        if !keyFile.exists { result.append(.keyMissing(keyFile)) }
        if !Repository.isThere(configuration.repository) {
            result.append(
                .init(
                    code: "repository-missing", message: "there is no repository at \(configuration.repository)",
                    remedy: "connect or mount its disk"))
        }
        return result
    }

    /// What the catalog knows beyond what a daemon left behind: snapshots that were taken without one.
    private func addRepository(to report: inout StatusReport) {
        guard let session = try? openForReading(), let newest = try? session.catalog.newest(), let totals = try? session.catalog.totals() else {
            return
        }
        let statistics = newest.record.statistics
        let time = Timestamp(milliseconds: newest.time)
        report.latestSnapshot = .init(
            number: newest.number, kind: newest.kind.text, time: time.iso8601, ageSeconds: max(0, Timestamp.now().duration(since: time).secondsValue),
            entriesChanged: statistics.entriesChanged, bytesAdded: statistics.bytesAdded)
        report.latestFull = totals.latestFull.map { .init(number: $0.number, time: Timestamp(milliseconds: $0.time).iso8601) }
        report.repository.id = "\(session.repository.id)"
        report.repository.snapshots = totals.snapshots
        report.repository.archives = totals.archives
        report.repository.bytes = totals.bytes
        report.repository.freeBytes = session.storage.freeBytes
        report.repository.lastVerified = session.record.lastVerify.map { Timestamp(milliseconds: $0).iso8601 } ?? report.repository.lastVerified
        report.repository.verification = (try? session.catalog.coverage(now: .now())).map(StatusReport.Verification.init)
        report.confirmed = session.record.confirmed.map { Timestamp(milliseconds: $0).iso8601 } ?? report.confirmed
    }

    private func emptyReport() -> StatusReport {
        let configuration = installation.configuration
        return StatusReport(
            verdict: .stopped, reasons: [], daemon: .init(running: false, pid: nil, version: AgentVersion.text, started: nil),
            latestSnapshot: nil, asOf: Timestamp.now().iso8601, confirmed: nil, latestFull: nil, pending: .init(paths: 0, oldestAgeSeconds: nil),
            watch: .init(
                backend: "none", directoriesWatched: 0, directoriesWanted: 0, events: 0, overflows: 0, reconciles: 0, lastReconcile: nil,
                unwatched: []), activity: .init(state: "idle", progress: nil, next: nil),
            repository: .init(
                path: "\(configuration.repository)", id: nil, snapshots: 0, archives: 0, bytes: 0, freeBytes: nil, lastVerified: nil),
            sources: configuration.sources.map(\.description))
    }

    /// Calls `body` with a report after each change, until it throws or the daemon ends.
    package func watchStatus(_ body: (StatusReport) throws -> Void) throws {
        try client.events { try body($0) }
    }

    /// The kept snapshots, ascending.
    package func snapshots(since: Moment? = nil, until: Moment? = nil) throws -> [SnapshotListing] {
        let catalog = try openForReading().catalog
        return try catalog.snapshots().filter { row in
            since.map { $0.isAtOrBefore(row) } ?? true && until.map { $0.isAtOrAfter(row) } ?? true
        }.map(SnapshotListing.init)
    }

    /// The entries directly in a directory, or all below it; a file lists itself.
    ///
    /// - Throws: `AgentError.notInSnapshot`, `.noSnapshot`, `.rolledBack`.
    package func list(_ path: Path, at moment: Moment, recursive: Bool) throws -> (snapshot: UInt64, entries: [ListedEntry]) {
        let session = try openForReading()
        let number = try session.snapshot(at: moment).number
        let entry = try session.catalog.entry(path, at: number, includingContent: false)
        if let entry, entry.kind != .directory { return (number, [ListedEntry(entry: entry, isImplicit: false)]) }
        if recursive {
            var result: [ListedEntry] = []
            try session.catalog.forEachEntry(below: path, at: number, includingContent: false) { entry in
                if entry.path != path { result.append(ListedEntry(entry: entry, isImplicit: false)) }
            }
            if result.isEmpty, entry == nil, !path.isRoot { throw try session.absent(path, at: number, "ls") }
            return (number, result)
        }
        let children = try session.catalog.children(of: path, at: number)
        if children.isEmpty, entry == nil, !path.isRoot { throw try session.absent(path, at: number, "ls") }
        return (number, children)
    }
}

extension StatusReport.Reason {
    static func keyMissing(_ file: Path) -> StatusReport.Reason {
        .init(
            code: "key-missing", message: "the key file \(file) is gone: nothing can be restored, and no daemon starts without it",
            remedy: "put it back, type its printed form: watchctl key import, or a passphrase: watchctl key import --passphrase")
    }
}

extension SnapshotListing {
    init(_ row: SnapshotRow) {
        let statistics = row.record.statistics
        self.init(
            number: row.number, kind: row.kind.text, time: Timestamp(milliseconds: row.time).iso8601, archives: 1 + row.record.dataArchives.count,
            entries: statistics.entries, entriesChanged: statistics.entriesChanged, bytesSource: statistics.bytesSource,
            bytesAdded: statistics.bytesAdded, tags: row.tags.map { printable($0) }, pinned: row.isPinned)
    }
}

extension Moment {
    fileprivate func isAtOrBefore(_ row: SnapshotRow) -> Bool {
        switch self {
        case .latest: false
        case .number(let number): number <= row.number
        case .time(let time): time.milliseconds <= row.time
        }
    }

    fileprivate func isAtOrAfter(_ row: SnapshotRow) -> Bool {
        switch self {
        case .latest: true
        case .number(let number): number >= row.number
        case .time(let time): time.milliseconds >= row.time
        }
    }
}

extension Session {
    /// Why there is no snapshot of a number: merged into a later one, lost, or never taken.
    private func missing(_ number: UInt64) throws -> AgentError {
        if let later = try catalog.snapshots().first(where: { $0.number > number }), later.record.coversFrom <= number {
            return .noSnapshot("\(number): it was rotated into \(later.number)")
        }
        // An archive that cannot be opened does not say which snapshot it holds: one behind those that are known.
        let highest = try catalog.highestNumbers().snapshot + UInt64(gaps.count)
        guard number > 0 && number <= highest else { return .noSnapshot("\(number)") }
        let reasons = gaps.map { "\n  \($0.archive): \($0.reason)" }.joined()
        return .damaged("snapshot \(number) cannot be used\(reasons.isEmpty ? ": its archive is missing" : "; these archives were refused:" + reasons)")
    }

    /// The snapshot that a moment selects.
    ///
    /// - Throws: `AgentError.noSnapshot`; for the latest also `.rolledBack`.
    func snapshot(at moment: Moment) throws -> SnapshotRow {
        switch moment {
        case .latest: return try newestSnapshot()
        case .number(let number):
            if let row = try catalog.snapshot(number) { return row }
            throw try missing(number)
        case .time(let time):
            guard let row = try catalog.newest(atOrBefore: time.milliseconds) else {
                let oldest = try catalog.snapshots().first.map { "; the oldest is \($0.number), of \(Timestamp(milliseconds: $0.time).localText)" }
                throw AgentError.noSnapshot("at or before \(time.localText)\(oldest ?? "")")
            }
            return row
        }
    }
}
