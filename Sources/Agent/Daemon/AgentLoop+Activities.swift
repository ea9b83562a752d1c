// What the loop does when the scheduler says so, and what it tells others of the outcome.

internal import Archiving
internal import Cataloging
internal import Controlling
internal import Kernel
internal import Logging
internal import Rotating
internal import Scanning
internal import Scheduling
internal import Storing
internal import Synchronization
internal import Tracking
internal import Watching

extension AgentLoop {
    func perform(_ activity: Activity, _ ids: [UInt64]) {
        let outcome: Outcome
        if activity.kind.takesSnapshot { board.holdConfirmed() }
        switch activity {
        case .incremental:
            let hooked = runBefore(activity.kind, isRequested: !ids.isEmpty)
            let (scope, batch) = scope(isRequested: !ids.isEmpty, hooked: hooked)
            outcome = snapshot(SnapshotOrder(scope: scope), batch, ids, state: "snapshotting", reasons: ["request"])
        case .full(let options):
            runBefore(activity.kind, isRequested: !ids.isEmpty)
            let order = SnapshotOrder(
                scope: .whole, recording: .full, rehash: options.contains(.rehash), standalone: options.contains(.standalone))
            outcome = snapshot(order, dirty.takeAll(), ids, state: "snapshotting", reasons: ["full"])
        case .reconcile(let reasons):
            let texts = reasons.map(\.rawValue).sorted()
            logger.info("comparing everything", metadata: ["reason": "\(texts.joined(separator: ", "))"])
            runBefore(activity.kind, isRequested: !ids.isEmpty)
            outcome = snapshot(SnapshotOrder(scope: .whole), dirty.takeAll(), ids, state: "reconciling", reasons: texts)
        case .rotate: outcome = rotate(ids)
        case .verify: outcome = verify()
        case .compact: outcome = compact(ids)
        }
        if outcome != .partial { for id in ids { requests[id] = nil } }
        // What this turn took is pending no more: the next decision must not begin another turn for it.
        let pending = dirty.summary()
        tell(.dirty(count: pending.count, nextDue: pending.nextDue))
        tell(.finished(outcome))
        remember()
        noteSession(afterSnapshot: activity.kind.takesSnapshot)
        board.note { notes in
            notes.activity = "idle"
            notes.progress = nil
        }
        session?.catalog.releaseMemory()
        HeapMemory.giveBack()
        // A saved file is to be in a snapshot at once; after everything else there may be nothing to do for hours.
        if activity.kind != .incremental { programRests = .now() + .seconds(10) }
    }

    // MARK: Snapshots

    /// - Parameter reasons: Why everything is looked at, when it is.
    private func snapshot(_ order: SnapshotOrder, _ batch: DirtyBatch, _ ids: [UInt64], state: String, reasons: [String]) -> Outcome {
        board.note { notes in
            notes.activity = state
            notes.next = nil
        }
        do {
            let outcome = try withSession { session in
                let board = board
                let stopping = inbox
                let pipeline = SnapshotPipeline(
                    session: session, rules: installation.rules,
                    progress: { done in board.noteQuietly { $0.progress = done.report } },
                    isCancelled: { stopping.mustEnd() })
                return try pipeline.run(order)
            }
            if order.looksEverywhere {
                hasLostNames = false
                board.noteReconcile(outcome, reasons)
                watcher?.compared(changed: outcome.changedDirectories)
            }
            succeed(outcome, order, ids)
            guard let record = outcome.record else { return .unchanged }
            // Whoever asked for it has the answer already, and a hook that asks hears of this snapshot.
            if !configuration.hooks.after.isEmpty { noteSession(afterSnapshot: true) }
            runHooks(HookCall(.after, kind: outcome.kind?.text, snapshot: record.number))
            return .succeeded
        } catch {
            dirty.giveBack(batch)
            let isInterrupted = inbox.isStopping.load(ordering: .relaxed)
            if !isInterrupted { fail("snapshot", error) }
            if let error = error as? StorageError, error.code == .full { makeRoom() }
            for id in ids { answer(id, .failure(ExitStatus.problem(error))) }
            return isInterrupted ? .abandoned : .failed
        }
    }

    /// Rotation frees what the policy has given up; the snapshot is tried again after it.
    private func makeRoom() {
        lastRequest += 1
        tell(.requested(Request(id: lastRequest, wish: .rotate)))
    }

