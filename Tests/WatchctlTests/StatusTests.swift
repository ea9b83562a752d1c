import Agent
import Controlling
import Kernel
import Testing

@testable import watchctl

struct StatusTests {
    @Test func theFirstLineAnswers() {
        #expect(StatusText.headline(report(), now: present) == "Protected: the newest restorable point is 2.0s old")
        #expect(
            StatusText.headline(report(.stopped, confirmed: nil), now: present)
                == "Stopped: no daemon runs; the newest restorable point is 60m old")
        var fresh = report(.unprotected, confirmed: nil)
        fresh.latestSnapshot = nil
        #expect(StatusText.headline(fresh, now: present) == "Unprotected: there is nothing to restore yet")
    }

    /// A snapshot that is newer than the last moment at which everything was known counts too.
    @Test func theNewestOfBothIsRestorable() {
        let older = report(confirmed: moment(secondsAgo: 7200))
        #expect(StatusText.newestRestorable(older, now: present) == Timestamp(seconds: present.seconds - 3600))
    }

    @Test func everyPartIsThere() {
        let reason = StatusReport.Reason(code: "watch-limit", message: "one directory is not watched", remedy: "sysctl it")
        let lines = StatusText.lines(report(.degraded, reasons: [reason]), now: present)
        #expect(lines[0].hasPrefix("Degraded: "))
        for expected in [
            "Snapshot    42, incremental, \(Timestamp(seconds: present.seconds - 3600).localText) (60m ago): 3 entries changed, 1.21 KiB added",
            "Pending     2 paths, the oldest for 1.7s",
            "Watching    16,613 of 16,614 directories (inotify), 123,456 events, 0 overflows, compared 12m ago (overflow, start) in 1.2s",
            "            changes all the time: /home/me/log, saved every 15m at most",
            "            not watched: /home/me/deep: no watches are left", "Activity    waiting",
            "Next        incremental in 8.0s, waits for: quiet period",
            "Repository  /mnt/backup/me: 42 snapshots in 43 archives, 1 GiB; 100 GiB free; verified 3h ago", "Sources     /home/me",
            "watch-limit: one directory is not watched", "    sysctl it",
        ] { #expect(lines.contains(expected)) }
    }

    @Test func archivesThatWereNotReadLatelyAreCounted() {
        func lines(unread: Int) -> [String] {
            var report = report()
            report.repository.verification = .init(oldest: nil, unread: unread)
            return StatusText.lines(report, now: present)
        }
        #expect(lines(unread: 2).contains("            2 of 43 archives not read in full in the last 31 days"))
        #expect(!lines(unread: 0).contains { $0.contains("31 days") })
    }

    @Test func aReportCannotTouchTheTerminal() {
        var hostile = report(reasons: [.init(code: "c\u{1B}", message: "m\u{7}\nsecond", remedy: "r\u{9B}")])
        hostile.repository.path = "/mnt/\u{1B}]0;x\u{7}"
        hostile.activity.state = "a\rb"
        hostile.watch.unwatched = [.init(path: "/\u{8}", reason: "\u{1B}c")]
        hostile.pending.oldestAgeSeconds = .infinity
        // No Duration holds them: these two ended the program.
        for index in hostile.pending.hot.indices { hostile.pending.hot[index].backoffSeconds = 1e300 }
        for index in hostile.watch.recentReconciles.indices { hostile.watch.recentReconciles[index].seconds = -1e300 }
        let text = StatusText.lines(hostile, now: present).joined()
        #expect(!text.unicodeScalars.contains { $0.properties.generalCategory == .control })
    }

    @Test func onlyTheVerdictIsColored() {
        let line = StatusText.headline(report(), now: present)
        #expect(StatusText.colored(line, .protected) == "\u{1B}[1;32mProtected\u{1B}[0m: the newest restorable point is 2.0s old")
    }

    @Test func theLiveViewFitsTheTerminal() {
        let message = "/home/me/a-name-without-any-space-that-is-wider-than-the-terminal is gone; its last known content stays"
        let reasons = ["source-missing", "paused"].map { StatusReport.Reason(code: $0, message: message, remedy: "watchctl resume") }
        let report = report(.unprotected, reasons: reasons)
        for size in [Terminal.Size(columns: 80, rows: 24), .init(columns: 60, rows: 15), .init(columns: 40, rows: 6), .init(columns: 1, rows: 1)] {
            let lines = LiveStatus.lines(report, now: present, size)
            #expect(lines.count <= size.rows)
            #expect(lines.allSatisfy { $0.count <= size.columns })
        }
        // What is wrong, and what mends it, comes whole and before the rest.
        let lines = LiveStatus.lines(report, now: present, Terminal.Size(columns: 60, rows: 15))
        #expect(lines[0].hasPrefix("Unprotected: "))
        #expect(lines[2...5] == ["source-missing:", "  /home/me/a-name-without-any-space-that-is-wider-than-the-t", "  erminal is gone; its last known content stays", "    watchctl resume"])
        #expect(lines.count == 15)
        #expect(lines.last == "... and 9 more lines: watchctl status")
        // The verdict is never cut, and where there is room nothing is.
        let narrow = LiveStatus.lines(report, now: present, Terminal.Size(columns: 30, rows: 100))
        #expect(narrow[0...1] == ["Unprotected: the newest", "  restorable point is 2.0s old"])
        #expect(narrow.allSatisfy { $0.count <= 30 && !$0.hasSuffix("...") })
        #expect(narrow.contains { $0.hasPrefix("Repository  /") } && narrow.contains { $0.hasPrefix("            ") })
    }

    @Test func checkIsAboutWhatIsConfirmed() {
        let hour = Duration.seconds(3600)
        let fresh = CheckVerdict(report(), maxAge: hour, now: present)
        #expect(fresh.isSound && fresh.line == "OK: everything up to 2.0s ago is in a snapshot | age=2s;;3600")
        let old = CheckVerdict(report(confirmed: moment(secondsAgo: 7000)), maxAge: hour, now: present)
        #expect(!old.isSound && old.line == "CRITICAL: everything up to 116m ago is in a snapshot, which is more than 1h | age=7000s;;3600")
        #expect(CheckVerdict(report(confirmed: moment(secondsAgo: 7000)), maxAge: .seconds(7200), now: present).isSound)
        #expect(!CheckVerdict(report(confirmed: nil), maxAge: hour, now: present).isSound)
        #expect(!CheckVerdict(report(confirmed: "yesterweek"), maxAge: hour, now: present).isSound)
        #expect(!CheckVerdict(report(.stopped), maxAge: hour, now: present).isSound)
    }

    @Test func checkIsOneLine() {
        let reason = StatusReport.Reason(code: "paused", message: "first |\nsecond", remedy: "")
        let verdict = CheckVerdict(report(.degraded, reasons: [reason]), maxAge: .seconds(60), now: present)
        #expect(verdict.isSound && verdict.line == "OK: everything up to 2.0s ago is in a snapshot; paused: first \\x7C | age=2s;;60")
    }

    @Test func verificationSaysHowFarItReaches() {
        func line(_ verified: [String?], depth: String = "sample", since: String? = nil) -> String? {
            VerifyText.coverage(
                VerifyResponse(
                    depth: depth, archivesRead: 1, bytesRead: 1, findings: [], archives: verified.map { .init(archive: "a", verified: $0) },
                    coveredSince: since), now: present)
        }
        let (recent, old) = (moment(secondsAgo: 31 * 86400), moment(secondsAgo: 31 * 86400 + 1))
        #expect(line([recent, present.iso8601], since: recent) == "every archive was read in full since \(SafeText.localTime(recent, now: present))")
        #expect(line([recent, old], since: old) == "1 of 2 archives was not read in full in the last 31 days")
        #expect(line([nil, nil, recent]) == "2 of 3 archives were not read in full in the last 31 days")
        #expect(line([]) == nil)
        #expect(line([nil], depth: "digests") == nil)
    }
}
