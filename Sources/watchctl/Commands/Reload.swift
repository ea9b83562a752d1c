// `watchctl reload`: the running daemon reads its configuration again; a bad one changes nothing.

internal import Agent
internal import ArgumentParser
internal import Controlling

extension Watchctl {
    struct Reload: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "reload", abstract: "Let the daemon read its configuration again.")

        @OptionGroup var common: CommonOptions

        func run() throws { common.sayAnswer(try common.commands().reload().message) }
    }
}