    private func succeed(_ outcome: SnapshotOutcome, _ order: SnapshotOrder, _ ids: [UInt64]) {
        dirty.add(outcome.unsettled.map { Change(path: $0, scope: .entry) })
        if let record = outcome.record {
            logger.info(
                "snapshot", metadata: [
                    "number": "\(record.number)", "kind": "\(outcome.kind?.text ?? "")", "changed": "\(record.statistics.entriesChanged)",
                    "added": "\(record.statistics.bytesAdded)",
                ])
        }
        for problem in outcome.problems { logger.warning("not backed up", metadata: ["path": "\(problem.path)", "reason": "\(problem.reason)"]) }
        let looksEverywhere = order.looksEverywhere
        let sources = configuration.sources
        // Settled paths alone prove something only where all is watched and nothing else is pending.
        let isConfirmed = outcome.unavailable.isEmpty && outcome.problems.isEmpty
            && (looksEverywhere || board.isComplete && isWatchedWhole && dirty.summary().count == 0)
        board.noteQuietly { notes in
            notes.reasons["snapshot"] = nil
            notes.reasons["session"] = nil
            if isConfirmed { notes.confirmed = outcome.time }
            if looksEverywhere {
                notes.reasons["overflow"] = nil
                notes.isComplete = outcome.unavailable.isEmpty
                let reasons = outcome.reasons(sources: sources)
                notes.reasons["sources"] = reasons.isEmpty ? nil : reasons
            } else {
                // What else is wrong stays known until everything is looked at again.
                var reasons = notes.reasons["sources"] ?? []
                if let record = outcome.record, record.statistics.entries > sources.count { reasons.removeAll { $0.code == "nothing-to-back-up" } }
                if let unread = outcome.unreadReason {
                    reasons.removeAll { $0.code == unread.code }
                    reasons.append(unread)
                }
                notes.reasons["sources"] = reasons.isEmpty ? nil : reasons
            }
        }
        if isConfirmed { session?.remember { $0.confirmed = outcome.time.milliseconds } }
        for id in ids {
            guard case .snapshot(let request, let reply) = requests[id] else { continue }
            do {
                let response = try withSession { try $0.response(to: request, outcome) }
                reply?.give(.success(response))
            } catch {
                reply?.give(.failure(ExitStatus.problem(error)))
            }
        }
    }

    // MARK: Upkeep

    private func rotate(_ ids: [UInt64]) -> Outcome {
        board.note { $0.activity = "rotating" }
        do {
            let (slice, isFinished) = try withSession { session in
                let run = RotationRun(session: session, isCancelled: { self.mustYield })
                return try run.run(try plan(ids.first.flatMap { requests[$0] }, run, session))
            }
            rotated += Freed(archives: slice.removedArchives, bytes: slice.freedBytes)
            board.noteQuietly { $0.reasons["rotation"] = nil }
            if !isFinished { return .partial }
            var response = slice
            response.removedArchives = rotated.archives
            response.freedBytes = rotated.bytes
            if rotated.archives > 0 { logger.info("rotated", metadata: ["removed": "\(rotated.archives)", "freed": "\(rotated.bytes)"]) }
            rotated = Freed()
            for id in ids { answerRotation(id, .success(response)) }
            return .succeeded
        } catch {
            rotated = Freed()
            fail("rotation", error)
            for id in ids { answerRotation(id, .failure(ExitStatus.problem(error))) }
            return .failed
        }
    }

    private func plan(_ request: PendingRequest?, _ run: RotationRun, _ session: Session) throws -> RotationPlan {
        switch request {
        case .forget(let request, _):
            let listed = Set(try session.catalog.snapshots().map(\.number))
            return try run.plan(forgetting: Set(request.snapshots).intersection(listed))
        case .rotate(let request, _): return try run.plan(size: request.size)
        default: return try run.plan()
        }
    }

    private func answerRotation(_ id: UInt64, _ result: Result<RotateResponse, any Error>) {
        switch requests[id] {
        case .rotate(_, let reply), .forget(_, let reply): reply.give(result)
        default: break
        }
    }

    private func compact(_ ids: [UInt64]) -> Outcome {
        board.note { $0.activity = "compacting" }
        func answer(_ result: Result<CompactResponse, any Error>) {
            for id in ids { if case .compact(let reply) = requests[id] { reply.give(result) } }
        }
        do {
            let (slice, isFinished) = try withSession { session in
                if !session.record.purging.isEmpty { _ = try PurgeRun(session: session).run([]) }
                let workers = ids.isEmpty ? 1 : Machine.processors
                return try CompactionRun(session: session, workers: workers, isCancelled: { self.mustYield || ids.isEmpty && self.hasLostMains }).run()
            }
            compacted += Freed(archives: slice.rewrittenArchives, bytes: slice.freedBytes)
            board.noteQuietly { $0.reasons["compaction"] = nil }
            if !isFinished { return .partial }
            var response = slice
            response.rewrittenArchives = compacted.archives
            response.freedBytes = compacted.bytes
            if compacted.archives > 0 { logger.info("compacted", metadata: ["rewritten": "\(compacted.archives)", "freed": "\(compacted.bytes)"]) }
            compacted = Freed()
            answer(.success(response))
            if response.message.isEmpty { return .succeeded }
            // What could not be done, for want of space or beside a reader, is tried again later each time.
            board.noteQuietly { $0.reasons["compaction"] = [StatusReason("compaction-waits", .advice, response.message, remedy: "")] }
            return .failed
        } catch {
            compacted = Freed()
            fail("compaction", error)
            answer(.failure(ExitStatus.problem(error)))
            return .failed
        }
    }

