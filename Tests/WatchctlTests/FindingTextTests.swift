import Archiving
import Cataloging
import Controlling
import Kernel
import Scanning
import Testing

@testable import Agent
@testable import watchctl

struct FindingTextTests {
    private func moment(_ number: UInt64) -> DatedVersion.Moment { .init(snapshot: number, time: present.milliseconds + Int64(number) * 1000) }

    private func version(_ first: UInt64, _ last: UInt64, until: UInt64?, followsDeletion: Bool = false) -> PathVersion {
        PathVersion(
            version: DatedVersion(first: moment(first), last: last, until: until.map(moment), entry: listed(path("/home/me/a")).entry),
            changed: ["new"], followsDeletion: followsDeletion)
    }

    private func time(_ number: Int64) -> String { Timestamp(seconds: present.seconds + number).localText }

    @Test func aLineForEachRunOfSnapshots() {
        let lines = FoundText.lines([version(1, 7, until: 8), version(8, 8, until: 9), version(12, 12, until: nil, followsDeletion: true)])
        #expect(lines == ["\(time(1))  1…8        /home/me/a", "\(time(12))  12         /home/me/a"])
    }

    @Test func whatTheDaemonKnowsIsSaid() {
        func lines(_ watch: PathWatch) -> [String] {
            let explanation = PathExplanation(path: path("/home/me/a"), reason: .included(nil), place: path("/home/me/a"), source: nil, status: nil)
            return Array(ExplainText.lines(PathReport(explanation: explanation, versions: 0, live: .missing, watch: watch), now: present).dropFirst(3))
        }
        #expect(lines(PathWatch(path: "/home/me/a", watched: true, unwatched: nil, pending: nil, backoffSeconds: nil, next: nil)) == ["Watched yes"])
        let soon = Timestamp(seconds: present.seconds + 90)
        let busy = PathWatch(
            path: "/home/me/a", watched: false, unwatched: .init(path: "/home/me", reason: "no\u{1B}"),
            pending: .init(path: "/home", first: soon.iso8601, last: present.iso8601, due: soon.iso8601), backoffSeconds: 480,
            next: .init(action: "incremental", due: nil, waitingFor: "quiet period"))
        #expect(lines(busy) == [
            "Watched no, only compared at intervals: /home/me: no\\x1b",
            "Pending changed at \(present.localText) (all of /home); saved in 90s, waits for: quiet period",
            "        changes all the time: saved every 8m at most",
        ])
    }

    @Test func everyReasonHasItsSentence() {
        func headline(_ reason: PathExplanation.Reason, at place: String = "/home/me/a") -> String {
            let explanation = PathExplanation(path: path("/home/me/a"), reason: reason, place: path(place), source: nil, status: nil)
            return ExplainText.lines(PathReport(explanation: explanation, versions: 0, live: .missing))[0]
        }
        func rule(_ text: String, _ place: RuleOrigin.Place) -> PathExplanation.Reason { .excluded(RuleOrigin(text: Array(text.utf8), place: place)) }
        let start = "/home/me/a is not backed up: "
        #expect(headline(.source) == "/home/me/a is backed up: it is a source")
        #expect(headline(.included(nil)) == "/home/me/a would be backed up if it were there")
        #expect(headline(rule("*.\u{1B}", .pattern(0))) == start + "it is left out by the pattern \"*.\\x1b\"")
        #expect(headline(rule("/x", .ignoreFile(path("/home/me/.ignore"), line: 1)), at: "/home/me") == start + "/home/me is left out by the pattern \"/x\" of /home/me/.ignore")
        #expect(headline(rule("1048576", .size)) == start + "it is larger than 1 MiB")
        #expect(headline(rule("", .own)) == start + "it is the repository, or the program's own state")
        #expect(headline(.behindSymlink, at: "/home/me") == start + "/home/me is a symlink, which is kept as such and not followed")
        #expect(headline(.unreadable(.permissionDenied)) == start + "it cannot be looked at: \(Errno.permissionDenied); what was last known of it stays")
    }

    @Test func pathsAreOneWordOfAShell() {
        func text(_ bytes: [UInt8]) -> String { Path(unchecked: bytes).shellText }
        #expect(text(Array("home/me/a-b_c.txt".utf8)) == "/home/me/a-b_c.txt")
        #expect(text(Array("a b".utf8)) == "'/a b'")
        #expect(text(Array("Müller".utf8)) == "'/Müller'")
        #expect(text(Array("it's".utf8)) == "$'/it\\'s'")
        #expect(text([0x61, 0xFF, 0x0A, 0x5C]) == "$'/a\\xff\\x0a\\\\'")
    }
}
