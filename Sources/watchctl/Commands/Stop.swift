// `watchctl stop`: ends the daemon. Nothing is lost: what is pending is found again at the next start.

internal import Agent
internal import ArgumentParser

extension Watchctl {
    struct Stop: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "stop", abstract: "Stop the daemon and wait until it has ended.")

        @OptionGroup var common: CommonOptions

        func run() throws {
            let installation: Installation
            do {
                installation = try common.installation()
            } catch let error as ConfigurationError {
                // It may have become wrong since the daemon began.
                TextStream.problems.complain("\(error)")
                installation = try .withoutConfiguration(configurationFile: try common.configurationFile?.resolved())
            }
            common.sayAnswer(try DaemonControl.stop(installation))
        }
    }
}
