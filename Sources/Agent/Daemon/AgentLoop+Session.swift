// The loop's opened repository: taken when it can be had, given up when it is gone, and what is remembered of the schedule.

internal import Archiving
internal import Cataloging
internal import Controlling
internal import Kernel
internal import Logging
internal import Scanning
internal import Scheduling
internal import Storing

extension AgentLoop {
    /// Runs `body` with the repository, and opens it first when that was not possible before.
    ///
    /// - Throws: What opening says, or `body`. When the repository is gone it is opened anew the next time.
    func withSession<Result>(_ body: (Session) throws -> Result) throws -> Result {
        let session: Session
        do {
            session = try self.session ?? AgentLoop.open(installation, inbox)
        } catch let error as StorageError where error.code == .notThere {
            awaitRepository()
            throw error
        }
        if self.session == nil {
            self.session = session
            noteSession()
        }
        do {
            return try body(session)
        } catch let error as StorageError where error.code == .notThere || error.code == .missing {
            self.session = nil
            awaitRepository()
            throw error
        } catch let error as CatalogError {
            // The archives are the truth: a catalog that is damaged or gone is made anew when it is opened again.
            logger.error("the catalog failed and is opened anew", metadata: ["error": "\(error)"])
            try? session.catalog.close()
            self.session = nil
            throw error
        }
    }

    /// The repository, for the loop: work on it is a sign of life.
    static func open(_ installation: Installation, _ inbox: Inbox) throws -> Session {
        try Session(
            installation.configuration, at: installation.places, for: .writing, wrapping: { PulsingStorage(base: $0, pulse: inbox.pulse) })
    }

    /// Has the loop told when the repository is there again.
    func awaitRepository() {
        if repositoryReturn != nil || Repository.isThere(configuration.repository) { return }
        let inbox = inbox
        repositoryReturn = try? RepositoryReturn(of: configuration.repository) { inbox.put(.repositoryReturned) }
    }

    /// Brings the status up to date with the repository.
    ///
    /// - Parameter afterSnapshot: Then what verification has covered is as before: a new archive was read back as it was written.
    func noteSession(afterSnapshot: Bool = false) {
        guard let session else { return }
        do {
            let newest = try session.catalog.newest()
            let totals = try session.catalog.totals()
            let coverage = afterSnapshot ? nil : try session.catalog.coverage(now: .now())
            let record = session.record
            let history = damageOfHistory(session)
            tell(.compactable(try CompactionRun.isWaiting(session)))
            // A look at all that the catalog has, and after a snapshot only where something is on record.
            let isDamaged = afterSnapshot && history == nil ? false : try session.isDamaged
            if isDamaged, !isDamageKnown { tell(.damageSuspected) }
            isDamageKnown = isDamaged
            // A passphrase of an older key does not open what is sealed now.
            let isKept = record.keyExported || session.repository.description.keys.last?.slots.isEmpty == false
            board.noteQuietly { notes in
                notes.repositoryID = "\(session.repository.id)"
                notes.latest = newest.map {
                    .init(
                        number: $0.number, kind: $0.kind.text, time: Timestamp(milliseconds: $0.time),
                        entriesChanged: $0.record.statistics.entriesChanged, bytesAdded: $0.record.statistics.bytesAdded)
                }
                notes.latestFull = totals.latestFull.map { .init(number: $0.number, time: Timestamp(milliseconds: $0.time).iso8601) }
                notes.snapshots = totals.snapshots
                notes.archives = totals.archives
                notes.bytes = totals.bytes
                notes.coverage = coverage ?? notes.coverage
                notes.lastVerified = record.lastVerify.map { Timestamp(milliseconds: $0) }
                notes.confirmed = notes.confirmed ?? record.confirmed.map { Timestamp(milliseconds: $0) }
                notes.keyIsKept = isKept
                notes.keyIsReadableByOthers = session.keyIsReadableByOthers
                notes.reasons["session"] = nil
                notes.reasons["history"] = history
            }
        } catch {
            fail("session", error)
        }
    }

