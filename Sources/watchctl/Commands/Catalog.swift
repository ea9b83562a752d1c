// `watchctl catalog`: the local index, which can always be made anew from the repository.

internal import Agent
internal import ArgumentParser
internal import Controlling

extension Watchctl {
    struct Catalog: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "catalog", abstract: "Look after the local index.", subcommands: [Rebuild.self])

        struct Rebuild: ParsableCommand {
            static let configuration = CommandConfiguration(commandName: "rebuild", abstract: "Make the local index anew from the archives.")

            @OptionGroup var common: CommonOptions

            func run() throws { common.sayAnswer(try common.commands().rebuildCatalog().message) }
        }
    }
}
