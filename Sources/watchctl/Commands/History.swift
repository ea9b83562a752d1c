// `watchctl history`: every kept version of a path, with when it changed.

internal import Agent
internal import ArgumentParser
internal import Archiving
internal import Cataloging
internal import Kernel

extension Watchctl {
    struct History: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "history", abstract: "Show every kept version of a path.",
            discussion: "Each with the first snapshot that shows it. Exit status 1 when no snapshot has the path.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Argument(help: "A file or a directory.")
        var path: PathArgument

        func run() throws {
            let versions = try Commands(try common.installation()).history(try path.resolved())
            if json.isOn { return try TextStream.output.json(versions.map(HistoryElement.init)) }
            for line in HistoryText.lines(versions) { TextStream.output.line(line) }
        }
    }
}

enum HistoryText {
    /// The oldest version first; where the path was gone, a line that says since when.
    static func lines(_ versions: [PathVersion]) -> [String] {
        var table = TextTable([("TIME", .left), ("SNAPSHOTS", .left), ("MODE", .left), ("SIZE", .right), ("CHANGED", .left)])
        var end: DatedVersion.Moment?
        func addDeletion() {
            if let end { table.add([text(end), "\(end.snapshot)", "", "", "deleted"]) }
        }
        for version in versions {
            if version.followsDeletion { addDeletion() }
            let dated = version.version
            let range = dated.first.snapshot == dated.last ? "\(dated.last)" : "\(dated.first.snapshot)…\(dated.last)"
            table.add([
                text(dated.first), range, EntryText.mode(dated.entry.kind, dated.entry.mode), EntryText.size(dated.entry),
                version.changed.joined(separator: ", "),
            ])
            end = dated.until
        }
        addDeletion()
        return table.lines
    }

    private static func text(_ moment: DatedVersion.Moment) -> String { Timestamp(milliseconds: moment.time).localText }
}
