// The daemon's heart: hears events, asks the scheduler, and does what it says, one activity at a time.
// In: messages, settled changes, the passing of time.  Out: snapshots, reconciles, rotations, verifications; the status.
// Invariant: only this thread writes to the repository. It runs at background priority; the watcher never waits for it.
// A crash loses the dirty set, which the reconcile at the next start finds again.

internal import Archiving
internal import Cataloging
internal import Controlling
internal import Encrypting
internal import Kernel
internal import Logging
internal import Scanning
internal import Scheduling
internal import Storing
internal import Synchronization
internal import Tracking
internal import Watching

final class AgentLoop {
    let inbox: Inbox
    let board: StatusBoard
    let dirty: DirtyBox
    let clock: AlarmClock
    let logger: Logger
    var installation: Installation
    var session: Session?
    var watcher: (any Watcher)?
    var scheduler: Scheduler
    /// Waits while the repository is not there.
    var repositoryReturn: RepositoryReturn?
    /// The watcher has said that it stands; nothing is compared before.
    var isWatching = false
    /// For the scheduler, which decides nothing before then.
    var untold: [Event] = []
    /// When watching is tried again that was not possible; nothing is watched until then.
    var watchRetry = RetryBackoff()
    /// Moves every comparison that comes round by the clock, so that computers started together do not stay together.
    let reconcileJitter: Double
    /// Events were lost: reconcile once the watcher stands again.
    var hasOverflowed = false
    /// Requests under way, by the scheduler's number.
    var requests: [UInt64: PendingRequest] = [:]
    var lastRequest: UInt64 = 0
    /// What the scheduler decided last.
    var decision = Decision.wait(Wait(until: nil, reason: .changes, next: nil))
    /// What the status says of the wait; nil when it says something else.
    private var noted: Wait?
    /// Messages from before the watcher stood.
    private var early: [LoopMessage] = []
    /// What the slices of a rotation, and of a compaction, have done so far.
    var rotated = Freed()
    var compacted = Freed()
    /// Counts watchers: what an earlier one still says does not concern the present one.
    var watcherNumber: UInt64 = 0
    /// Why ways of watching that were in use ended: others are used until the configuration is read again.
    var watchFailures: [WatchError] = []
    /// Since the latest comparison of everything, something happened to a name that is gone without having been backed up.
    var hasLostNames = false
    /// The status says that archives are damaged or missing; a verification was asked for when that became known.
    var isDamageKnown = false
    /// What is left of a sliced verification, 0...1.
    var verificationLeft: Double?

    /// When the hooks `before` ran the last time.
    var lastBefore: BootInstant?
    var announcer: Announcer
    /// When power and network are asked for again; nil: nothing is held back by them.
    var conditionsDue: BootInstant?
    /// As power was found the last time.
    var wasOnBattery = false
    /// When the pages of the program are given back: after work, and after whoever waited for it has asked what became of it.
    var programRests: BootInstant?

    enum PendingRequest {
        case snapshot(SnapshotRequest, Reply<SnapshotResponse>?)
        case rotate(RotateRequest, Reply<RotateResponse>)
        case forget(ForgetRequest, Reply<RotateResponse>)
        case compact(Reply<CompactResponse>)
    }

    init(
        installation: Installation, session: Session?, inbox: Inbox, board: StatusBoard, dirty: DirtyBox, clock: AlarmClock, logger: Logger
    ) {
        self.installation = installation
        self.session = session
        self.inbox = inbox
        self.board = board
        self.dirty = dirty
        self.clock = clock
        self.logger = logger
        announcer = Announcer(said: AgentLoop.lastStanding(installation.places))
        reconcileJitter = .random(in: -0.25...0.25)
        var schedule = installation.configuration.schedule
        schedule.reconcileJitter = reconcileJitter
        scheduler = Scheduler(settings: schedule, state: AgentLoop.scheduleState(session))
    }

    var instants: Instants { Instants(boot: .now(), wall: .now(), asleep: BootInstant.timeAsleep()) }
    var configuration: Configuration { installation.configuration }

    /// Runs until it is told to stop.
    func run() {
        noteSession()
        board.note { _ in }
        if session == nil { awaitRepository() }
        startWatching()
        while !inbox.mustEnd() {
            let isOnlyWoken = inbox.takeWaking() && inbox.isEmpty
            for message in inbox.takeAll() { take(message) }
            if watcher == nil, let retry = watchRetry.retry, retry <= .now() { startWatching() }
            // Before the watcher stands nothing is begun that it should see the end of.
            guard isWatching else {
                wait(until: nil, knowing: dirty.summary().nextDue)
                continue
            }
            // Taking one may begin a new watcher, and the others wait for that one.
            let before = early
            early = []
            for message in before { take(message) }
            guard isWatching else { continue }
            let pending = dirty.summary()
            tell(.dirty(count: pending.count, nextDue: pending.nextDue))
            if case .wait = decision { reviewConditions() }
            switch decision {
            case .start(let activity, let ids):
                if ids.isEmpty, reconsiders() { continue }
                decision = .wait(Wait(until: nil, reason: .running, next: activity.kind))
                noted = nil
                perform(activity, ids)
            case .wait(let wait):
                // A daemon that rests writes no file each time it is asked whether it lives.
                if !isOnlyWoken || wait != noted { board.note { $0.next = wait.report } }
                noted = wait
                announce()
                if let due = programRests, due <= .now() {
                    programRests = nil
                    ProgramMemory.giveBack()
                }
                self.wait(until: [wait.until, watchRetry.retry, announcer.again, staleAt, conditionsDue, programRests].compactMap { $0 }.min(), knowing: pending.nextDue)
            }
        }
        watcher?.stop()
        repositoryReturn?.stop()
        refuseAll()
        board.note { $0.activity = "idle" }
        board.writeFile(isRunning: false)
    }

