// The control API's calls, handed to the loop or answered from what the board knows.

internal import Controlling
internal import Kernel
internal import Synchronization
internal import Watching

struct DaemonService: ControlService {
    let inbox: Inbox
    let board: StatusBoard
    let configurationFile: Path

    func status() async -> StatusReport { board.report() }

    func explain(_ path: Path) async throws -> PathWatch { board.explain(path) }

    func statusChanges() async -> AsyncStream<StatusReport> { board.changes() }

    func snapshot(_ request: SnapshotRequest) async throws -> SnapshotResponse {
        guard request.wait else {
            inbox.put(.snapshot(request, nil))
            return SnapshotResponse(
                taken: false, number: nil, kind: nil, time: nil, entriesChanged: 0, bytesAdded: 0, message: "the snapshot is asked for", problems: [])
        }
        return try await inbox.ask { .snapshot(request, $0) }
    }

    /// Reads only, so it runs beside the loop: snapshots go on.
    func verify(_ request: VerifyRequest) async throws -> VerifyResponse {
        let (inbox, board) = (inbox, board)
        let file = configurationFile
        return try await onThread("verify") {
            let installation = try Installation.load(configurationFile: file)
            if request.depth == .digests {
                return try VerificationRun.digests(installation, isCancelled: { inbox.isStopping.load(ordering: .relaxed) })
            }
            let session = try Session(installation.configuration, at: installation.places, for: .reading)
            let run = VerificationRun(session: session, isCancelled: { inbox.isStopping.load(ordering: .relaxed) })
            let response = try run.run(request).response
            let coverage = try session.catalog.coverage(now: .now())
            board.note { notes in
                notes.coverage = coverage
                notes.lastVerified = .now()
            }
            if !response.findings.isEmpty { inbox.put(.recordChanged) }
            return response
        }
    }

    func rotate(_ request: RotateRequest) async throws -> RotateResponse {
        guard request.dryRun else { return try await inbox.ask { .rotate(request, $0) } }
        let file = configurationFile
        return try await onThread("plan") {
            let installation = try Installation.load(configurationFile: file)
            let session = try Session(installation.configuration, at: installation.places, for: .reading)
            return try RotationRun(session: session).plan(size: request.size).response
        }
    }

    func forget(_ request: ForgetRequest) async throws -> RotateResponse { try await inbox.ask { .forget(request, $0) } }

    func purge(_ request: PurgeRequest) async throws -> MessageResponse { try await inbox.ask { .purge(request, $0) } }

    func compact() async throws -> CompactResponse { try await inbox.ask { .compact($0) } }

    func repair(_ request: RepairRequest) async throws -> RepairResponse { try await inbox.ask { .repair(request, $0) } }

    /// Looks beside the loop, which then looks again at what differed.
    func doctor() async throws -> DoctorResponse {
        let (inbox, watcher) = (inbox, board.watcher)
        let file = configurationFile
        let (findings, watch) = try await onThread("doctor") {
            let installation = try Installation.load(configurationFile: file)
            let session = try Session(installation.configuration, at: installation.places, for: .reading)
            _ = try session.newestSnapshot()
            let run = DoctorRun(catalog: session.catalog, rules: installation.rules, isCancelled: { inbox.isStopping.load(ordering: .relaxed) })
            return (try run.compareAll(), try run.audit(watcher))
        }
        if findings.different.isEmpty { return findings.response(Diagnosis(missed: [], waiting: 0), watch) }
        return findings.response(try await inbox.ask { .diagnose(findings.different, $0) }, watch)
    }

    func remark(_ request: RemarkRequest) async throws -> MessageResponse { try await inbox.ask { .remark(request, $0) } }

    func pause(_ request: PauseRequest) async throws -> MessageResponse {
        if let seconds = request.seconds, !(0...31_536_000).contains(seconds) { throw ExitStatus.problem(AgentError.usage("a pause lasts up to a year")) }
        board.note { $0.pauseRequest = true }
        inbox.put(.pause(request.seconds.map { .milliseconds(Int64($0 * 1000)) }))
        let span = request.seconds.map { " for \(DurationText.rough(.milliseconds(Int64($0 * 1000))))" } ?? " until: watchctl resume"
        return MessageResponse(message: "backing up is paused\(span); changes are noted")
    }

    func resume() async throws -> MessageResponse {
        board.note { $0.pauseRequest = false }
        inbox.put(.resume)
        return MessageResponse(message: "backing up goes on")
    }

    func reload() async throws -> MessageResponse { try await inbox.ask { .reload($0) } }

    func changeKeys(_ request: KeyRequest) async throws -> MessageResponse {
        if request.action != .exported { return try await inbox.ask { .keys(request, $0) } }
        // Whoever prints the key does not wait for a snapshot to end.
        inbox.put(.recordChanged)
        return MessageResponse(message: "")
    }

    func rebuildCatalog() async throws -> MessageResponse { try await inbox.ask { .rebuildCatalog($0) } }
}

/// Runs blocking work on a thread of its own, so that the pool of tasks stays free.
private func onThread<Value: Sendable>(_ name: String, _ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        do {
            _ = try Thread(name: name, priority: .background) {
                continuation.resume(with: Result { try body() }.mapError(ExitStatus.problem))
            }
        } catch {
            continuation.resume(throwing: error)
        }
    }
}
