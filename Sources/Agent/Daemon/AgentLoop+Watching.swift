// The loop's side of the watcher: starting it, hearing its signals, asking it to catch up.

internal import Cataloging
internal import Controlling
internal import Kernel
internal import Logging
internal import Scanning
internal import Scheduling
internal import Synchronization
internal import Tracking
internal import Watching

extension AgentLoop {
    /// Makes a new watcher; the one before ends. Its `ready` begins the comparison of everything.
    func startWatching() {
        watcher?.stop()
        watcher = nil
        isWatching = false
        hasOverflowed = false
        watcherNumber += 1
        let number = watcherNumber
        board.noteQuietly { $0.isComplete = false }
        let rules = installation.rules
        let dirty = dirty
        let inbox = inbox
        let settings = WatchSettings(
            privateDirectory: installation.places.cookieDirectory, reserveWatches: configuration.watch.reserve,
            fileSystems: configuration.exclude.oneFileSystem ? .stay : .cross)
        do {
            var refusals = watchFailures
            let watcher = try configuration.watch.backend.makeWatcher(
                after: watchFailures, settings: settings, sources: configuration.sources,
                isExcluded: { path, kind in rules.verdict(for: path, kind: kind).isExcluded },
                sink: { dirty.add($0) }, signal: { inbox.put(.signal($0, number)) }, refused: { refusals.append($0) })
            try watcher.start()
            self.watcher = watcher
            let advice = noteBackend(of: watcher, refusals)
            board.note { notes in
                notes.watcher = watcher
                notes.reasons["watch-backend"] = advice
            }
        } catch {
            giveUpWatching(error as? WatchError ?? WatchError(.resources, errno: error as? Errno))
        }
    }

    /// Without watches the intervals remain: slower, and said. Watching is tried again after 10 s, 20 s, 40 s … 10 min.
    private func giveUpWatching(_ error: WatchError) {
        let isNew = watchRetry.retry == nil
        watchRetry.failed(at: .now())
        watcher?.stop()
        watcher = nil
        let reason = WatchReasons.of(error, every: configuration.schedule.reconcileEvery)
        board.note { notes in
            notes.watcher = nil
            notes.reasons["watch"] = [reason]
        }
        // What happened since the last comparison, no event told.
        if isNew { logger.error("watching is not possible", metadata: ["error": "\(error)"]) }
        goOn(after: isNew ? .started : nil)
    }

    /// Watched or not, from now on something may begin. What was told before is heard after the beginning: one comparison serves all of it.
    private func goOn(after event: Event?) {
        isWatching = true
        let waiting = untold
        untold = []
        for event in [event].compactMap({ $0 }) + waiting { tell(event) }
    }

    /// Logs why something else is used than what was tried first. When fanotify was asked for by name, and it is not that, the
    /// status says so, too.
    private func noteBackend(of watcher: any Watcher, _ refusals: [WatchError]) -> [StatusReason]? {
        guard let refusal = refusals.last else { return nil }
        let used = watcher.statistics().backend
        guard configuration.watch.backend == .fanotify, used != WatchBackend.fanotify.rawValue else {
            let unit = watcher is FileSystemWatcher ? "file systems" : "directories"
            logger.info("watching \(unit) with \(used)", metadata: ["reason": "\(refusal)"])
            return nil
        }
        logger.warning("watching with inotify in place of fanotify", metadata: ["reason": "\(refusal)"])
        return [
            StatusReason(
                "watch-backend", .advice, "\(refusal); inotify is used in its place, and watches as much",
                remedy: "[watch] backend = \"auto\" uses fanotify where it can, and inotify elsewhere without a word")
        ]
    }

    /// All directories that should be watched are.
    var isWatchedWhole: Bool { watcher.map { $0.statistics().unwatchedCount == 0 } ?? false }

