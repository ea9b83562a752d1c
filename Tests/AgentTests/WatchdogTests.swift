import Controlling
import Kernel
import Testing

@testable import Agent

struct WatchdogTests {
    private let start = BootInstant.now()

    private func signs(_ loop: UInt64, waiting: Bool = true, _ reader: UInt64?) -> Watchdog.Signs {
        Watchdog.Signs(loop: loop, isLoopWaiting: waiting, reader: reader)
    }

    /// What the watchdog says of these signs, at these seconds.
    private func answers(_ looks: [(signs: Watchdog.Signs, second: Int)]) -> [Bool] {
        var watchdog = Watchdog(now: start)
        return looks.map { watchdog.isAlive($0.signs, at: start + .seconds($0.second)) }
    }

    @Test func bothHaveToMove() {
        let alive = answers([
            (signs(1, 1), 0), (signs(2, 2), 30), (signs(2, 3), 60), (signs(3, 3), 64), (signs(3, 3), 94), (signs(4, 3), 98), (signs(4, 4), 102),
        ])
        // One may answer later than the other; what counts is the time since life was vouched for.
        #expect(alive == [true, true, false, true, false, false, true])
    }

    @Test func withoutAWatcherTheLoopCounts() {
        #expect(answers([(signs(1, 5), 0), (signs(2, nil), 30), (signs(2, nil), 60)]) == [true, true, false])
    }

    @Test func workMayBeLongInOneStepButNotForEver() {
        let patience = Int(Watchdog.patience.components.seconds)
        let step = signs(7, waiting: false, nil)
        let next = signs(8, waiting: false, nil)
        let alive = answers([
            (step, 0), (step, patience - 1), (step, patience), (next, patience + 1), (next, patience + 500), (next, patience * 2 + 1),
        ])
        // It got on with it in between.
        #expect(alive == [true, true, false, true, true, false])
    }

    @Test func workDoesNotVouchForTheReader() {
        #expect(answers([(signs(1, waiting: false, 9), 0), (signs(500, waiting: false, 9), 30)]) == [true, false])
    }

    @Test func managersIntervalIsForThisProcess() {
        func interval(_ microseconds: String?, _ process: String?) -> Duration? {
            ServiceManager.watchdogInterval(microseconds: microseconds, process: process, own: 42)
        }
        #expect(interval("60000000", "42") == .seconds(60))
        #expect(interval("60000000", nil) == .seconds(60))
        #expect(interval("60000000", "41") == nil)
        #expect(interval(nil, "42") == nil)
        #expect(interval("0", nil) == nil)
        #expect(interval("soon", nil) == nil)
        #expect(Watchdog.pause(true, interval: .seconds(60)) == .seconds(30))
    }
}
