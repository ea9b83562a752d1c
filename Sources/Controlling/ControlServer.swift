// The control API: HTTP/1.1 over a Unix socket, so that `curl --unix-socket` works.
// In: requests of this machine's user.  Out: calls of the ControlService, answered as JSON.
// Invariant: one server per socket, for the daemon holds its lock before it makes one; a stale socket is removed.

internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
package import Kernel
package import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle

package struct ControlServer: Sendable {
    /// The largest request body. More is refused with 413.
    static let maximumBody = 64 << 10
    /// The longest time that a connection may stand without a request or an answer.
    static let idleLimit = TimeAmount.minutes(10)

    private let socket: Path
    private let service: any ControlService
    private let logger: Logger

    /// - Parameter socket: At most 107 bytes, the kernel's limit for a socket's path. Its directory is made with mode 0700.
    package init(socket: Path, service: any ControlService, logger: Logger) {
        self.socket = socket
        self.service = service
        self.logger = logger
    }

    /// Serves until the task is cancelled; the socket is removed then.
    ///
    /// - Parameter isReady: Called once connections are accepted.
    /// - Throws: `Errno` when the directory cannot be made, or what binding says; nothing is left behind.
    package func run(isReady: @escaping @Sendable () -> Void) async throws {
        guard socket.terminated.count <= 108 else { throw Errno.fileNameTooLong }
        try (socket.parent ?? .root).makeDirectories(mode: 0o700)
        try? socket.removeFile()
        let path = socket
        let responder = routes().buildResponder()
        let logger = logger
        // Hummingbird's `Application` has a clock for the Date header that wakes an idle daemon every second; a local socket needs none.
        let server = try HTTPServerBuilder.http1(
            configuration: .init(additionalChannelHandlers: [PeerCheck()], idleTimeout: ControlServer.idleLimit)
        ).buildServer(
            configuration: .init(address: .unixDomainSocket(path: socket.text)), eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger
        ) { request, writer, channel in
            let response = try await responder.respond(
                to: request, context: BasicRequestContext(source: .init(channel: channel, logger: logger)))
            try await writer.write(response: response.head, body: response.body)
        } onServerRunning: { _ in
            let directory = try? Descriptor.ofParent(of: path)
            try? directory?.setMode(of: path.name.map { CChar(bitPattern: $0) } + [0], 0o600)
            isReady()
        }
        defer { try? socket.removeFile() }
        try await server.run()
    }

    private func routes() -> Router<BasicRequestContext> {
        let router = Router()
        router.add(middleware: ProblemMiddleware())
        let service = service
        router.get("/v1/status") { _, _ in try answer(await service.status()) }
        router.get("/v1/events") { _, _ in events(await service.statusChanges()) }
        router.get("/v1/explain") { request, _ in try await answering { try await service.explain(try path(in: request.uri.query)) } }
        router.post("/v1/snapshots") { request, _ in try await call(request, SnapshotRequest()) { try await service.snapshot($0) } }
        router.post("/v1/verify") { request, _ in
            try await call(request, VerifyRequest(depth: .sample)) { try await service.verify($0) }
        }
        router.post("/v1/rotate") { request, _ in try await call(request, RotateRequest()) { try await service.rotate($0) } }
        router.post("/v1/forget") { request, _ in try await call(request, nil) { try await service.forget($0) } }
        router.post("/v1/purge") { request, _ in try await call(request, nil) { try await service.purge($0) } }
        router.post("/v1/compact") { _, _ in try await answering { try await service.compact() } }
        router.post("/v1/doctor") { _, _ in try await answering { try await service.doctor() } }
        router.post("/v1/repair") { request, _ in try await call(request, RepairRequest()) { try await service.repair($0) } }
        router.post("/v1/remarks") { request, _ in try await call(request, nil) { try await service.remark($0) } }
        router.post("/v1/keys") { request, _ in try await call(request, nil) { try await service.changeKeys($0) } }
        router.post("/v1/pause") { request, _ in try await call(request, PauseRequest()) { try await service.pause($0) } }
        router.post("/v1/resume") { _, _ in try await answering { try await service.resume() } }
        router.post("/v1/reload") { _, _ in try await answering { try await service.reload() } }
        router.post("/v1/catalog/rebuild") { _, _ in try await answering { try await service.rebuildCatalog() } }
        return router
    }
}

/// The path that `path=…` names.
private func path(in query: String?) throws -> Path {
    let field = query?.split(separator: "&").first { $0.hasPrefix("path=") }
    guard let bytes = field.flatMap({ PercentCoding.decode($0.dropFirst(5)) }), bytes.first == UInt8(ascii: "/"),
        let path = bytes.count == 1 ? .root : Path(validating: Array(bytes.dropFirst()))
    else {
        throw Problem(title: "Bad request", status: 400, detail: "path= names an absolute path, percent-encoded", exitStatus: 64)
    }
    return path
}

/// What the router itself refuses (no such path, another method) is a problem in the same form.
private struct ProblemMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError {
            let title = error.status.reasonPhrase
            let problem = Problem(
                title: title, status: error.status.code, detail: error.body ?? "\(request.method) \(request.uri.path): \(title)", exitStatus: 64)
            return try answer(problem, status: error.status, type: "application/problem+json")
        }
    }
}

/// Reads the body, or takes `preset` when it is empty, and answers with what `body` gives.
private func call<Input: Decodable & Sendable, Output: Encodable>(
    _ request: Request, _ preset: Input?, _ body: (Input) async throws -> Output
) async throws -> Response {
    try await answering {
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: ControlServer.maximumBody)
        } catch {
            throw Problem(title: "Request too large", status: 413, detail: "a request body holds at most 64 KiB", exitStatus: 64)
        }
        if buffer.readableBytes == 0, let preset { return try await body(preset) }
        let input: Input
        do {
            input = try ControlJSON.decode(Input.self, from: Array(buffer.readableBytesView))
        } catch {
            throw Problem(title: "Bad request", status: 400, detail: "the body is not the JSON that this call takes", exitStatus: 64)
        }
        return try await body(input)
    }
}

private func answering(_ body: () async throws -> some Encodable) async throws -> Response {
    do {
        return try answer(await body())
    } catch {
        let problem = error as? Problem ?? Problem(title: "Failed", status: 500, detail: "\(error)", exitStatus: 1)
        return try answer(problem, status: .init(code: problem.status), type: "application/problem+json")
    }
}

private func answer(
    _ value: some Encodable, status: HTTPResponse.Status = .ok, type: String = "application/json"
) throws -> Response {
    let bytes = try ControlJSON.encode(value)
    return Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
}

/// Server-sent events, one per report. Source: WHATWG HTML, "Server-sent events".
private func events(_ reports: AsyncStream<StatusReport>) -> Response {
    Response(
        status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
        body: ResponseBody { writer in
            for await report in reports {
                var buffer = ByteBuffer(string: "event: status\ndata: ")
                buffer.writeBytes(try ControlJSON.encode(report))
                buffer.writeString("\n\n")
                try await writer.write(buffer)
            }
            try await writer.finish(nil)
        })
}
