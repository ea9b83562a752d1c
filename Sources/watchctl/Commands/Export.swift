// `watchctl export`: a snapshot as one file that standard programs open.

internal import Agent
internal import ArgumentParser
internal import Kernel
internal import Restoring

extension Watchctl {
    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "export", abstract: "Write a snapshot as one file.",
            discussion: "fernet is a Fernet token of a tar.xz, under the secret key; tar.xz and tar are not encrypted.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var at: AtOption

        @Option(help: ArgumentHelp("fernet, tar.xz or tar.", valueName: "format"))
        var format = ExportFormat.fernet

        @Argument(help: "The file to write; it must not exist.")
        var file: PathArgument

        func run() throws {
            let (commands, file) = (try common.commands(), try file.resolved())
            let line = common.progress("exporting")
            defer { line.end() }
            let report = try commands.export(at: try at.moment(), format: format, to: file, progress: { line.update(ProgressAmounts($0)) }) {
                Interruption.isRequested
            }
            line.end()
            common.say(ExportText.summary(report, file: file))
            for problem in report.problems { TextStream.problems.complain(ExportText.complaint(problem)) }
            if !report.isComplete { throw ExitCode(ExitStatus.inPart) }
        }
    }
}

enum ExportText {
    static func summary(_ report: ExportReport, file: Path) -> String {
        let counts = [
            SafeText.count(report.files, "file"), SafeText.count(report.directories, "directory", plural: "directories"),
            SafeText.count(report.others, "other"), ByteText.describe(report.bytes),
        ]
        let sockets = report.sockets.isEmpty ? "" : "; \(SafeText.count(report.sockets.count, "socket")) left out, for tar has none"
        return "exported \(counts.joined(separator: ", ")) to \(file)\(sockets)"
    }

    static func complaint(_ problem: ExportProblem) -> String {
        let effect = problem.effect == .omitted ? "left out" : "its content is zeros from where it cannot be read"
        return "\(problem.path): \(SafeText.cleaned(problem.reason)) (\(effect))"
    }
}
