// What follows what, on a manual clock.

import Kernel
import Scheduling
import Testing

struct SchedulerTests {
    @Test func firstOfAllIsAFullSnapshot() {
        let desk = Desk(state: ScheduleState())
        #expect(desk.hear(.started) == "full")
        #expect(desk.dirty(due: 2, at: 1) == "wait the current activity")
        #expect(desk.hear(.finished(.succeeded), at: 5) == "rotate")
        #expect(desk.hear(.finished(.succeeded), at: 6) == "verify")
        #expect(desk.hear(.finished(.succeeded), at: 7) == "wait 15.0 minimum gap")
        #expect(desk.hear(.timer, at: 15) == "incremental")
        // The full one answered the reason of the start.
        #expect(desk.scheduler.state.lastReconcile == wall(Desk.epoch + 5))
    }

    @Test func startReconcilesBeforeAnythingElse() {
        let desk = Desk()
        #expect(desk.hear(.started) == "reconcile start")
        #expect(desk.hear(.finished(.unchanged), at: 3) == "wait 3603.0 next reconcile")
    }

    @Test func incrementalWaitsForTheQuietPeriodAndTheGap() {
        let desk = Desk(.onlyChanges)
        #expect(desk.hear(.timer) == "wait changes")
        #expect(desk.dirty(due: 3, at: 1) == "wait 3.0 quiet period")
        #expect(desk.hear(.timer, at: 3) == "incremental")
        #expect(desk.clean() == "wait the current activity")
        #expect(desk.hear(.finished(.succeeded), at: 4) == "wait changes")
        #expect(desk.dirty(due: 7, at: 5) == "wait 14.0 minimum gap")
        #expect(desk.hear(.timer, at: 13.9) == "wait 14.0 minimum gap")
        #expect(desk.hear(.timer, at: 14) == "incremental")
    }

    @Test func waitNamesWhatComesNext() {
        let desk = Desk()
        guard case .wait(let idle) = desk.decide(.timer) else {
            Issue.record("no wait")
            return
        }
        #expect(idle == Wait(until: boot(3600), reason: .nextReconcile, next: .reconcile))
        guard case .wait(let dirty) = desk.decide(.dirty(count: 2, nextDue: boot(2))) else {
            Issue.record("no wait")
            return
        }
        #expect(dirty == Wait(until: boot(2), reason: .quietPeriod, next: .incremental))
    }

    @Test func urgencyIsInOrder() {
        var state = ScheduleState.settled(Desk.epoch - 30 * 86400)
        state.unrotatedSnapshots = 3
        let desk = Desk(state: state)
        #expect(desk.hear(.started) == "reconcile start")
        desk.dirty(due: 0)
        desk.hear(.requested(Request(id: 7, wish: .snapshot)))
        #expect(desk.hear(.finished(.succeeded), at: 20) == "incremental for 7")
        #expect(desk.hear(.finished(.succeeded), at: 40) == "full")
        #expect(desk.hear(.finished(.succeeded), at: 60) == "rotate")
        #expect(desk.hear(.finished(.succeeded), at: 80) == "incremental")
        desk.clean()
        #expect(desk.hear(.finished(.succeeded), at: 81) == "verify")
        #expect(desk.hear(.finished(.succeeded), at: 82).hasPrefix("wait"))
    }

    @Test func requestsMergeIntoOneSnapshot() {
        let desk = Desk(.onlyChanges)
        #expect(desk.hear(.requested(Request(id: 1, wish: .snapshot))) == "incremental for 1")
        // What was written before these commands may be missing in the one under way.
        desk.hear(.requested(Request(id: 2, wish: .snapshot)))
        desk.hear(.requested(Request(id: 3, wish: .full(.rehash))))
        desk.hear(.requested(Request(id: 4, wish: .verify)))
        desk.hear(.requested(Request(id: 5, wish: .full(.standalone))))
        #expect(desk.hear(.finished(.unchanged)) == "full 3 for 2,3,5")
        #expect(desk.hear(.finished(.succeeded)) == "verify for 4")
        #expect(desk.hear(.finished(.succeeded)) == "wait changes")
    }

    @Test func requestedSnapshotReconcilesWhereTheDirtySetFails() {
        let desk = Desk(.onlyChanges)
        desk.hear(.paused(nil))
        #expect(desk.hear(.reconcileNeeded(.overflow)) == "wait paused")
        #expect(desk.hear(.requested(Request(id: 1, wish: .snapshot))) == "reconcile overflow for 1")
        #expect(desk.hear(.finished(.succeeded)) == "wait paused")
    }

