// `watchctl init`: configuration, key and repository.

internal import Agent
internal import ArgumentParser
internal import Kernel

extension Watchctl {
    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "init", abstract: "Make the configuration, the key and the repository.",
            discussion: "Nothing that exists is overwritten. Afterwards: watchctl start")

        @OptionGroup var common: CommonOptions

        @Argument(help: ArgumentHelp("The directories to back up.", valueName: "source"))
        var sources: [PathArgument]

        @Option(help: ArgumentHelp("Where the backups are kept: a new or an empty directory.", valueName: "dir"))
        var repository: PathArgument

        @OptionGroup(title: "A passphrase that opens the repository without the key file") var passphrase: PassphraseOptions

        func run() throws {
            let report = try Initialization.initialize(
                sources: try sources.map { try $0.resolved() }, repository: try repository.resolved(),
                passphrase: try passphrase.new(), configurationFile: try common.configurationFile?.resolved())
            for line in InitText.lines(report) { common.say(line) }
            common.say("next            watchctl start")
        }
    }
}

/// What `init` and `adopt` made.
enum InitText {
    static func lines(_ report: InitReport) -> [String] {
        [
            "configuration   \(report.configurationFile)", "key             \(report.keyFile)",
            "repository      \(report.repository) (\(SafeText.cleaned(report.repositoryID)))",
        ] + report.notes.map { "note            \(SafeText.cleaned($0))" }
    }
}
