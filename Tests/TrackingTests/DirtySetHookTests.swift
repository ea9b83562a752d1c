import Kernel
import Testing
import Tracking

struct DirtySetHookTests {
    private func at(_ seconds: Int64) -> BootInstant { BootInstant(nanoseconds: seconds * 1_000_000_000) }

    /// A hook writes while a path that someone works on does not rest: what the hook wrote is taken at once, the other waits its time.
    @Test func whatChangedSinceAHookBeganIsTakenUnrested() {
        var set = DirtySet(settings: DirtySetSettings(quiet: .seconds(2), deadline: .seconds(30), sources: [Path("/s")!]))
        func change(_ path: String, _ seconds: Int64) { set.add(Change(path: Path(path)!, scope: .entry), at: at(seconds)) }
        change("/s/rested", 0)
        change("/s/working", 4)
        change("/s/dump", 5)
        let batch = set.takeSettled(at: at(5), andChangedSince: at(5))
        #expect(batch.changes.map { "\($0.path)" } == ["/s/dump", "/s/rested"])
        #expect(set.count == 1)
        #expect(set.nextDue() == at(6))
        // Written every time, it is no hotter than any other path.
        for round in 1...10 as ClosedRange<Int64> {
            change("/s/dump", 100 * round)
            #expect(set.takeSettled(at: at(100 * round), andChangedSince: at(100 * round)).count == (round == 1 ? 2 : 1))
        }
        #expect(set.hot(at: at(1000), limit: 10).isEmpty)
    }
}
