// Seeded random days of a scheduler whose activities take time, fail and are asked for.
// Held throughout: one activity at a time; every wait that ends, ends with a start or another wait later on; every request is
// answered; pending changes are not left lying once their time has come.

import Kernel
import Scheduling
import Testing

struct SchedulerSimulationTests {
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func nothingIsForgotten(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let desk = Desk(state: ScheduleState())
        var running: (end: Double, requests: [UInt64])?
        var asked: Set<UInt64> = []
        var decision = desk.decide(.started)
        let longestWait = 1000.0
        var dirtySince: Double?
        var counts: [ActivityKind: Int] = [:]
        for step in 0..<4000 {
            if case .start(let activity, let requests) = decision {
                #expect(running == nil, "seed \(seed): two at a time")
                running = (desk.now + Double.random(in: 0...20, using: &generator), requests)
                counts[activity.kind, default: 0] += 1
                if activity.kind.takesSnapshot {
                    dirtySince = nil
                    desk.clean()
                }
            }
            let timer: Double
            if case .wait(let wait) = decision, let until = wait.until {
                // A microsecond on, for the rounding of the test's clock.
                timer = Double(until.nanoseconds) / 1e9 + 1e-6
                #expect(timer > desk.now + 1e-7, "seed \(seed): a wait that is over")
            } else {
                timer = .infinity
            }
            let external = desk.now + Double.random(in: 0...200, using: &generator)
            let next = min(external, running?.end ?? .infinity, running == nil ? timer : .infinity)
            if let dirtySince, running == nil, desk.scheduler.state.pause == nil {
                // The longest backoff, and the activities that may go first.
                #expect(next - dirtySince < longestWait, "seed \(seed): changes lie about")
            }
            desk.now = next
            if let turn = running, next == turn.end {
                running = nil
                let isFailed = Int.random(in: 0..<10, using: &generator) == 0
                asked.subtract(turn.requests)
                decision = desk.decide(.finished(isFailed ? .failed : .succeeded))
            } else if next == timer {
                decision = desk.decide(.timer)
            } else {
                switch Int.random(in: 0..<40, using: &generator) {
                case 0: decision = desk.decide(.reconcileNeeded(.overflow))
                case 1: decision = desk.decide(.paused(.seconds(100)))
                case 2: decision = desk.decide(.resumed)
                case 5: decision = desk.decide(.compactable(true))
                case 6: decision = desk.decide(.damageSuspected)
                case 3, 4:
                    let wishes: [Request.Wish] = [.snapshot, .full([]), .rotate, .verify, .compact]
                    let wish = wishes.randomElement(using: &generator) ?? .snapshot
                    asked.insert(UInt64(step))
                    decision = desk.decide(.requested(Request(id: UInt64(step), wish: wish)))
                default:
                    if dirtySince == nil { dirtySince = next }
                    decision = desk.decide(.dirty(count: 1, nextDue: boot(next + 2)))
                    // Due two seconds later, and then it stays due.
                    if running == nil, case .wait = decision { decision = desk.decide(.timer, at: next + 2.001) }
                }
            }
        }
        while let turn = running {
            desk.now = turn.end
            asked.subtract(turn.requests)
            running = nil
            if case .start(_, let requests) = desk.decide(.finished(.succeeded)), !asked.isEmpty {
                running = (desk.now + 1, requests)
            }
        }
        #expect(asked.isEmpty, "seed \(seed): unanswered requests")
        for kind in ActivityKind.allCases { #expect(counts[kind, default: 0] > 0, "seed \(seed): never \(kind)") }
    }
}
