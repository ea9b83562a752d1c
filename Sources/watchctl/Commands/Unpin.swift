// `watchctl unpin`: from now on the rules of [keep] decide about it again.

internal import Agent
internal import ArgumentParser
internal import Controlling

extension Watchctl {
    struct Unpin: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "unpin", abstract: "Take the pin from a snapshot.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var snapshot: SnapshotArgument

        func run() throws {
            common.sayAnswer(try common.commands().remark(RemarkRequest(action: .unpin, snapshot: snapshot.number)).message)
        }
    }
}
