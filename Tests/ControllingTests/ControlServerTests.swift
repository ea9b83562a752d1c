import Controlling
import Kernel
import Logging
import Testing

/// Real server, real socket, a service that answers from memory.
@Suite(.serialized) struct ControlServerTests {
    private struct Service: ControlService {
        func status() async -> StatusReport { ControlServerTests.report }
        func statusChanges() async -> AsyncStream<StatusReport> {
            AsyncStream { continuation in
                continuation.yield(ControlServerTests.report)
                continuation.yield(ControlServerTests.report)
                continuation.finish()
            }
        }
        func explain(_ path: Path) async throws -> PathWatch {
            PathWatch(
                path: "\(path.bytes)", watched: false, unwatched: .init(path: "/", reason: "r"), pending: nil, backoffSeconds: 1.5, next: nil)
        }
        func snapshot(_ request: SnapshotRequest) async throws -> SnapshotResponse {
            if request.tag == "fail" { throw Problem(title: "Full", status: 507, detail: "no space", exitStatus: 1) }
            return SnapshotResponse(
                taken: true, number: 1, kind: request.full ? "full" : "incremental", time: nil, entriesChanged: 1, bytesAdded: 1, message: "",
                problems: [])
        }
        func verify(_ request: VerifyRequest) async throws -> VerifyResponse {
            VerifyResponse(depth: request.depth.rawValue, archivesRead: 0, bytesRead: 0, findings: [])
        }
        func rotate(_ request: RotateRequest) async throws -> RotateResponse { throw Errno.noSpace }
        func forget(_ request: ForgetRequest) async throws -> RotateResponse {
            RotateResponse(snapshots: request.snapshots.map { .init(number: $0, keep: false, reasons: []) }, removedArchives: 0, freedBytes: 0, message: "")
        }

        func purge(_ request: PurgeRequest) async throws -> MessageResponse { MessageResponse(message: "\(request.paths.count) paths purged") }

        func compact() async throws -> CompactResponse { CompactResponse(rewrittenArchives: 3, freedBytes: -5, message: "") }

        func repair(_ request: RepairRequest) async throws -> RepairResponse {
            RepairResponse(mended: request.known ? ["known"] : ["all"])
        }

        func doctor() async throws -> DoctorResponse {
            DoctorResponse(entries: 7, different: ["/a"], waitingCount: 2, problems: [], watch: nil)
        }

        func remark(_ request: RemarkRequest) async throws -> MessageResponse { MessageResponse(message: request.text) }
        func pause(_ request: PauseRequest) async throws -> MessageResponse { MessageResponse(message: "\(request.seconds ?? -1)") }
        func resume() async throws -> MessageResponse { MessageResponse(message: "on") }
        func reload() async throws -> MessageResponse { MessageResponse(message: "read") }
        func changeKeys(_ request: KeyRequest) async throws -> MessageResponse { MessageResponse(message: "\(request.passphrase.count)") }
        func rebuildCatalog() async throws -> MessageResponse { MessageResponse(message: "built") }
    }

    private static let report = StatusReport(
        verdict: .protected, reasons: [], daemon: .init(running: true, pid: 1, version: "1", started: nil), latestSnapshot: nil, asOf: "now",
        confirmed: nil, latestFull: nil, pending: .init(paths: 0, oldestAgeSeconds: nil),
        watch: .init(
            backend: "inotify", directoriesWatched: 1, directoriesWanted: 1, events: 0, overflows: 0, reconciles: 0, lastReconcile: nil, unwatched: []),
        activity: .init(state: "idle", progress: nil, next: nil),
        repository: .init(path: "/r", id: nil, snapshots: 0, archives: 0, bytes: 0, freeBytes: nil, lastVerified: nil), sources: [])

