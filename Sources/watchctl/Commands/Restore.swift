// `watchctl restore`: brings paths, or everything, back. By itself it never touches what is there.

internal import Agent
internal import ArgumentParser
internal import Cataloging
internal import Kernel
internal import Restoring

extension Watchctl {
    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "restore", abstract: "Bring files back.",
            discussion: """
                A file as it was an hour ago, in its directory: watchctl restore --at 1h notes.txt

                Without --to and --in-place they go to ./restored-NUMBER. Files that exist are left as they are, and named. \
                Exit status 3 when not everything was restored.
                """)

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption
        @OptionGroup var at: AtOption

        @Argument(help: "Files and directories; none: everything.")
        var path: [PathArgument] = []

        @Option(help: ArgumentHelp("Put each path into this directory, under its own last name.", valueName: "dir"))
        var to: PathArgument?

        @Flag(help: "Put everything where it was.")
        var inPlace = false

        @Flag(help: "With --to: keep whole paths below the directory.")
        var fullPaths = false

        @Option(help: ArgumentHelp("What happens to files that exist: never, changed (those that differ), always.", valueName: "when"))
        var overwrite = RestoreRequest.Overwrite.never

        @Option(help: ArgumentHelp("Only what matches, with all that is below it. \(PatternArgument.help)", valueName: "pattern"))
        var include: [PatternArgument] = []

        @Option(help: ArgumentHelp("But not what matches, nor what is below it.", valueName: "pattern"))
        var exclude: [PatternArgument] = []

        @Flag(help: "Only say what would be restored.")
        var dryRun = false

        func validate() throws {
            if to != nil, inPlace { throw ValidationError("--to and --in-place exclude each other") }
            if fullPaths, to == nil { throw ValidationError("--full-paths needs --to") }
        }

        func run() throws {
            let commands = try common.commands()
            let order = try order()
            let line = common.progress(dryRun ? "looking" : "restoring", json: json.isOn)
            defer { line.end() }
            let show: @Sendable (RestoreProgress, RestoreProgress) -> Void = { line.update(ProgressAmounts($0, of: $1)) }
            let (report, target, snapshot) = try commands.restore(order, progress: line.isShown ? show : nil) { Interruption.isRequested }
            line.end()
            let result = RestoreResult(report, target: target, snapshot: snapshot.number, isDryRun: dryRun)
            let time = Timestamp(milliseconds: snapshot.time).localText
            if json.isOn { try TextStream.output.json(result) } else { common.say(result.summary(from: "snapshot \(snapshot.number) (\(time))")) }
            for complaint in result.complaints { TextStream.problems.complain(complaint) }
            try report.exit()
        }

        private func order() throws -> RestoreOrder {
            let placing: RestoreOrder.Placing
            if let to {
                placing = .below(try to.resolved(), fullPaths: fullPaths)
            } else {
                placing = inPlace ? .inPlace : .beside
            }
            return RestoreOrder(
                paths: try path.map { try $0.resolved() }, at: try at.moment(), placing: placing, overwrite: overwrite, isDryRun: dryRun,
                workingDirectory: workingDirectory(), include: include.map(\.bytes), exclude: exclude.map(\.bytes))
        }
    }
}

extension ProgressAmounts {
    init(_ done: RestoreProgress, of total: RestoreProgress = RestoreProgress()) {
        self.init(files: done.files, filesTotal: total.files, bytes: done.bytes, bytesTotal: total.bytes)
    }
}