    /// Archives that are gone or could not be used, as far as it shows without reading them.
    private func damageOfHistory(_ session: Session) -> [StatusReason]? {
        // Read anew: a verification in another thread or process may have found something.
        let record = (try? LocalRecord.load(from: installation.places.anchorFile, repository: "\(session.repository.id)")) ?? session.record
        let refused = record.unusable.merging(record.damaged) { refused, _ in refused }
        let known = refused.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" } + record.lost.map { "\($0) is missing" }
        var result: [StatusReason] = []
        if let first = known.first {
            result.append(
                StatusReason(
                    "repository-damaged", .degraded, "\(known.count) archives are damaged or missing, for example \(first)",
                    remedy: "watchctl repair mends what can be mended, and names the rest"))
        } else if record.lostVersions > 0 {
            // What comes from now on is protected all the same.
            result.append(
                StatusReason(
                    "content-lost", .advice, "the content of \(record.lostVersions) states of files is lost",
                    remedy: "watchctl repair names them; watchctl forget removes the snapshots that show them"))
        }
        if let repair = record.lastRepair, Timestamp.now().duration(since: Timestamp(milliseconds: repair.time)) < .seconds(7 * 86400) {
            result.append(
                StatusReason(
                    "repository-repaired", .advice,
                    "damage was found and mended on \(Timestamp(milliseconds: repair.time).localText): \(repair.archives) archives, \(repair.chunks) chunks from the sources",
                    remedy: "check the repository's disk: the kernel's log and smartctl -a tell"))
        }
        return result.isEmpty ? nil : result
    }

    /// What the scheduler must know after a restart.
    func remember() {
        let state = scheduler.state
        session?.remember { record in
            record.lastFull = state.lastFull?.milliseconds ?? record.lastFull
            record.lastReconcile = state.lastReconcile?.milliseconds ?? record.lastReconcile
            record.lastVerify = state.lastVerify?.milliseconds ?? record.lastVerify
            record.lastRotate = state.lastRotate?.milliseconds ?? record.lastRotate
        }
    }

    /// The latest successes as this machine remembers them; of the full snapshot also as the repository tells.
    static func scheduleState(_ session: Session?) -> ScheduleState {
        guard let session else { return ScheduleState() }
        let record = session.record
        let full = (try? session.catalog.totals())?.latestFull?.time
        func moment(_ milliseconds: Int64?) -> Timestamp? { milliseconds.map { Timestamp(milliseconds: $0) } }
        return ScheduleState(
            lastFull: full == nil ? nil : moment(max(full ?? 0, record.lastFull ?? 0)), lastReconcile: moment(record.lastReconcile),
            lastVerify: moment(record.lastVerify), lastRotate: moment(record.lastRotate))
    }

    /// Reads the configuration again. A bad file keeps the old one running, and the status says so.
    func reload() throws -> MessageResponse {
        do {
            let fresh = try Installation.load(configurationFile: installation.places.configurationFile)
            guard fresh.configuration.repository == configuration.repository, fresh.places == installation.places else {
                throw AgentError.failed("the repository or the state directory was changed; that needs: watchctl restart")
            }
            let isSame = fresh.configuration == configuration
            let sourcesDiffer = fresh.configuration.sources != configuration.sources
            let watchesDiffer = sourcesDiffer || fresh.configuration.exclude != configuration.exclude
                || fresh.configuration.watch != configuration.watch
            let effect = watchesDiffer ? self.session.flatMap { (try? $0.effect(of: fresh.rules)) ?? nil } : nil
            installation = fresh
            // The session keeps the key and the repository; it is opened anew with the new settings.
            session = nil
            // A person has looked at them: what they do next counts.
            HookEvent.allCases.forEach { event in board.noteQuietly { $0.reasons["hook.\(event)"] = nil } }
            dirty.replace(settings: fresh.configuration.dirtySettings)
            var schedule = fresh.configuration.schedule
            schedule.reconcileJitter = reconcileJitter
            tell(.reconfigured(schedule))
            board.note { notes in
                notes.configuration = fresh.configuration
                notes.reasons["configuration"] = nil
            }
            if watchesDiffer {
                watchFailures = []
                startWatching()
                tell(.reconcileNeeded(sourcesDiffer ? .sourcesChanged : .excludesChanged))
            }
            logger.info("configuration reloaded")
            if let review = effect?.review, review.entries > 0 {
                logger.notice(
                    "the next snapshot leaves out what the newest one has",
                    metadata: ["entries": "\(review.entries)", "bytes": "\(review.bytes)", "left": "\(review.kept)"])
            }
            let answer = isSame ? "the configuration has not changed" : "the configuration was reloaded"
            return MessageResponse(message: ([answer] + (effect?.lines ?? [])).joined(separator: "\n"))
        } catch {
            logger.error("the configuration stays as it was", metadata: ["error": "\(error)"])
            board.note { notes in
                notes.reasons["configuration"] = [
                    StatusReason(
                        "configuration-invalid", .degraded, "the old configuration is still in force: \(error)", remedy: "watchctl config check")
                ]
            }
            throw error
        }
    }
}
