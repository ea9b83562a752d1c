// `watchctl start`: begins watching, through systemd where its unit is installed, else as a detached process.

internal import Agent
internal import ArgumentParser

extension Watchctl {
    struct Start: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "start", abstract: "Start the daemon and wait until it answers.")

        @OptionGroup var common: CommonOptions

        func run() throws { common.sayAnswer(try DaemonControl.start(common.installation())) }
    }
}