    @Test func requestedSnapshotBeforeTheFirstFullIsTheFirstFull() {
        let desk = Desk(state: ScheduleState(pause: .indefinite))
        #expect(desk.hear(.started) == "wait paused")
        #expect(desk.hear(.requested(Request(id: 9, wish: .snapshot))) == "full for 9")
    }

    @Test func pauseEndsByItselfAndWatchingGoesOn() {
        let desk = Desk(.onlyChanges)
        #expect(desk.hear(.paused(.seconds(3600)), at: 10) == "wait 3610.0 paused")
        #expect(desk.dirty(due: 14, at: 12) == "wait 3610.0 paused")
        #expect(desk.hear(.timer, at: 3609) == "wait 3610.0 paused")
        #expect(desk.hear(.timer, at: 3610) == "incremental")
        #expect(desk.scheduler.state.pause == nil)
        desk.hear(.paused(nil))
        desk.clean()
        desk.dirty(due: 3611)
        #expect(desk.hear(.finished(.succeeded), at: 3700) == "wait paused")
        #expect(desk.hear(.resumed, at: 3710) == "incremental")
    }

    @Test func pauseOutlivesARestartButNotItsTime() {
        let until = ScheduleState.Pause.limited(since: wall(Desk.epoch), until: wall(Desk.epoch + 3600))
        var state = ScheduleState.settled()
        state.pause = until
        let later = Desk(.onlyChanges, state: state, wallOffset: Desk.epoch + 600)
        #expect(later.hear(.timer) == "wait 3000.0 paused")
        // The clock was set back a year: an hour remains an hour.
        let earlier = Desk(.onlyChanges, state: state, wallOffset: Desk.epoch - 31_536_000)
        #expect(earlier.hear(.timer) == "wait 3600.0 paused")
        let over = Desk(.onlyChanges, state: state, wallOffset: Desk.epoch + 7200)
        #expect(over.hear(.timer) == "wait changes")
    }

    @Test func failureIsTriedAgainLessAndLess() {
        let desk = Desk(.onlyChanges)
        desk.dirty(due: 0)
        var waits: [Double] = []
        var now = 0.0
        for _ in 0..<9 {
            guard case .wait(let wait) = desk.decide(.finished(.failed), at: now), let until = wait.until else {
                Issue.record("no wait")
                return
            }
            #expect(wait.reason == .retry)
            let next = Double(until.nanoseconds) / 1e9
            waits.append(next - now)
            now = next
            #expect(desk.hear(.timer, at: now) == "incremental")
        }
        #expect(waits == [10, 20, 40, 80, 160, 320, 600, 600, 600])
        desk.hear(.finished(.failed), at: now)
        #expect(desk.hear(.requested(Request(id: 1, wish: .snapshot)), at: now + 1) == "incremental for 1")
        // It neither ends nor lengthens the wait of the others when it fails, and ends it when it succeeds.
        #expect(desk.hear(.finished(.failed), at: now + 2) == "wait \(now + 600) retry after failure")
        desk.hear(.requested(Request(id: 2, wish: .snapshot)))
        #expect(desk.hear(.finished(.succeeded), at: now + 3) == "wait \(now + 13) minimum gap")
    }

    @Test func repositoryThatReturnsIsUsedAtOnce() {
        let desk = Desk(.onlyChanges)
        desk.dirty(due: 0)
        #expect(desk.hear(.finished(.failed)) == "wait 10.0 retry after failure")
        #expect(desk.hear(.repositoryReturned, at: 1) == "incremental")
    }

    @Test func failingFullDoesNotStopIncrementals() {
        let desk = Desk(state: ScheduleState(lastFull: wall(Desk.epoch - 8 * 86400), lastReconcile: wall(Desk.epoch)))
        #expect(desk.hear(.timer) == "full")
        desk.dirty(due: 1)
        #expect(desk.hear(.finished(.failed), at: 1) == "incremental")
        #expect(desk.hear(.finished(.succeeded), at: 2) == "rotate")
        #expect(desk.hear(.finished(.succeeded), at: 3) == "verify")
        desk.clean()
        #expect(desk.hear(.finished(.succeeded), at: 11) == "full")
    }

