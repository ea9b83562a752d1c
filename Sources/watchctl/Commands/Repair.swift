// `watchctl repair`: mends what can be mended, and names what is lost.
// Exit status 0 when everything is whole, 13 when something is lost for good.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Repair: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "repair", abstract: "Mend a damaged repository.",
            discussion: "Reads everything. Whole parts of damaged archives are kept, lists of files are written again from the catalog, and lost content is looked for in the sources. Archives of which nothing can be used any more are removed: put missing ones back first, if there is a copy. Exit status 13 when something is lost.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Flag(help: "Only what is known to be damaged or missing, without reading everything.")
        var known = false

        func run() throws {
            let commands = try common.commands()
            let line = common.progress("reading", json: json.isOn)
            defer { line.end() }
            let response = try commands.repair(
                RepairRequest(known: known), progress: { line.update(ProgressAmounts(bytes: $0, bytesTotal: $1)) }) { Interruption.isRequested }
            line.end()
            if json.isOn {
                try TextStream.output.json(response)
            } else {
                for name in response.mended { common.say("mended: \(SafeText.cleaned(name))") }
                for name in response.givenUp { common.say("removed: \(SafeText.cleaned(name))") }
                for affected in response.lost { TextStream.output.line("lost: \(VerifyText.line(affected))") }
                if response.lostCount > response.lost.count { TextStream.output.line("… and \(response.lostCount - response.lost.count) more") }
                for range in response.lostSnapshots { TextStream.output.line("lost: \(VerifyText.snapshots(range.first, range.last))") }
                if response.remarksLost { TextStream.output.line("lost: pins and tags") }
                common.sayAnswer(response.message)
            }
            if response.isLosing { throw ExitCode(ExitStatus.damaged) }
        }
    }
}
