// `watchctl doctor`: does the backup know the sources as they are?

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Doctor: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "doctor", abstract: "Compare the sources with what the agent believes of them, entry by entry.",
            discussion: """
                Every entry is compared with the newest snapshot; with a running daemon, also every directory with what is watched. What the \
                daemon knows to have changed waits for the next snapshot and is no fault. Exit status 1 when there is any.
                """)

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Flag(help: "Make peace with a repository that went back in time or lost archives. The daemon must not run.")
        var acceptRollback = false

        func run() throws {
            let commands = try common.commands()
            if acceptRollback { return common.say(try commands.acceptRollback()) }
            let report = try commands.doctor { Interruption.isRequested }
            if json.isOn {
                try TextStream.output.json(report)
            } else {
                for path in report.different { TextStream.output.line("differs: \(path)") }
                for path in report.watch?.blind ?? [] { TextStream.output.line("not watched: \(path)") }
                for path in report.watch?.stale ?? [] { TextStream.output.line("watched, but not there: \(path)") }
                for problem in report.problems { TextStream.output.line("problem: \(problem)") }
                common.say(summary(report))
            }
            if !report.isHealthy { throw ExitCode(ExitStatus.failed) }
        }

        private func summary(_ report: DoctorResponse) -> String {
            var text = "\(report.entries) entries compared, \(report.differentCount) differ"
            if report.waitingCount > 0 { text += ", \(report.waitingCount) wait for the next snapshot" }
            if let watch = report.watch {
                text += "; \(watch.directories) directories watched, \(watch.blindCount) not, \(watch.staleCount) watched in vain"
            }
            return text + "; \(report.problems.count) problems"
        }
    }
}
