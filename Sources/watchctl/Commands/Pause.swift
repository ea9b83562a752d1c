// `watchctl pause`: watching goes on, and only archiving waits.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Pause: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pause", abstract: "Let archiving wait; watching goes on.", discussion: "`watchctl snapshot` works while paused.")

        @OptionGroup var common: CommonOptions

        @Option(name: .customLong("for"), help: ArgumentHelp("How long: \(DurationText.form). Without it until `resume`.", valueName: "time"))
        var length: DurationArgument?

        func run() throws {
            common.sayAnswer(try common.commands().pause(PauseRequest(seconds: length?.duration.secondsValue)).message)
        }
    }
}