    func take(_ signal: WatchSignal) {
        if signal != .ready { board.noteQuietly { $0.isComplete = false } }
        switch signal {
        case .ready:
            if watchRetry.retry != nil {
                logger.notice("watching is possible again")
                watchRetry.reset()
            }
            board.noteQuietly { $0.reasons["watch"] = nil }
            if !isWatching {
                goOn(after: .started)
            } else if hasOverflowed {
                tell(.reconcileNeeded(.overflow))
            }
            hasOverflowed = false
        case .overflow:
            logger.warning("the kernel's queue of events overflowed; everything is compared again")
            hasOverflowed = true
            board.note { notes in
                notes.reasons["overflow"] = [
                    StatusReason(
                        "overflow", .degraded, "more changed at once than the kernel notes; everything is compared again",
                        remedy: "wait for it: watchctl status --watch")
                ]
            }
        case .unavailable(let path):
            logger.warning("a source cannot be watched", metadata: ["path": "\(path)"])
            // The comparison says what is wrong with it, and records no deletion.
            tell(.reconcileNeeded(.remount))
        case .returned: tell(.reconcileNeeded(.sourceReturned))
        case .mountsChanged: tell(.reconcileNeeded(.remount))
        case .failed(let error):
            guard [.fileSystemMark, .directoryMark].contains(error.code) else { return giveUpWatching(error) }
            logger.error("watching with fanotify ended", metadata: ["error": "\(error)"])
            watchFailures.append(error)
            startWatching()
        }
    }

    private static let looksOfDoctor = 5

    /// Which of `paths` differ from the newest snapshot although nothing here tells that they may.
    ///
    /// Between two activities no path is on its way from the dirty set into a snapshot, and what was written before the look has been
    /// heard of after the watcher has caught up: a path that differs then, and is not pending, was missed.
    /// - Throws: `WatchError` with `.synchronization`; what looking throws.
    /// - Complexity: A look at the metadata of what is pending, at most five times.
    func diagnose(_ paths: [Path]) throws -> Diagnosis {
        let stopping = inbox
        let run = try withSession {
            DoctorRun(catalog: $0.catalog, rules: installation.rules, isCancelled: { stopping.mustEnd() })
        }
        let different = try run.compare(paths)
        var missed = different
        // While the tree changes, one look can fall between two changes; what was missed stays missed.
        for _ in 0..<AgentLoop.looksOfDoctor where !missed.isEmpty {
            try watcher?.synchronize(timeout: .seconds(30))
            missed = isComparisonOwed ? [] : dirty.settled(among: missed).filter { watcher?.coverage(of: $0) == .watched }
            if missed.isEmpty { break }
            // The names of a file change together, and only one of them is pending.
            missed = try run.compare(missed)
            let planned = Set(try run.differences(dirty.scope))
            missed.removeAll(where: planned.contains)
        }
        return Diagnosis(missed: missed, waiting: different.count - missed.count)
    }

    /// What events told is not all that changed: everything will be compared.
    private var isComparisonOwed: Bool { !isWatching || hasOverflowed || inbox.hasSignal || scheduler.owesReconcile }

    /// Where an incremental has to look so that everything written before now is in it.
    ///
    /// - Parameters:
    ///   - isRequested: A person waits for it: the watcher is asked to catch up first, and nothing rests.
    ///   - hooked: When a hook began that has made its own changes since: those belong to this snapshot, and must not lead to another.
    func scope(isRequested: Bool, hooked: BootInstant?) -> (ScanScope, DirtyBatch) {
        guard isRequested else {
            let batch = dirty.takeSettled(andChangedSince: hooked)
            noteLostNames(batch)
            return (.batch(batch), batch)
        }
        var isCaughtUp = false
        do {
            try watcher?.synchronize(timeout: .seconds(30))
            isCaughtUp = isWatchedWhole
        } catch {
            logger.warning("the watcher did not catch up; everything is compared", metadata: ["error": "\(error)"])
        }
        let batch = dirty.takeAll()
        // An overflow in the meantime arrives as a message: it counts as well.
        let hasLost = !inbox.isEmpty || hasOverflowed
        // What could not be looked at last time is looked at again, so that the answer names it.
        var isWhole = !isCaughtUp || hasLost || !board.isComplete
        if !isWhole {
            noteLostNames(batch)
            isWhole = hasLostNames
        }
        return (isWhole ? .whole : .batch(batch), batch)
    }

    /// Events tell the name that was used. When it is gone and was never backed up, it may have been another name of a file that
    /// is: which one, only a comparison of everything finds. Most are temporary files, so only a person who asks is worth that.
    private func noteLostNames(_ batch: DirtyBatch) {
        if hasLostNames { return }
        // What fails here fails again when the snapshot is taken, and is said then.
        let isLost = try? withSession { session in
            try batch.changes.contains { change in
                if (try? FileStatus(of: change.path)) != nil { return false }
                return try session.catalog.liveStatus(change.path) == nil
            }
        }
        hasLostNames = isLost ?? false
    }
}
