// Brings the daemon's parts to life in the right order, and to an end in the reverse.
// In: a configuration, signals.  Out: nothing but the running daemon.
// Invariant: one daemon per state directory (a lock that the kernel frees), one writer per repository (another one).

package import Kernel
package import Logging
internal import Controlling
internal import Scheduling
internal import ServiceLifecycle
internal import Storing
internal import Tracking
internal import UnixSignals

package enum DaemonRunner {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: What keeps the daemon from starting: `AgentError.daemonRuns`, `.notConfigured`, `ConfigurationError`, `StorageError`
    ///   (.locked, .wrongKey …), `EncryptionError`. A repository that is not there does not: it is waited for.
    package static func run(configurationFile: Path?, logger: Logger) async throws {
        Signals.ignoreBrokenPipes()
        ProcessIdentity.denyCoreDumps()
        HeapMemory.share()
        let installation = try Installation.load(configurationFile: configurationFile)
        let places = installation.places
        try places.makeStateDirectory()
        let lock = try naming(places.daemonLock) { () throws(Errno) in
            try Descriptor.open(places.daemonLock, [.readWrite, .create], mode: 0o600)
        }
        let clock = try AlarmClock()
        let isFree: Void? = try soon(clock) {
            try naming(places.daemonLock) { () throws(Errno) in try lock.tryLock(.exclusive) } ? () : nil
        }
        guard isFree != nil else { throw AgentError.daemonRuns(pid: installation.daemonPID) }
        try naming(places.daemonLock) { () throws(Errno) in
            try lock.truncate(to: 0)
            try lock.write(Array("\(ProcessIdentity.pid)\n\(installation.configuration.id ?? "")\n".utf8))
        }

        let inbox = Inbox(clock: clock)
        let dirty = DirtyBox(settings: installation.configuration.dirtySettings, clock: clock)
        let board = StatusBoard(configuration: installation.configuration, places: places, dirty: dirty)
        // The loop alone is to own it: the writer's lock is free as soon as the loop lets go.
        let session = Monitor(try openSession(installation, inbox, board, clock, logger))
        let service = DaemonService(inbox: inbox, board: board, configurationFile: places.configurationFile)
        let server = ControlServer(socket: places.socket, service: service, logger: quiet(logger))
        let loop = LoopService(inbox: inbox, board: board) {
            AgentLoop(
                installation: installation, session: session.withLock { $0.take() }, inbox: inbox, board: board, dirty: dirty, clock: clock, logger: logger
            ).run()
        }
        logger.info("watching", metadata: ["sources": "\(installation.configuration.sources.count)", "version": "\(AgentVersion.text)"])
        var services: [any Service] = [
            ServerService(server: server, board: board), loop, ReloadService(service: service, logger: logger),
        ]
        // They end in the reverse order: it watches the others to their end.
        if let interval = ServiceManager.watchdogInterval {
            services.insert(WatchdogService(interval: interval, inbox: inbox, board: board), at: 0)
        }
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet(logger)))
        try await group.run()
        ServiceManager.notify("STOPPING=1")
        // Held to here, so that nobody takes the place of a daemon that is still writing.
        _ = consume lock
    }

    /// A repository that is not there now may come: only what no waiting mends ends the start.
    private static func openSession(
        _ installation: Installation, _ inbox: Inbox, _ board: StatusBoard, _ clock: AlarmClock, _ logger: Logger
    ) throws -> Session? {
        do {
            let session = try soon(clock) {
                do {
                    return try AgentLoop.open(installation, inbox)
                } catch let error as StorageError where error.code == .locked {
                    return nil
                }
            }
            return try session ?? AgentLoop.open(installation, inbox)
        } catch let error as StorageError where error.code == .notThere {
            logger.error("the repository is not there; it is tried again", metadata: ["error": "\(error)"])
            let reason = FailureReason.of(error, activity: "session", configuration: installation.configuration)
            board.note { $0.reasons["session"] = [reason] }
            return nil
        }
    }

    /// Asks again for half a second: a command that only looks holds locks for moments, and there is no event for their end.
    private static func soon<Value>(_ clock: AlarmClock, _ body: () throws -> Value?) throws -> Value? {
        for _ in 0..<10 {
            if let value = try body() { return value }
            try clock.wait(until: .now() + .milliseconds(50))
        }
        return nil
    }

    /// The libraries' own messages: they call it an error that a shutdown cancels their waiting.
    private static func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = .critical
        return quiet
    }
}

extension Configuration {
    var dirtySettings: DirtySetSettings {
        DirtySetSettings(quiet: quiet, deadline: deadline, sources: sources)
    }
}

/// The control API's server as a part of the daemon.
private struct ServerService: Service {
    let server: ControlServer
    let board: StatusBoard

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                try await server.run { ServiceManager.notify("READY=1") }
            } catch is CancellationError {}
        }
    }
}

/// The loop's thread as a part of the daemon.
private struct LoopService: Service {
    let inbox: Inbox
    let board: StatusBoard
    let body: @Sendable () -> Void

    init(inbox: Inbox, board: StatusBoard, _ body: @escaping @Sendable () -> Void) {
        self.inbox = inbox
        self.board = board
        self.body = body
    }

    func run() async throws {
        await withGracefulShutdownHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let thread = try? Thread(name: "agent", priority: .background) {
                    body()
                    continuation.resume()
                }
                if thread == nil { continuation.resume() }
            }
        } onGracefulShutdown: {
            board.endListening()
            inbox.put(.stop)
        }
    }
}

/// SIGHUP reads the configuration again.
private struct ReloadService: Service {
    let service: DaemonService
    let logger: Logger

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() {
            // A bad file has been logged, and the status says so.
            _ = try? await service.reload()
        }
    }
}
