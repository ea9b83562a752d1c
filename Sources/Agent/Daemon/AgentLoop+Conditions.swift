// When the loop asks for power and network: as something is about to begin by itself, and then every minute as long as something is held
// back. An idle daemon asks for nothing, and what a person asked for is not held back.

internal import Kernel
internal import Logging
internal import Scheduling
internal import Synchronization

extension AgentLoop {
    private static let minute = Duration.seconds(60)

    /// To be asked when the scheduler wants to begin something that nobody asked for.
    ///
    /// - Returns: True when conditions are otherwise than it knew: then it has decided anew, and what it wanted has not begun.
    func reconsiders() -> Bool {
        let before = (scheduler.deferral, scheduler.isOnBattery)
        let found = askConditions()
        if before == (found.deferral(configuration.limits), found.power.isOnBattery) { return false }
        decision = .wait(Wait(until: nil, reason: .running, next: nil))
        hear(found)
        tell(.finished(.abandoned))
        return true
    }

    /// As long as something waits for nothing but better conditions they are asked for at intervals; afterwards they are forgotten.
    func reviewConditions() {
        let now = BootInstant.now()
        let held = scheduler.held(at: now)
        if held == .nothing {
            conditionsDue = nil
            if scheduler.deferral != nil { hear(nil) }
            return
        }
        if let due = conditionsDue {
            if due > now { return }
            hear(askConditions())
        }
        // A compaction can wait for the mains for days: that is no reason to wake a computer that runs on battery every minute.
        conditionsDue = now + (held == .archiving ? AgentLoop.minute : AgentLoop.minute * 10)
    }

    /// A compaction, which takes long and much power, ends soon after the plug is pulled.
    var hasLostMains: Bool {
        let now = BootInstant.now()
        if let due = conditionsDue, due > now { return wasOnBattery }
        conditionsDue = now + AgentLoop.minute
        wasOnBattery = PowerState.read().isOnBattery
        return wasOnBattery
    }

    private func askConditions() -> Conditions {
        let stopping = inbox
        let found = Conditions.ask(configuration) { stopping.isStopping.load(ordering: .relaxed) }
        wasOnBattery = found.power.isOnBattery
        return found
    }

    /// Tells the scheduler and the status. Nil: nothing is known, and nothing is held back.
    private func hear(_ conditions: Conditions?) {
        let deferral = conditions?.deferral(configuration.limits)
        if deferral != scheduler.deferral {
            logger.info(deferral == nil ? "archiving goes on" : "archiving waits", metadata: deferral.map { ["reason": "\($0)"] } ?? [:])
        }
        tell(.onBattery(conditions?.power.isOnBattery ?? false))
        // What is pending is saved before it counts as too old.
        tell(.deferred(deferral, since: dirty.summary().oldest))
        let end = scheduler.deferralEnd.map { Timestamp.now().adding($0 - .now()).localText }
        let reason = deferral.flatMap { conditions?.reason($0, configuration.limits, until: end) }
        board.noteQuietly { $0.reasons["deferred"] = reason.map { [$0] } }
    }
}
