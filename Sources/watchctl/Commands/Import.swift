// `watchctl import`: the files of a single-file archive, ours or any other tar, tar.xz, or Fernet token of one.

internal import Agent
internal import ArgumentParser
internal import Kernel
internal import Restoring

extension Watchctl {
    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import", abstract: "Restore the files of an exported archive.", discussion: "The format is recognized. Exit status 3 when not everything was restored.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Argument(help: "What `watchctl export` wrote.")
        var file: PathArgument

        @Option(help: ArgumentHelp("The directory to put the files into.", valueName: "dir"))
        var to: PathArgument

        @Option(help: ArgumentHelp("What happens to files that exist: never, changed (those that differ), always.", valueName: "when"))
        var overwrite = RestoreRequest.Overwrite.never

        func run() throws {
            let (commands, file, target) = (try common.commands(), try file.resolved(), try to.resolved())
            let line = common.progress("restoring", json: json.isOn)
            defer { line.end() }
            let report = try commands.importArchive(file, to: target, overwrite: overwrite, progress: { line.update(ProgressAmounts($0)) }) {
                Interruption.isRequested
            }
            line.end()
            let result = RestoreResult(report, target: target, snapshot: nil, isDryRun: false)
            if json.isOn { try TextStream.output.json(result) } else { common.say(result.summary(from: "\(file)")) }
            for complaint in result.complaints { TextStream.problems.complain(complaint) }
            try report.exit()
        }
    }
}
