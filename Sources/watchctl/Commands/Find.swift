// `watchctl find`: paths of a snapshot, or of all of them, by a pattern.

internal import Agent
internal import ArgumentParser
internal import Archiving
internal import Cataloging
internal import Kernel

extension Watchctl {
    struct Find: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "find", abstract: "Find files by a part of their name.",
            discussion: "A pattern: \(PatternArgument.help) Exit status 1 when nothing matches.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Option(
            name: .customLong("at"),
            help: ArgumentHelp(
                "A snapshot number, latest, an ISO 8601 time, or words: 2h, 09:30, \"yesterday 14:00\", monday; none: latest.", valueName: "moment"))
        var at: String?

        @Flag(help: "In every kept snapshot: when each was first seen, and in which snapshots.")
        var all = false

        @Argument(help: "A name or a path with * ? [a-z] and **, in quotes.")
        var pattern: PatternArgument

        @Argument(help: "A directory: only what is below it.")
        var directory: PathArgument?

        func validate() throws {
            try MomentText.check(at)
            if all, at != nil { throw ValidationError("--all and --at exclude each other") }
        }

        func run() throws {
            let commands = try common.commands()
            let directory = try directory?.resolved() ?? .root
            var output = JSONArray(isOn: json.isOn)
            if all {
                try commands.findEverywhere(pattern.bytes, below: directory, isCancelled: { Interruption.isRequested }) { versions in
                    if json.isOn { return try versions.forEach { try output.add(HistoryElement($0)) } }
                    for line in FoundText.lines(versions) { output.addLine(line) }
                }
                if output.isEmpty { throw nothing("any snapshot that is kept", "") }
            } else {
                // Its number is known at the end, and is the same for all.
                let moment = try MomentText.parse(at ?? "latest")
                let snapshot = try commands.snapshotNumber(at: moment)
                _ = try commands.find(pattern.bytes, below: directory, at: .number(snapshot), isCancelled: { Interruption.isRequested }) { entry in
                    let listed = ListedEntry(entry: entry, isImplicit: false)
                    if json.isOn { try output.add(ListingElement(listed, snapshot: snapshot)) } else { output.addLine("\(entry.path)") }
                }
                if output.isEmpty { throw nothing("snapshot \(snapshot)", "; --all looks in all of them") }
            }
            output.end()
        }

        /// Nothing matches; for a plain word, how to look for a part of a name.
        private func nothing(_ place: String, _ hint: String) -> AgentError {
            let text = printable(pattern.bytes)
            let isPlain = !pattern.bytes.contains { "*?[\\/".utf8.contains($0) }
            return .failed("nothing in \(place) matches \"\(text)\"\(hint)\(isPlain ? "; a part of a name: '*\(text)*'" : "")")
        }
    }
}

enum FoundText {
    /// A line for each run of snapshots that show the path: since when, which, and the path.
    static func lines(_ versions: [PathVersion]) -> [String] {
        var runs: [(first: DatedVersion.Moment, last: UInt64)] = []
        for version in versions {
            if runs.isEmpty || version.followsDeletion {
                runs.append((version.version.first, version.version.last))
            } else {
                runs[runs.count - 1].last = version.version.last
            }
        }
        return runs.map { run in
            let range = run.first.snapshot == run.last ? "\(run.last)" : "\(run.first.snapshot)…\(run.last)"
            let path = versions[0].version.entry.path
            return "\(Timestamp(milliseconds: run.first.time).localText)  \(TextTable.padded(range, 9, .left))  \(path)"
        }
    }
}
