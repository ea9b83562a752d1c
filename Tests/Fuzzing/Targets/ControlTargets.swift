// The control API: requests that come to the daemon, answers that come to watchctl.

import Controlling
import Dispatch
import Glibc
import Kernel
import Logging

/// A whole HTTP answer, and the reports that may be in it.
@Sendable func readAnswer(_ input: UnsafeRawBufferPointer) throws {
    do {
        let answer = try HTTPAnswer(Array(input))
        try require(answer.body.count <= input.count, "a body is a part of the answer")
    } catch is ControlError {}
}

/// The body of every call, and of every answer that is kept or shown.
@Sendable func readControlJSON(_ input: UnsafeRawBufferPointer) throws {
    let bytes = Array(input)
    try check(SnapshotRequest.self, bytes)
    try check(VerifyRequest.self, bytes)
    try check(RotateRequest.self, bytes)
    try check(ForgetRequest.self, bytes)
    try check(PurgeRequest.self, bytes)
    try check(RepairRequest.self, bytes)
    try check(PauseRequest.self, bytes)
    try check(RemarkRequest.self, bytes)
    try check(KeyRequest.self, bytes)
    try check(StatusReport.self, bytes)
    try check(SnapshotResponse.self, bytes)
    try check(VerifyResponse.self, bytes)
    try check(Problem.self, bytes)
    if let listings = try? ControlJSON.decode([SnapshotListing].self, from: bytes) {
        let written = try SnapshotListing.json(listings)
        try require(try ControlJSON.decode([SnapshotListing].self, from: written) == listings, "a listing that is written is read the same")
    }
}

private func check<Value: Codable & Equatable>(_ type: Value.Type, _ bytes: [UInt8]) throws {
    guard let value = try? ControlJSON.decode(type, from: bytes) else { return }
    try require(try ControlJSON.decode(type, from: ControlJSON.encode(value)) == value, "what is written is read the same")
}

// MARK: Server

/// The bytes of one connection, at a server that runs as long as the process.
@Sendable func readRequest(_ input: UnsafeRawBufferPointer) throws {
    let server = try LiveServer.shared.get()
    try server.exchange(input)
    if server.asksStatus() { _ = try ControlClient(socket: server.socket).status() }
}

private final class LiveServer: Sendable {
    static let shared = Result { try LiveServer() }

    let socket: Path
    private let count = Monitor(0)
    private static let patienceSeconds = 20

    private init() throws {
        let directory = Path(ProcessIdentity.environment("TMPDIR") ?? "/tmp") ?? .root
        socket = directory.appending("fuzz-\(ProcessIdentity.pid).sock".utf8)
        let server = ControlServer(socket: socket, service: Service(), logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
        let ready = Monitor(false)
        // Its own threads: who calls may hold those of all other tasks.
        Task(executorPreference: Threads()) { try await server.run { ready.withLock { $0 = true } } }
        for _ in 0..<LiveServer.patienceSeconds * 1000 where !ready.withLock({ $0 }) { usleep(1000) }
        try require(ready.withLock { $0 }, "the server begins")
    }

    /// Writes, says that nothing follows, and reads until the server closes.
    func exchange(_ input: UnsafeRawBufferPointer) throws(Broken) {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var limit = timeval(tv_sec: LiveServer.patienceSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] { setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size)) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // The path is shorter than sun_path, or the server would not have begun.
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socket.text.utf8) }
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 }
        }
        try require(isConnected, "the server takes a connection")
        // It may close before it has read everything.
        _ = send(descriptor, input.baseAddress, input.count, Int32(MSG_NOSIGNAL))
        shutdown(descriptor, Int32(SHUT_WR))
        var room = [UInt8](repeating: 0, count: 65_536)
        var received = 0
        // The fuzzer's clock interrupts it.
        repeat { received = recv(descriptor, &room, room.count, 0) } while received > 0 || received < 0 && errno == EINTR
        try require(received == 0 || errno == ECONNRESET, "the server answers and closes the connection")
    }

    /// Not each time: it takes as long as the rest.
    func asksStatus() -> Bool {
        count.withLock {
            $0 += 1
            return $0 % 64 == 0
        }
    }
}

private final class Threads: TaskExecutor {
    private let queue = DispatchQueue(label: "server", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Says what it was asked.
private struct Service: ControlService {
    func status() async -> StatusReport {
        StatusReport(
            verdict: .protected, reasons: [], daemon: .init(running: true, pid: 1, version: "1", started: nil), latestSnapshot: nil, asOf: "now",
            confirmed: nil, latestFull: nil, pending: .init(paths: 0, oldestAgeSeconds: nil),
            watch: .init(
                backend: "inotify", directoriesWatched: 1, directoriesWanted: 1, events: 0, overflows: 0, reconciles: 0, lastReconcile: nil,
                unwatched: []),
            activity: .init(state: "idle", progress: nil, next: nil),
            repository: .init(path: "/r", id: nil, snapshots: 0, archives: 0, bytes: 0, freeBytes: nil, lastVerified: nil), sources: [])
    }
    func statusChanges() async -> AsyncStream<StatusReport> {
        let report = await status()
        return AsyncStream { continuation in
            continuation.yield(report)
            continuation.finish()
        }
    }
    func explain(_ path: Path) async throws -> PathWatch {
        PathWatch(path: path.text, watched: true, unwatched: nil, pending: nil, backoffSeconds: nil, next: nil)
    }
    func snapshot(_ request: SnapshotRequest) async throws -> SnapshotResponse {
        SnapshotResponse(
            taken: false, number: nil, kind: nil, time: nil, entriesChanged: 0, bytesAdded: 0, message: request.tag ?? "", problems: [])
    }
    func verify(_ request: VerifyRequest) async throws -> VerifyResponse {
        VerifyResponse(depth: request.depth.rawValue, archivesRead: 0, bytesRead: 0, findings: [])
    }
    func rotate(_ request: RotateRequest) async throws -> RotateResponse {
        RotateResponse(snapshots: [], removedArchives: 0, freedBytes: 0, message: "\(request.size ?? 0)")
    }
    func forget(_ request: ForgetRequest) async throws -> RotateResponse {
        RotateResponse(snapshots: request.snapshots.map { .init(number: $0, keep: false, reasons: []) }, removedArchives: 0, freedBytes: 0, message: "")
    }
    func purge(_ request: PurgeRequest) async throws -> MessageResponse { MessageResponse(message: "\(request.paths.count)") }
    func compact() async throws -> CompactResponse { CompactResponse(rewrittenArchives: 0, freedBytes: 0, message: "") }
    func doctor() async throws -> DoctorResponse { DoctorResponse(entries: 0, different: [], waitingCount: 0, problems: [], watch: nil) }
    func repair(_ request: RepairRequest) async throws -> RepairResponse { RepairResponse(mended: []) }
    func remark(_ request: RemarkRequest) async throws -> MessageResponse { MessageResponse(message: request.text) }
    func pause(_ request: PauseRequest) async throws -> MessageResponse { MessageResponse(message: "\(request.seconds ?? 0)") }
    func resume() async throws -> MessageResponse { throw Problem(title: "No", status: 409, detail: "", exitStatus: 1) }
    func reload() async throws -> MessageResponse { throw Errno.noSpace }
    func changeKeys(_ request: KeyRequest) async throws -> MessageResponse { MessageResponse(message: "\(request.passphrase.count)") }
    func rebuildCatalog() async throws -> MessageResponse { MessageResponse(message: "") }
}