    @Test func reasonsSurviveAFailedReconcile() {
        let desk = Desk(.onlyChanges)
        #expect(desk.hear(.reconcileNeeded(.overflow)) == "reconcile overflow")
        desk.hear(.reconcileNeeded(.remount))
        #expect(desk.hear(.finished(.failed)) == "wait 10.0 retry after failure")
        #expect(desk.hear(.timer, at: 10) == "reconcile overflow+remount")
        #expect(desk.hear(.finished(.abandoned), at: 11) == "reconcile overflow+remount")
        #expect(desk.hear(.finished(.unchanged), at: 12) == "wait changes")
    }

    @Test func reasonDuringAReconcileAsksForAnother() {
        let desk = Desk(.onlyChanges)
        desk.hear(.reconcileNeeded(.overflow))
        desk.hear(.reconcileNeeded(.overflow))
        #expect(desk.hear(.finished(.unchanged), at: 1) == "reconcile overflow")
    }

    @Test func reconcileStormIsSlowedDown() {
        let desk = Desk(ScheduleSettings(
            reconcileEvery: .seconds(3600), fullEvery: nil, verifyEvery: nil, rotateEvery: nil))
        var begun: [Double] = []
        var decision = desk.decide(.reconcileNeeded(.overflow), at: 0)
        while begun.count < 18 {
            switch decision {
            case .start:
                begun.append(desk.now)
                desk.hear(.reconcileNeeded(.overflow))
                decision = desk.decide(.finished(.unchanged))
            case .wait(let wait):
                #expect(wait.reason == .reconcileStorm)
                guard let until = wait.until else {
            Issue.record("no wait")
            return
        }
                decision = desk.decide(.timer, at: Double(until.nanoseconds) / 1e9)
            }
        }
        let gaps: [Double] = zip(begun.dropFirst(), begun).map { $0 - $1 }
        let expected: [Double] = [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600]
        #expect(gaps == expected)
        // After a calm of one interval they are free again.
        #expect(desk.hear(.timer, at: desk.now + 3600) == "reconcile overflow")
        #expect(desk.hear(.finished(.unchanged)) == "wait \(desk.now + 3600) next reconcile")
        #expect(desk.hear(.reconcileNeeded(.overflow), at: desk.now + 3599) == "wait \(desk.now + 1) reconciles too close together")
        #expect(desk.hear(.timer, at: desk.now + 1) == "reconcile overflow")
        desk.hear(.finished(.unchanged))
        #expect(desk.hear(.timer, at: desk.now + 3600) == "reconcile interval")
        desk.hear(.finished(.unchanged))
        #expect(desk.hear(.reconcileNeeded(.overflow), at: desk.now + 1) == "reconcile overflow")
    }

    @Test func jitterMovesThePeriodicReconcile() {
        let cases: [(Double, Double)] = [(0, 3600), (0.25, 4500), (-0.25, 2700), (9, 4500)]
        for (jitter, due) in cases {
            let desk = Desk(ScheduleSettings(reconcileJitter: jitter))
            #expect(desk.hear(.timer) == "wait \(due) next reconcile")
        }
    }

    @Test func machineThatWasOffCatchesUp() {
        let desk = Desk(state: .settled(Desk.epoch - 8 * 86400))
        #expect(desk.hear(.started) == "reconcile start")
        #expect(desk.hear(.finished(.unchanged), at: 1) == "full")
        #expect(desk.hear(.finished(.succeeded), at: 2) == "rotate")
        #expect(desk.hear(.finished(.succeeded), at: 3) == "verify")
        #expect(desk.hear(.finished(.succeeded), at: 4) == "wait 3602.0 next reconcile")
    }

    @Test func machineThatSleptCatchesUp() {
        let desk = Desk()
        #expect(desk.hear(.timer) == "wait 3600.0 next reconcile")
        #expect(desk.hear(.timer, at: 8 * 86400) == "reconcile interval")
    }

    @Test func wakingFromSleepReconciles() {
        let desk = Desk()
        // What it slept before the daemon began does not count.
        desk.asleep = 5000
        #expect(desk.hear(.timer) == "wait 3600.0 next reconcile")
        desk.asleep += 0.9
        #expect(desk.hear(.timer, at: 1) == "wait 3600.0 next reconcile")
        desk.asleep += 60
        #expect(desk.hear(.dirty(count: 0, nextDue: nil), at: 61) == "reconcile resumed from sleep")
        #expect(desk.hear(.finished(.unchanged), at: 62) == "wait 3662.0 next reconcile")
        // A lid that is opened and closed all the time makes no storm.
        for nap in 1...2 {
            desk.asleep += 10
            desk.hear(.timer, at: 62 + Double(nap))
            desk.hear(.finished(.unchanged))
        }
        desk.asleep += 10
        #expect(desk.hear(.timer, at: 64.5) == "wait 65.0 reconciles too close together")
    }

