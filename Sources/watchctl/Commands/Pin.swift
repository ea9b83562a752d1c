// `watchctl pin`: a pinned snapshot is never rotated away.

internal import Agent
internal import ArgumentParser
internal import Controlling

extension Watchctl {
    struct Pin: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "pin", abstract: "Keep a snapshot for ever.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var snapshot: SnapshotArgument

        func run() throws {
            common.sayAnswer(try common.commands().remark(RemarkRequest(action: .pin, snapshot: snapshot.number)).message)
        }
    }
}
