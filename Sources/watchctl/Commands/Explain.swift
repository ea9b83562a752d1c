// `watchctl explain`: is a path backed up, which rule decides, when was it last saved?

internal import Agent
internal import ArgumentParser
internal import Kernel

extension Watchctl {
    struct Explain: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "explain", abstract: "Say whether a path is backed up, and why.",
            discussion: "The rule, its file and line; when the path was last saved; and whether what is there now differs from that.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Argument(help: "A file or a directory; it need not exist.")
        var path: PathArgument

        func run() throws {
            let report = try common.commands().explain(try path.resolved(), assumingDirectory: path.bytes.last == UInt8(ascii: "/"))
            if json.isOn { return try TextStream.output.json(ExplainResult(report)) }
            for line in ExplainText.lines(report) { TextStream.output.line(line) }
        }
    }
}
