// `watchctl resume`: ends a pause.

internal import Agent
internal import ArgumentParser
internal import Controlling

extension Watchctl {
    struct Resume: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "resume", abstract: "End a pause.")

        @OptionGroup var common: CommonOptions

        func run() throws { common.sayAnswer(try common.commands().resume().message) }
    }
}
