// `watchctl check`: for monitoring. One line, and exit status 0 or 2.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "For monitoring: one line, exit status 0 or 2.",
            discussion: """
                The line is one that Nagios and its kin read: OK or CRITICAL, and the age in seconds with its limit. \
                It is about the latest moment at which everything in the sources was known to be in a snapshot. That moment moves on \
                while nothing changes.
                """)

        @OptionGroup var common: CommonOptions

        @Option(help: ArgumentHelp("How old that moment may be: \(DurationText.form).", valueName: "time"))
        var maxAge = DurationArgument(.seconds(3600))

        func run() throws {
            let verdict: CheckVerdict
            do {
                verdict = CheckVerdict(try common.commands().status(), maxAge: maxAge.duration, now: .now())
            } catch {
                verdict = CheckVerdict(isSound: false, line: "CRITICAL: \(error)")
            }
            common.say(verdict.line)
            throw ExitCode(verdict.isSound ? 0 : 2)
        }
    }
}

struct CheckVerdict: Hashable {
    var isSound: Bool
    var line: String

    init(isSound: Bool, line: String) {
        self.isSound = isSound
        // What stands behind a bar is for machines.
        self.line = SafeText.cleaned(String(line.prefix { !$0.isNewline })).replacing("|", with: "\\x7C")
    }

    init(_ report: StatusReport, maxAge: Duration, now: Timestamp) {
        let limit = DurationText.describe(maxAge)
        guard report.daemon.running, report.verdict != .stopped else {
            self.init(isSound: false, line: "CRITICAL: the daemon does not run; start it with: watchctl start")
            return
        }
        guard let confirmed = SafeText.time(report.confirmed, now: now) else {
            self.init(isSound: false, line: "CRITICAL: not everything has been in a snapshot yet")
            return
        }
        let age = now.duration(since: confirmed)
        let state = "everything up to \(DurationText.rough(age)) ago is in a snapshot"
        let reason = report.verdict == .protected ? "" : report.reasons.first.map { "; \($0.code): \($0.message)" } ?? ""
        let isSound = age <= maxAge
        self.init(isSound: isSound, line: isSound ? "OK: \(state)\(reason)" : "CRITICAL: \(state), which is more than \(limit)\(reason)")
        // What monitoring draws: the age and its limit, in whole seconds.
        line += " | age=\(max(0, age.components.seconds))s;;\(maxAge.components.seconds)"
    }
}
