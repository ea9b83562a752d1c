import Agent
import Kernel
import Testing

struct AnnouncerTests {
    private func at(_ seconds: Int64) -> BootInstant { BootInstant(nanoseconds: seconds * 1_000_000_000) }

    @Test func atTheStartThatAllIsWellGoesWithoutSaying() {
        var announcer = Announcer()
        #expect(announcer.hear(.well, at: at(1)) == nil)
        #expect(announcer.again == nil)
        var other = Announcer()
        #expect(other.hear(.failing, at: at(1)) == Announcement(from: nil, to: .failing))
    }

    @Test func aChangeIsSaidOnceHoweverOftenItIsHeard() {
        var announcer = Announcer(said: .well)
        #expect(announcer.hear(.failing, at: at(5)) == Announcement(from: .well, to: .failing))
        for retry in 1...50 as ClosedRange<Int64> { #expect(announcer.hear(.failing, at: at(5 + 10 * retry)) == nil) }
        #expect(announcer.hear(.well, at: at(900)) == Announcement(from: .failing, to: .well))
        #expect(announcer.hear(.well, at: at(901)) == nil)
    }

    @Test func whatGoesAndComesWithinAMinuteIsNotRepeated() {
        var announcer = Announcer(said: .well)
        #expect(announcer.hear(.failing, at: at(0)) != nil)
        #expect(announcer.hear(.well, at: at(10)) == nil)
        #expect(announcer.again == at(60))
        #expect(announcer.hear(.failing, at: at(20)) == nil)
        #expect(announcer.again == nil)
        #expect(announcer.hear(.well, at: at(50)) == nil)
        // It has lasted.
        #expect(announcer.hear(.well, at: at(60)) == Announcement(from: .failing, to: .well))
        // And the calm begins anew.
        #expect(announcer.hear(.degraded, at: at(61)) == nil)
        #expect(announcer.hear(.degraded, at: at(120)) == Announcement(from: .well, to: .degraded))
    }

    @Test func aRestartRepeatsNothingAndMissesNothing() {
        var failing = Announcer(said: .failing)
        #expect(failing.hear(.failing, at: at(1)) == nil)
        #expect(failing.hear(.well, at: at(2))?.event == .recovery)
    }

    @Test func hooksRunWhenFilesBecomeUnprotectedAndWhenThatIsOver() {
        let all: [Standing?] = [nil] + Standing.allCases
        for from in all {
            for to in Standing.allCases where to != from {
                let expected: HookEvent? = to == .failing ? .failure : from == .failing ? .recovery : nil
                #expect(Announcement(from: from, to: to).event == expected)
            }
        }
    }
}