    @Test func clockThatWasSetBackDelaysNothing() {
        // The state is from next year.
        let desk = Desk(state: .settled(Desk.epoch + 31_536_000))
        #expect(desk.hear(.timer) == "reconcile interval")
        #expect(desk.hear(.finished(.unchanged), at: 1) == "full")
        #expect(desk.hear(.finished(.succeeded), at: 2) == "rotate")
        // A correction by a minute is not worth a full snapshot.
        let corrected = Desk(state: .settled(Desk.epoch + 60))
        #expect(corrected.hear(.timer) == "wait 3600.0 next reconcile")
    }

    @Test func clockThatJumpsWhileRunningChangesNothing() {
        let desk = Desk()
        #expect(desk.hear(.timer) == "wait 3600.0 next reconcile")
        desk.wallOffset += 31_536_000
        #expect(desk.hear(.timer, at: 10) == "wait 3600.0 next reconcile")
        desk.wallOffset -= 63_072_000
        #expect(desk.hear(.timer, at: 20) == "wait 3600.0 next reconcile")
    }

    @Test func rotationFollowsSnapshotsOnceAnHour() {
        let desk = Desk(ScheduleSettings(reconcileEvery: nil, fullEvery: nil, verifyEvery: nil, rotateAfterSnapshots: 3))
        // Without a new snapshot there is nothing to rotate.
        #expect(desk.hear(.timer, at: 10_000) == "wait changes")
        desk.dirty(due: 10_000)
        desk.clean()
        #expect(desk.hear(.finished(.succeeded), at: 10_001) == "rotate")
        #expect(desk.hear(.finished(.succeeded), at: 10_002) == "wait changes")
        for second in [10_100.0, 10_200, 10_300] {
            #expect(desk.dirty(due: second, at: second) == "incremental")
            desk.clean()
            let last = second == 10_300
            #expect(desk.hear(.finished(.succeeded), at: second + 1) == (last ? "rotate" : "wait 13602.0 next rotation"))
        }
    }

    @Test func slicedVerificationLetsSnapshotsPass() {
        let desk = Desk(.onlyChanges)
        #expect(desk.hear(.requested(Request(id: 4, wish: .verify))) == "verify for 4")
        #expect(!desk.scheduler.wantsTurn(at: boot(0)))
        desk.dirty(due: 2)
        #expect(!desk.scheduler.wantsTurn(at: boot(1)))
        #expect(desk.scheduler.wantsTurn(at: boot(2)))
        #expect(desk.hear(.finished(.partial), at: 2) == "incremental")
        desk.clean()
        #expect(desk.hear(.finished(.succeeded), at: 3) == "verify for 4")
        desk.hear(.paused(nil))
        #expect(desk.hear(.finished(.partial), at: 4) == "verify for 4")
        #expect(desk.hear(.finished(.succeeded), at: 5) == "wait paused")
    }

    @Test func batteryDefersButNotForever() {
        let desk = Desk(ScheduleSettings(reconcileEvery: nil, fullEvery: nil, verifyEvery: .seconds(60), rotateEvery: nil))
        desk.hear(.deferred(.battery), at: 100)
        // Counted from the latest snapshot before the start.
        #expect(desk.dirty(due: 103, at: 101) == "wait 86400.0 mains power")
        #expect(desk.hear(.requested(Request(id: 1, wish: .snapshot)), at: 200) == "incremental for 1")
        desk.dirty(due: 300)
        #expect(desk.hear(.finished(.succeeded), at: 300) == "wait 86700.0 mains power")
        #expect(desk.hear(.timer, at: 86_700) == "incremental")
        desk.clean()
        #expect(desk.hear(.finished(.succeeded), at: 86_701) == "wait mains power")
        #expect(desk.hear(.deferred(nil), at: 90_000) == "verify")
    }