    /// One day's share of a verification that covers everything within four weeks. What is damaged is mended at once.
    private func verify() -> Outcome {
        board.note { $0.activity = "verifying" }
        let share = verificationLeft ?? 1.0 / 28
        do {
            let (response, done) = try withSession { session in
                try VerificationRun(session: session, isCancelled: { self.mustYield }).run(VerifyRequest(depth: .sample, share: share))
            }
            // It could be carried out; what it found is remembered apart from that.
            board.noteQuietly { $0.reasons["verification"] = nil }
            log(response.findings)
            try mend()
            if mustYield, done < share {
                verificationLeft = share - done
                return .partial
            }
            verificationLeft = nil
            return .succeeded
        } catch {
            fail("verification", error)
            return .failed
        }
    }

    /// Mends what is known to be damaged or missing, when that is anything.
    private func mend() throws {
        guard let session, try session.isDamaged else { return }
        _ = try repair(.known, .keep)
    }

    func repair(_ scope: RepairRun.Scope, _ remains: RepairRun.Remains) throws -> RepairResponse {
        board.note { $0.activity = "verifying" }
        defer {
            noteSession()
            board.note { $0.activity = "idle" }
        }
        let stopping = inbox
        let response = try withSession {
            try RepairRun(session: $0, isCancelled: { stopping.mustEnd() }).run(scope, remains)
        }
        logger.notice("repaired", metadata: ["result": "\(response.message)"])
        return response
    }

    /// Something more urgent than upkeep is ready, or the daemon is to end.
    private var mustYield: Bool {
        if inbox.mustEnd() || !inbox.isEmpty { return true }
        let pending = dirty.summary()
        tell(.dirty(count: pending.count, nextDue: pending.nextDue))
        return scheduler.wantsTurn(at: .now())
    }

    private func log(_ findings: [VerifyFinding]) {
        if findings.isEmpty { return }
        let places = findings.prefix(3).map { "\($0.archive)\($0.frame.map { ", frame \($0)" } ?? ""): \($0.reason)" }.joined(separator: "; ")
        // The status shows what is remembered of it, for as long as it is so.
        logger.critical("the repository is damaged", metadata: ["findings": "\(places)"])
    }

    // MARK: Outcomes

    private func answer(_ id: UInt64, _ result: Result<SnapshotResponse, any Error>) {
        if case .snapshot(_, let reply) = requests[id] { reply?.give(result) }
    }

    /// Says what failed in the log and the status, once for each cause.
    func fail(_ activity: String, _ error: any Error) {
        let reason = FailureReason.of(error, activity: activity, configuration: configuration)
        logger.error("\(activity) failed", metadata: ["error": "\(error)"])
        board.noteQuietly { $0.reasons[activity] = [reason] }
    }
}

extension SnapshotProgress {
    fileprivate var report: StatusReport.Progress {
        .init(filesDone: filesDone, filesTotal: filesTotal, bytesDone: bytesDone, bytesTotal: bytesTotal)
    }
}

extension SnapshotOutcome {
    /// Paths that could not be looked at or read.
    var unreadReason: StatusReason? {
        problems.first.map { first in
            StatusReason(
                "source-unreadable", .degraded, "\(problems.count) paths are not backed up, for example \(first.path): \(first.reason)",
                remedy: "make them readable, or exclude them")
        }
    }

    /// What a look at everything found wrong with the sources.
    func reasons(sources: [Path]) -> [StatusReason] {
        var result: [StatusReason] = []
        for problem in unavailable {
            let isAll = unavailable.count >= sources.count && problem.reason != .covered
            result.append(
                StatusReason(
                    problem.reason.rawValue, isAll ? .unprotected : .degraded,
                    "\(problem.path) \(problem.text); its last known content stays in the snapshots",
                    remedy: "mount or restore it, or take it out of the configuration"))
        }
        if let unreadReason { result.append(unreadReason) }
        // The sources themselves are always there. That one is empty is nobody's mistake.
        if entriesSeen <= sources.count, entriesLeftOut > 0, unavailable.isEmpty {
            result.append(
                StatusReason(
                    "nothing-to-back-up", .unprotected,
                    "the exclude rules leave nothing of \(sources.map(\.description).joined(separator: ", ")) to back up",
                    remedy: "correct [exclude] in the configuration: watchctl explain PATH names the rule that leaves out a path; then watchctl reload"))
        }
        return result
    }
}
