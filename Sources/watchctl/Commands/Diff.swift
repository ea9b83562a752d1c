// `watchctl diff`: what changed between two moments, or since a moment until now.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "diff", abstract: "Show what changed between two moments, or since one.",
            discussion: """
                A added, M modified, D deleted, T of another type; a line for each path. Without a second moment the first is compared with the \
                files as they are now, by size, time and other metadata: nothing is read. Exit status 3 when something cannot be looked at.
                """)

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Argument(help: "A moment, as of --at.")
        var from: String

        @Argument(help: "Another one; none: now.")
        var to: String?

        @Option(help: ArgumentHelp("Only what is at or below it. Can be given several times.", valueName: "path"))
        var path: [PathArgument] = []

        func validate() throws {
            try MomentText.check(from)
            try MomentText.check(to)
        }

        func run() throws {
            let order = ComparisonOrder(
                from: try MomentText.parse(from), to: try to.map(MomentText.parse), paths: try path.map { try $0.resolved() })
            var result = DiffResult()
            let report = try common.commands().compare(order, isCancelled: { Interruption.isRequested }) { change in
                if json.isOn { result.changes.append(.init(change)) } else { TextStream.output.line("\(change.letter.rawValue) \(change.path)") }
            }
            if json.isOn { try TextStream.output.json(result.completed(report)) }
            for problem in report.problems { TextStream.problems.complain("\(problem.path): \(problem.reason)") }
            if !report.problems.isEmpty { throw ExitCode(ExitStatus.inPart) }
        }
    }
}
