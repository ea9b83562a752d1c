// `watchctl cat`: a file's content as it was, to standard output.

internal import Agent
internal import ArgumentParser

extension Watchctl {
    struct Cat: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "cat", abstract: "Write a file's content to standard output.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var at: AtOption

        @Argument(help: "The file.")
        var path: PathArgument

        func run() throws {
            let (commands, path, moment) = (try common.commands(), try path.resolved(), try at.moment())
            try TextStream.output.withDescriptor { try commands.cat(path, at: moment, to: $0) }
        }
    }
}