    /// Tells the scheduler, and keeps what it decides. A beginning stands until it is carried out.
    func tell(_ event: Event) {
        guard isWatching else { return untold.append(event) }
        let next = scheduler.handle(event, at: instants)
        if case .start = decision {} else { decision = next }
        let isPaused = scheduler.state.pause != nil
        board.noteQuietly { $0.isPaused = isPaused }
    }

    private func wait(until instant: BootInstant?, knowing known: BootInstant?) {
        guard inbox.isEmpty, dirty.beginWaiting(knowing: known) else { return }
        inbox.isLoopWaiting.store(true, ordering: .relaxed)
        defer {
            inbox.isLoopWaiting.store(false, ordering: .relaxed)
            dirty.endWaiting()
        }
        do {
            try clock.wait(until: instant)
        } catch {
            logger.error("cannot wait", metadata: ["error": "\(error)"])
            inbox.put(.stop)
        }
    }

    private func take(_ message: LoopMessage) {
        if !isWatching {
            guard case .signal(let signal, let number) = message else { return early.append(message) }
            if number == watcherNumber { take(signal) }
            return
        }
        switch message {
        case .snapshot(let request, let reply): enqueue(.snapshot(request, reply), request.wish)
        case .rotate(let request, let reply): enqueue(.rotate(request, reply), .rotate)
        case .forget(let request, let reply): enqueueForgetting(request, reply)
        case .compact(let reply): enqueue(.compact(reply), .compact)
        case .repair(let request, let reply): reply.give(Result { try repair(request.known ? .known : .everything, .giveUp) })
        case .purge(let request, let reply):
            let result = Result { try withSession { try PurgeRun(session: $0).run(Commands.paths(of: request)) } }
            noteSession()
            reply.give(result)
        case .remark(let request, let reply):
            let result = Result { try withSession { try $0.remark(request) } }
            noteSession()
            reply.give(result)
        case .rebuildCatalog(let reply):
            reply.give(
                Result {
                    let gaps: [CatalogIngest.Gap]
                    do {
                        gaps = try withSession { try $0.rebuildCatalog() }
                    } catch {
                        // Half a catalog is not worked with: it is gone on with when the session is opened anew.
                        session = nil
                        throw error
                    }
                    noteSession()
                    return try CatalogIngest.answer(gaps, snapshots: try withSession { try $0.catalog.totals().snapshots })
                })
        case .keys(let request, let reply):
            let result = Result { try withSession { try $0.changeKeys(request) } }
            noteSession()
            reply.give(result)
        case .diagnose(let paths, let reply): reply.give(Result { try diagnose(paths) })
        case .pause(let duration):
            tell(.paused(duration))
            board.noteQuietly { $0.pauseRequest = nil }
        case .resume:
            tell(.resumed)
            board.noteQuietly { $0.pauseRequest = nil }
        case .reload(let reply): reply.give(Result { try reload() })
        case .repositoryReturned:
            repositoryReturn = nil
            logger.info("the repository is there again")
            tell(.repositoryReturned)
        case .recordChanged:
            // What is on record is read again; it is mended after the verification that this asks for.
            session?.remember { _ in }
            noteSession()
        case .signal(let signal, let number): if number == watcherNumber { take(signal) }
        case .stop: break
        }
        board.note { _ in }
    }

    /// What cannot be forgotten is said at once; later slices pass over what earlier ones have done.
    private func enqueueForgetting(_ request: ForgetRequest, _ reply: Reply<RotateResponse>) {
        do {
            _ = try withSession { try RotationRun(session: $0).plan(forgetting: Set(request.snapshots)) }
            enqueue(.forget(request, reply), .rotate)
        } catch {
            reply.give(.failure(ExitStatus.problem(error)))
        }
    }

    private func enqueue(_ request: PendingRequest, _ wish: Request.Wish) {
        lastRequest += 1
        requests[lastRequest] = request
        tell(.requested(Request(id: lastRequest, wish: wish)))
    }

    /// At the end, whoever still waits is told.
    private func refuseAll() {
        let problem = Inbox.closing
        for request in requests.values {
            switch request {
            case .snapshot(_, let reply): reply?.give(.failure(problem))
            case .rotate(_, let reply), .forget(_, let reply): reply.give(.failure(problem))
            case .compact(let reply): reply.give(.failure(problem))
            }
        }
        for message in early + inbox.close() {
            switch message {
            case .snapshot(_, let reply): reply?.give(.failure(problem))
            case .rotate(_, let reply), .forget(_, let reply): reply.give(.failure(problem))
            case .compact(let reply): reply.give(.failure(problem))
            case .repair(_, let reply): reply.give(.failure(problem))
            case .diagnose(_, let reply): reply.give(.failure(problem))
            case .purge(_, let reply), .remark(_, let reply), .keys(_, let reply), .rebuildCatalog(let reply), .reload(let reply): reply.give(.failure(problem))
            case .pause, .resume, .repositoryReturned, .recordChanged, .signal, .stop: break
            }
        }
    }
}

extension SnapshotRequest {
    fileprivate var wish: Request.Wish {
        guard full || rehash || standalone else { return .snapshot }
        var options: FullOptions = []
        if rehash { options.insert(.rehash) }
        if standalone { options.insert(.standalone) }
        return .full(options)
    }
}

extension Wait {
    fileprivate var report: StatusReport.Next? {
        guard let next else { return nil }
        let due = until.map { Timestamp.now().adding($0 - .now()).iso8601 }
        return StatusReport.Next(action: next.rawValue, due: due, waitingFor: reason.rawValue)
    }
}