    /// Runs `body` on a thread of its own while the server serves.
    private func serving(_ body: @escaping @Sendable (ControlClient) throws -> Void) async throws {
        let directory = Path("/tmp/control-tests-\(UInt64.random(in: 0 ... .max))")!
        let socket = directory.appending("control.sock".utf8)
        defer { _ = try? ProcessIdentity.run("rm", ["-rf", directory.text]) }
        let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
        let server = ControlServer(socket: socket, service: Service(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await server.run { isReady.finish() } }
        for await _ in ready {}
        let result: Result<Void, any Error> = await withCheckedContinuation { continuation in
            do {
                _ = try Thread(name: "client", priority: .normal) {
                    continuation.resume(returning: Result { try body(ControlClient(socket: socket, patience: .seconds(600))) })
                }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        running.cancel()
        _ = try? await running.value
        try result.get()
        #expect(!socket.exists)
    }

    @Test func callsComeThroughAndBack() async throws {
        try await serving { client throws in
            #expect(try client.status() == ControlServerTests.report)
            #expect(try client.post("/v1/snapshots", SnapshotRequest(full: true), SnapshotResponse.self).kind == "full")
            // Without a body the presets hold.
            #expect(try client.post("/v1/snapshots", SnapshotResponse.self).kind == "incremental")
            #expect(try client.post("/v1/pause", PauseRequest(seconds: 1.5), MessageResponse.self).message == "1.5")
            #expect(try client.post("/v1/keys", KeyRequest(action: .add, passphrase: [1, 2, 3]), MessageResponse.self).message == "3")
        }
    }

    /// Names are bytes, also those that mean something in a URI or are not UTF-8.
    @Test func pathsThatAreAskedForArriveAsTheyAre() async throws {
        try await serving { client throws in
            for bytes in [[], Array("home/a b&c=d?e#f%20/ü".utf8), [0x61, 0xFF, 0x0A, 0x25]] as [[UInt8]] {
                let report = try client.explain(Path(validating: bytes)!)
                #expect(report.path == "\(bytes)" && report.backoffSeconds == 1.5)
            }
        }
    }

    /// A daemon or a `status.json` of an earlier version does not know of them.
    @Test func listsThatAreMissingAreEmpty() throws {
        var text = String(decoding: try ControlJSON.encode(ControlServerTests.report), as: UTF8.self)
        text = text.replacing("\"recent_reconciles\":[],", with: "").replacing("\"hot\":[],", with: "").replacing("\"limit\":null,", with: "")
        #expect(try ControlJSON.decode(StatusReport.self, from: Array(text.utf8)) == ControlServerTests.report)
        #expect(!text.contains("\"hot\"") && !text.contains("recent") && !text.contains("\"limit\""))
    }

    @Test func eventsArriveOneByOne() async throws {
        try await servingUntilItThrows { client throws in
            var count = 0
            try client.events { report in
                #expect(report == ControlServerTests.report)
                count += 1
                if count == 2 { throw Errno.canceled }
            }
        } catching: { error in
            #expect(error as? Errno == .canceled)
        }
    }

    @Test func failuresAreProblems() async throws {
        try await serving { client throws in
            let full = #expect(throws: Problem.self) { try client.post("/v1/snapshots", SnapshotRequest(tag: "fail"), SnapshotResponse.self) }
            #expect(full?.status == 507)
            let other = #expect(throws: Problem.self) { try client.post("/v1/rotate", RotateResponse.self) }
            #expect(other?.status == 500 && other?.exitStatus == 1)
            let malformed = #expect(throws: Problem.self) { try client.post("/v1/remarks", ["action": 3], MessageResponse.self) }
            #expect(malformed?.status == 400)
            let large = #expect(throws: Problem.self) {
                try client.post("/v1/remarks", [String(repeating: "x", count: 200_000)], MessageResponse.self)
            }
            #expect(large?.status == 413)
            let nothing = #expect(throws: Problem.self) { try client.post("/v1/nothing", MessageResponse.self) }
            #expect(nothing?.status == 404)
        }
    }

    @Test func onlyTheOwnerMayReachTheSocket() async throws {
        try await serving { client throws in
            #expect(try FileStatus(of: client.socket).mode == 0o600)
            #expect(try FileStatus(of: client.socket.parent!).mode == 0o700)
        }
    }

    @Test func withoutADaemonItSaysSo() {
        let client = ControlClient(socket: Path("/tmp/no-such-socket")!)
        let error = #expect(throws: ControlError.self) { try client.status() }
        guard case .notRunning = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    private func servingUntilItThrows(
        _ body: @escaping @Sendable (ControlClient) throws -> Void, catching: (any Error) -> Void
    ) async throws {
        do {
            try await serving(body)
            Issue.record("nothing was thrown")
        } catch {
            catching(error)
        }
    }
}
