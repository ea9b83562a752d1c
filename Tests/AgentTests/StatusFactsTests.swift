import Agent
import Controlling
import Kernel
import Testing

struct StatusFactsTests {
    private func facts(_ change: (inout StatusFacts) -> Void = { _ in }) -> StatusFacts {
        let now = Timestamp(seconds: 1_800_000_000)
        var facts = StatusFacts(
            now: now, daemon: .init(running: true, pid: 7, version: "1", started: nil), sources: [Path("/home/me")!],
            watch: .init(
                backend: "inotify", directoriesWatched: 10, directoriesWanted: 10, events: 0, overflows: 0, reconciles: 1, lastReconcile: nil,
                unwatched: []), activity: .init(state: "idle", progress: nil, next: nil),
            repository: .init(path: "/r", id: nil, snapshots: 1, archives: 1, bytes: 1, freeBytes: nil, lastVerified: nil),
            keyIsKept: true, keyFile: Path("/k")!)
        facts.latest = .init(number: 3, kind: "full", time: now.adding(.seconds(-60)), entriesChanged: 1, bytesAdded: 1)
        facts.confirmed = now
        change(&facts)
        return facts
    }

    private func codes(_ report: StatusReport) -> [String] { report.reasons.map(\.code) }

    @Test func protectedWhenAllIsWell() {
        let report = facts().report()
        #expect(report.verdict == .protected)
        #expect(report.exitStatus == 0)
        #expect(report.reasons.isEmpty)
        #expect(report.latestSnapshot?.ageSeconds == 60)
    }

    @Test func littleSpaceIsSaidBeforeItFails() {
        let little = facts { facts in
            facts.lowSpace = 1000
            facts.repository.freeBytes = 999
        }.report()
        #expect(little.verdict == .degraded)
        #expect(codes(little) == ["repository-full"])
        let enough = facts { facts in
            facts.lowSpace = 1000
            facts.repository.freeBytes = 1000
        }.report()
        #expect(enough.verdict == .protected)
    }

    @Test func aRepositoryThatIsGoneIsSaidBeforeASnapshotFails() {
        let report = facts { $0.isRepositoryThere = false }.report()
        #expect(report.verdict == .unprotected)
        #expect(codes(report) == ["repository-missing"])
    }

    @Test func withoutASnapshotNothingIsProtected() {
        let report = facts { $0.latest = nil }.report()
        #expect(report.verdict == .unprotected)
        #expect(codes(report) == ["stale"])
        #expect(report.exitStatus == 2)
    }

    @Test func staleWhenNothingWasConfirmedForADay() {
        #expect(facts { $0.confirmed = $0.now.adding(.seconds(-86400)) }.report().verdict == .protected)
        let report = facts { $0.confirmed = $0.now.adding(.seconds(-86401)) }.report()
        #expect(report.verdict == .unprotected)
        #expect(codes(report) == ["stale"])
    }

    @Test func pauseKeyAndClockDegrade() {
        #expect(codes(facts { $0.isPaused = true }.report()) == ["paused"])
        #expect(codes(facts { $0.keyIsReadableByOthers = true }.report()) == ["key-unsafe"])
        #expect(codes(facts { $0.latest?.time = $0.now.adding(.seconds(301)) }.report()) == ["clock"])
        for report in [facts { $0.isPaused = true }.report(), facts { $0.keyIsReadableByOthers = true }.report()] {
            #expect(report.verdict == .degraded)
            #expect(report.exitStatus == 1)
        }
    }

    @Test func adviceDoesNotDegrade() {
        let report = facts { $0.keyIsKept = false }.report()
        #expect(report.verdict == .protected)
        #expect(codes(report) == ["key-not-kept"])
    }

    @Test func archivesThatWaitTooLongForAReadingAreAnAdvice() {
        func report(days: Int64) -> StatusReport {
            facts {
                $0.repository.verification = .init(oldest: nil, unread: 1)
                $0.unreadSince = $0.now.adding(.seconds(-86400 * days))
            }.report()
        }
        #expect(report(days: 35).reasons.isEmpty)
        #expect(codes(report(days: 36)) == ["verification-behind"])
        #expect(report(days: 36).verdict == .protected)
    }

    @Test func theWorstReasonComesFirstAndDecides() {
        let report = facts {
            $0.isPaused = true
            $0.keyIsKept = false
            $0.reasons = [StatusReason("repository-missing", .unprotected, "gone", remedy: "mount it")]
        }.report()
        #expect(report.verdict == .unprotected)
        #expect(codes(report) == ["repository-missing", "paused", "key-not-kept"])
    }

    @Test func stoppedBeatsEverything() {
        let report = facts { $0.daemon.running = false }.report()
        #expect(report.verdict == .stopped)
        #expect(report.exitStatus == 3)
    }
}