    @Test func longestWaitCountsWhatWasOffAsWell() {
        let settings = ScheduleSettings(fullEvery: nil, verifyEvery: nil, rotateEvery: nil)
        // Off for three days, and on battery now: it does not wait for another day.
        let desk = Desk(settings, state: .settled(Desk.epoch - 3 * 86_400))
        #expect(desk.hear(.deferred(.battery), at: 1) == "reconcile interval")
        // What comes after a snapshot begins to wait when it comes.
        desk.hear(.finished(.unchanged), at: 10)
        desk.hear(.deferred(nil), at: 11)
        desk.hear(.deferred(.meteredNetwork), at: 1000)
        #expect(desk.dirty(due: 1000, at: 1001) == "wait 87400.0 unmetered network")
        // From a metered network to an empty battery it is one wait.
        desk.hear(.deferred(.battery), at: 2000)
        #expect(desk.scheduler.deferralEnd == boot(87_400))
        // What is pending has waited for longer than anyone has asked for conditions.
        desk.clean()
        desk.hear(.deferred(nil), at: 2001)
        desk.hear(.deferred(.battery, since: boot(1500)), at: 2010)
        #expect(desk.scheduler.deferralEnd == boot(87_900))
    }

    @Test func whatIsHeldBackByConditionsIsKnown() {
        let desk = Desk(ScheduleSettings(reconcileEvery: nil, fullEvery: nil, verifyEvery: .seconds(600), rotateEvery: nil))
        desk.hear(.deferred(.battery), at: 1)
        #expect(desk.scheduler.held(at: boot(2)) == .nothing)
        desk.dirty(due: 9, at: 3)
        // Not due yet, or not any more: it waits all the same.
        #expect(desk.scheduler.held(at: boot(4)) == .archiving)
        desk.clean(at: 5)
        #expect(desk.scheduler.held(at: boot(6)) == .nothing)
        #expect(desk.scheduler.held(at: boot(600)) == .archiving)
    }

    @Test func compactionWaitsForMainsPowerHoweverFullTheBattery() {
        let desk = Desk(ScheduleSettings(reconcileEvery: nil, fullEvery: nil, verifyEvery: nil, rotateEvery: nil))
        desk.hear(.onBattery(true), at: 1)
        #expect(desk.hear(.compactable(true), at: 2) == "wait mains power")
        #expect(desk.scheduler.held(at: boot(2)) == .compaction)
        // Snapshots go on.
        #expect(desk.dirty(due: 3, at: 3) == "incremental")
        desk.clean()
        #expect(desk.hear(.finished(.succeeded), at: 4) == "wait mains power")
        #expect(desk.hear(.onBattery(false), at: 50) == "wait 124.0 idle time")
        #expect(desk.hear(.onBattery(true), at: 124) == "wait mains power")
        // A person who asks for it gets it, also in slices.
        #expect(desk.hear(.requested(Request(id: 1, wish: .compact)), at: 125) == "compact for 1")
        #expect(desk.hear(.finished(.partial), at: 126) == "compact for 1")
    }

    @Test func compactionWaitsForIdleTime() {
        let desk = Desk(ScheduleSettings(reconcileEvery: nil, fullEvery: nil, verifyEvery: nil, rotateEvery: nil))
        #expect(desk.dirty(due: 2, at: 1) == "wait 2.0 quiet period")
        #expect(desk.hear(.timer, at: 2) == "incremental")
        desk.clean()
        #expect(desk.hear(.finished(.succeeded), at: 3) == "wait changes")
        #expect(desk.hear(.compactable(true), at: 4) == "wait 123.0 idle time")
        #expect(desk.hear(.timer, at: 123) == "compact")
        // What is left of it goes on when nothing more urgent is ready.
        desk.dirty(due: 124, at: 124)
        #expect(desk.scheduler.wantsTurn(at: boot(125)))
        #expect(desk.hear(.finished(.partial), at: 125) == "incremental")
        desk.clean()
        #expect(desk.hear(.finished(.succeeded), at: 126) == "compact")
        #expect(desk.hear(.finished(.succeeded), at: 127) == "wait changes")
    }

    @Test func suspectedDamageIsVerifiedAtOnce() {
        let desk = Desk(ScheduleSettings(reconcileEvery: nil, fullEvery: nil, verifyEvery: .seconds(86_400), rotateEvery: nil))
        #expect(desk.hear(.timer, at: 1) == "wait 86400.0 next verification")
        #expect(desk.hear(.damageSuspected, at: 3) == "verify")
    }

    @Test func newSettingsCountAtOnce() {
        let desk = Desk()
        #expect(desk.hear(.timer, at: 100) == "wait 3600.0 next reconcile")
        #expect(desk.hear(.reconfigured(ScheduleSettings(reconcileEvery: .seconds(60)))) == "reconcile interval")
    }

    @Test func strayEndIsIgnored() {
        let desk = Desk(.onlyChanges)
        #expect(desk.hear(.finished(.failed)) == "wait changes")
    }
}
