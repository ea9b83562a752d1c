// `watchctl rotate`: removes the snapshots that no rule keeps, or says which they are.
// With --json exactly `[{number, keep, reasons}]`.

internal import Agent
internal import ArgumentParser
internal import Controlling

extension Watchctl {
    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Remove the snapshots that no rule keeps.", discussion: "The rules are in [keep] of the configuration.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Flag(help: "Only say what would be removed.")
        var dryRun = false

        @Option(help: ArgumentHelp("Make room now: keep no more than so much, the oldest go first.", valueName: "bytes"))
        var size: ByteCountArgument?

        func run() throws {
            let response = try common.commands().rotate(RotateRequest(dryRun: dryRun, size: size?.bytes))
            if json.isOn {
                try TextStream.output.json(response.snapshots)
            } else {
                for line in RotateText.lines(response, isDryRun: dryRun) { common.say(line) }
            }
            if !dryRun { try common.endInPart(because: response.message) }
        }
    }
}

enum RotateText {
    static func lines(_ response: RotateResponse, isDryRun: Bool) -> [String] {
        var table = TextTable([("NUMBER", .right), ("VERDICT", .left), ("BECAUSE", .left)])
        for verdict in response.snapshots {
            let reasons = verdict.reasons.map(SafeText.cleaned).joined(separator: ", ")
            table.add(["\(verdict.number)", verdict.keep ? "keep" : "remove", reasons])
        }
        var result = response.snapshots.isEmpty ? [] : table.lines
        if isDryRun {
            let removed = response.snapshots.count { !$0.keep }
            result.append("\(SafeText.count(removed, "snapshot")) would be removed; nothing was")
            if !response.message.isEmpty { result += SafeText.cleanedLines(response.message) }
        } else {
            let archives = SafeText.count(response.removedArchives, "archive")
            result.append("\(archives) removed, \(FreedText.describe(response.freedBytes))")
        }
        return result
    }
}
