// `watchctl snapshot`: takes one now. All that was written before the command is in it.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Snapshot: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "snapshot", abstract: "Take a snapshot now.",
            discussion: "When nothing changed it adds none and says so. Exit status 3 when some paths could not be read.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Flag(help: "Look at everything and record a complete manifest, also when nothing changed.")
        var full = false

        @Flag(help: "Read all content again, whatever the metadata says.")
        var rehash = false

        @Flag(help: "Store everything anew and reference nothing older.")
        var standalone = false

        @Flag(help: "Do not wait until it is taken. Without a daemon there is nothing to hand it to, and the command waits.")
        var noWait = false

        @Option(help: ArgumentHelp("A name for it. When nothing changed, the latest snapshot gets the name.", valueName: "name"))
        var tag: TextArgument?

        @Flag(help: "Only say what it would take.")
        var dryRun = false

        func validate() throws {
            if dryRun, noWait || tag != nil { throw ValidationError("--dry-run excludes --no-wait and --tag") }
        }

        func run() throws {
            let commands = try common.commands()
            if dryRun { return try preview(commands) }
            let request = SnapshotRequest(full: full, rehash: rehash, standalone: standalone, wait: !noWait, tag: tag?.text)
            let line = common.progress("snapshot", json: json.isOn)
            defer { line.end() }
            var failures: [HookFailure] = []
            defer { for failure in failures { TextStream.problems.complain(SafeText.cleaned(failure.message)) } }
            let response = try commands.snapshot(
                request, progress: { line.update(ProgressAmounts($0)) }, hookFailed: { failures.append($0) }
            ) { Interruption.isRequested }
            line.end()
            if json.isOn { try TextStream.output.json(response) } else { common.say(SnapshotText.line(response, now: .now())) }
            for problem in response.problems {
                TextStream.problems.complain("\(SafeText.cleaned(problem.path)): \(SafeText.cleaned(problem.reason))")
            }
            if !response.problems.isEmpty { throw ExitCode(ExitStatus.inPart) }
        }

        private func preview(_ commands: Commands) throws {
            let request = SnapshotRequest(full: full, rehash: rehash, standalone: standalone)
            let preview = try commands.preview(request) { Interruption.isRequested }
            if json.isOn { return try TextStream.output.json(PreviewResult(preview)) }
            for line in PreviewResult.lines(preview) { TextStream.output.line(line) }
            for problem in preview.problems {
                TextStream.problems.complain("\(SafeText.cleaned(problem.path)): \(SafeText.cleaned(problem.reason))")
            }
        }
    }
}

enum SnapshotText {
    static func line(_ response: SnapshotResponse, now: Timestamp) -> String {
        guard response.taken, let number = response.number else { return SafeText.cleaned(response.message) }
        var text = "snapshot \(number)"
        if let kind = response.kind { text += " (\(SafeText.cleaned(kind)))" }
        if let time = response.time { text += " of \(SafeText.localTime(time, now: now))" }
        return text + ": \(SafeText.count(response.entriesChanged, "entry", plural: "entries")) changed, "
            + "\(ByteText.describe(response.bytesAdded)) added"
    }
}

extension ProgressAmounts {
    init(_ progress: SnapshotProgress) {
        self.init(
            files: progress.filesDone, filesTotal: progress.filesTotal, bytes: progress.bytesDone, bytesTotal: progress.bytesTotal)
    }
}
