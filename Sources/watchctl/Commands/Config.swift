// `watchctl config`: is the configuration right, and what does it say with all its presets?

internal import Agent
internal import ArgumentParser
internal import Kernel

extension Watchctl {
    struct Config: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "config", abstract: "Check and show the configuration.", subcommands: [Check.self, Show.self])

        struct Check: ParsableCommand {
            static let configuration = CommandConfiguration(
                commandName: "check", abstract: "Say whether the configuration can be used, and what it would leave out of the next snapshot.",
                discussion: "Exit status 0 or 1.")

            @OptionGroup var common: CommonOptions

            func run() throws {
                let installation = try common.installation()
                for source in installation.configuration.sources where !source.exists {
                    TextStream.problems.complain("the source \(source) is not there now")
                }
                common.say("\(installation.places.configurationFile) is right")
                for line in common.isQuiet ? [] : Commands(installation).ruleEffect()?.lines ?? [] { common.say(line) }
            }
        }

        struct Show: ParsableCommand {
            static let configuration = CommandConfiguration(commandName: "show", abstract: "Print all keys with the values in force.")

            @OptionGroup var common: CommonOptions

            func run() throws { TextStream.output.write(try common.installation().configuration.text) }
        }
    }
}
