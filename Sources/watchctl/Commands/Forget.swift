// `watchctl forget`: removes snapshots, whatever the rules say.

internal import Agent
internal import ArgumentParser
internal import Controlling

extension Watchctl {
    struct Forget: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "forget", abstract: "Remove snapshots.", discussion: "The newest and pinned ones stay. Content that other snapshots show stays too.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var consent: ConsentOption

        @Argument(help: ArgumentHelp("Snapshot numbers, as `watchctl snapshots` shows them.", valueName: "number"))
        var numbers: [UInt64]

        func run() throws {
            let commands = try common.commands()
            let list = numbers.map(String.init).joined(separator: ", ")
            try consent.ask("Remove \(SafeText.count(numbers.count, "snapshot")) (\(list)) for ever?")
            let response = try commands.forget(ForgetRequest(snapshots: numbers))
            // Then nothing, or not everything, was removed: `snapshots` shows what is left.
            if !response.message.isEmpty { throw AgentError.failed(response.message) }
            let standing = Set(response.snapshots.filter(\.keep).map(\.number))
            let removed = Set(numbers).subtracting(standing).count
            common.say("\(SafeText.count(removed, "snapshot")) removed, \(FreedText.describe(response.freedBytes))")
        }
    }
}
