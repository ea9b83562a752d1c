// `watchctl ls`: what stood in a directory at a moment.

internal import Agent
internal import ArgumentParser
internal import Cataloging
internal import Kernel

extension Watchctl {
    struct Ls: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "List a directory of a snapshot.",
            discussion: "Without a path: the working directory if it is backed up, else everything from the root.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption
        @OptionGroup var at: AtOption

        @Argument(help: "A directory or a file.")
        var path: PathArgument?

        @Flag(name: .customShort("l"), help: "Mode, owner, group, size and time too.")
        var long = false

        @Flag(name: .customShort("R"), help: "Everything below it.")
        var recursive = false

        func run() throws {
            let installation = try common.installation()
            let sources = installation.configuration.sources
            let path = try path?.resolved() ?? Ls.presetPath(workingDirectory: workingDirectory(), sources: sources)
            let (snapshot, entries) = try Commands(installation).list(path, at: try at.moment(), recursive: recursive)
            if json.isOn {
                try TextStream.output.json(entries.map { ListingElement($0, snapshot: snapshot) })
            } else if long {
                LongListing(entries, below: path).write(to: .output)
            } else {
                for entry in entries { TextStream.output.line(EntryText.name(entry.entry, below: path)) }
            }
        }

        static func presetPath(workingDirectory: Path, sources: [Path]) -> Path {
            sources.contains { workingDirectory.isAtOrBelow($0) } ? workingDirectory : .root
        }
    }
}
