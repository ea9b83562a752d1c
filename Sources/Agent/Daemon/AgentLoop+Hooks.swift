// What the loop has others do and say: hooks around snapshots, and word of it when backing up stands otherwise than before.
// Hooks run on the loop's thread, at its low priority: nothing else begins while they run, and watching goes on.

internal import Kernel
internal import Logging
internal import Scheduling
internal import Synchronization
internal import Tracking
internal import Watching

extension AgentLoop {
    /// Runs the hooks of an event. What fails stays in the status until it works again, or the configuration is read anew.
    func runHooks(_ call: HookCall) {
        if configuration.hooks[call.event].isEmpty { return }
        let stopping = inbox
        let failures = HookRunner(installation, logger: logger) { stopping.isStopping.load(ordering: .relaxed) }.run(call)
        board.noteQuietly { $0.reasons["hook.\(call.event)"] = failures.isEmpty ? nil : failures.map(\.reason) }
    }

    /// Lets a snapshot be prepared: databases write themselves out, say. What is written meanwhile will have been heard of.
    ///
    /// - Returns: When it began; nil when there was nothing to do.
    @discardableResult
    func runBefore(_ kind: ActivityKind, isRequested: Bool) -> BootInstant? {
        let began = BootInstant.now()
        guard configuration.hooks.isBeforeDue(last: lastBefore, now: began, isRequested: isRequested) else { return nil }
        lastBefore = began
        board.note { $0.activity = kind == .reconcile ? "reconciling" : "snapshotting" }
        runHooks(HookCall(.before, kind: kind.rawValue))
        do {
            try watcher?.synchronize(timeout: .seconds(30))
        } catch {
            logger.warning("the watcher did not catch up with a hook", metadata: ["error": "\(error)"])
        }
        return began
    }

    // MARK: Word of it

    /// Tells a person when backing up stands otherwise than when that was last said.
    func announce() {
        let (standing, reasons) = board.standing()
        guard let announcement = announcer.hear(standing, at: .now()) else { return rememberStanding() }
        rememberStanding()
        let message = reasons.first.map { "\($0.message)\n\($0.remedy)" } ?? ""
        logger.notice("\(announcement.title)", metadata: ["reasons": "\(reasons.map(\.code).joined(separator: " "))"])
        let stopping = inbox
        if configuration.notifiesDesktop {
            DesktopNotification(title: announcement.title, body: message, isUrgent: standing == .failing)
                .show { stopping.isStopping.load(ordering: .relaxed) }
        }
        if let event = announcement.event {
            runHooks(
                HookCall(
                    event, snapshot: board.latestNumber, reasons: reasons.map(\.code), message: reasons.first?.message ?? announcement.title))
        }
    }

    /// When what is pending will have waited too long, which no event tells.
    var staleAt: BootInstant? {
        guard let oldest = dirty.summary().oldest else { return nil }
        // A little later, so that it is so when it is looked at.
        let stale = oldest + configuration.limits.longestWait + .seconds(1)
        return stale > .now() ? stale : nil
    }

    static func lastStanding(_ places: Places) -> Standing? {
        (try? places.standingFile.readFile(limit: 64)).flatMap { Standing(rawValue: String(decoding: $0, as: UTF8.self)) }
    }

    /// Losing it costs a repetition.
    private func rememberStanding() {
        guard let said = announcer.said, said != AgentLoop.lastStanding(installation.places) else { return }
        try? installation.places.standingFile.replaceFile(with: Array(said.rawValue.utf8), mode: 0o600, .atomic)
    }
}
