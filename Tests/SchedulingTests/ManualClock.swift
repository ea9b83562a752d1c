// A scheduler and its two clocks, moved by hand. Decisions are read as short texts: "full", "reconcile start", "wait 12 quiet period".

import Kernel
import Scheduling

final class Desk {
    var scheduler: Scheduler
    /// Seconds on the boot clock since the test began.
    var now: Double
    /// What the wall clock is ahead of the boot clock, in seconds.
    var wallOffset: Double
    /// Seconds that the machine has slept.
    var asleep: Double = 0

    static let epoch = 1_700_000_000.0

    init(_ settings: ScheduleSettings = ScheduleSettings(), state: ScheduleState = .settled(), wallOffset: Double = epoch) {
        scheduler = Scheduler(settings: settings, state: state)
        now = 0
        self.wallOffset = wallOffset
    }

    var instants: Instants { Instants(boot: boot(now), wall: wall(now + wallOffset), asleep: .seconds(asleep)) }

    @discardableResult
    func hear(_ event: Event, at seconds: Double? = nil) -> String {
        decide(event, at: seconds).text
    }

    func decide(_ event: Event, at seconds: Double? = nil) -> Decision {
        if let seconds { now = seconds }
        return scheduler.handle(event, at: instants)
    }

    @discardableResult
    func dirty(due seconds: Double, at: Double? = nil) -> String {
        hear(.dirty(count: 1, nextDue: boot(seconds)), at: at)
    }

    @discardableResult
    func clean(at: Double? = nil) -> String {
        hear(.dirty(count: 0, nextDue: nil), at: at)
    }
}

func boot(_ seconds: Double) -> BootInstant { BootInstant(nanoseconds: Int64(seconds * 1e9)) }
func wall(_ seconds: Double) -> Timestamp { Timestamp(milliseconds: Int64(seconds * 1e3)) }

extension ScheduleState {
    /// Everything was done when the test begins.
    static func settled(_ seconds: Double = Desk.epoch) -> ScheduleState {
        ScheduleState(lastFull: wall(seconds), lastReconcile: wall(seconds), lastVerify: wall(seconds), lastRotate: wall(seconds))
    }
}

extension ScheduleSettings {
    /// Nothing comes round by the clock.
    static var onlyChanges: ScheduleSettings {
        ScheduleSettings(reconcileEvery: nil, fullEvery: nil, verifyEvery: nil, rotateEvery: nil)
    }
}

extension Decision {
    var text: String {
        switch self {
        case .start(let activity, let requests):
            let answered = requests.isEmpty ? "" : " for " + requests.map(String.init).joined(separator: ",")
            switch activity {
            case .reconcile(let reasons): return "reconcile \(reasons.map(\.rawValue).sorted().joined(separator: "+"))" + answered
            case .full(let options) where !options.isEmpty: return "full \(options.rawValue)" + answered
            default: return activity.kind.rawValue + answered
            }
        case .wait(let wait):
            let until = wait.until.map { " \(Double($0.nanoseconds / 1_000_000) / 1000)" } ?? ""
            return "wait\(until) \(wait.reason.rawValue)"
        }
    }
}
