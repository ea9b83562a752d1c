// `watchctl purge`: removes a path from all of history.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Purge: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "purge", abstract: "Remove paths from every snapshot.",
            discussion: "Each with everything below it. The files themselves are not touched: exclude them first, or the next snapshot has them again. Content that other paths share with them stays.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var consent: ConsentOption

        @Argument(help: ArgumentHelp("Relative to the working directory, or absolute.", valueName: "path"))
        var paths: [PathArgument]

        func run() throws {
            let commands = try common.commands()
            let resolved = try paths.map { try $0.resolved() }
            try consent.ask("Remove \(resolved.map(\.description).joined(separator: ", ")) from every snapshot for ever?")
            common.sayAnswer(try commands.purge(PurgeRequest(paths: resolved.map(\.bytes))).message)
        }
    }
}
