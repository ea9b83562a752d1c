// `watchctl tag`: gives a snapshot a name, or takes one from it.

internal import Agent
internal import ArgumentParser
internal import Controlling

extension Watchctl {
    struct Tag: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "tag", abstract: "Give a snapshot a name.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var snapshot: SnapshotArgument

        @Argument(help: "The name.")
        var name: TextArgument

        @Flag(help: "Take the name away.")
        var remove = false

        func run() throws {
            let request = RemarkRequest(action: remove ? .untag : .tag, snapshot: snapshot.number, text: name.text)
            common.sayAnswer(try common.commands().remark(request).message)
        }
    }
}
