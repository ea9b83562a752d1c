// `watchctl restart`: ends the daemon, if one runs, and starts it.

internal import Agent
internal import ArgumentParser

extension Watchctl {
    struct Restart: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "restart", abstract: "Stop the daemon and start it again.")

        @OptionGroup var common: CommonOptions

        func run() throws { common.sayAnswer(try DaemonControl.restart(common.installation())) }
    }
}
