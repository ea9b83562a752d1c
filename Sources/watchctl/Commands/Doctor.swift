// `watchctl doctor`: does the backup know the sources as they are?

internal import Agent
internal import ArgumentParser
internal import Kernel

extension Watchctl {
    struct Doctor: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare the sources with the newest snapshot, entry by entry.",
            discussion: "Exit status 1 when something differs. While files change, differences are normal: take a snapshot first.")

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
                for problem in report.problems { TextStream.output.line("problem: \(problem)") }
                common.say("\(report.entries) entries compared, \(report.differentCount) differ, \(report.problems.count) problems")
            }
            if !report.isHealthy { throw ExitCode(ExitStatus.failed) }
        }
    }
}
