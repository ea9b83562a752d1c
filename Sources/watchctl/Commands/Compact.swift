// `watchctl compact`: makes the repository as small as it can be, now.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Compact: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "compact", abstract: "Rewrite archives so that they take less space.",
            discussion: "Rotation first, then everything that was written quickly is compressed well. The daemon does the same by itself when nothing else is to be done.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        func run() throws {
            let commands = try common.commands()
            let rotated = try commands.rotate(RotateRequest())
            let response = try commands.compact { Interruption.isRequested }
            let total = CompactResponse(
                rewrittenArchives: response.rewrittenArchives + rotated.removedArchives, freedBytes: response.freedBytes + rotated.freedBytes,
                message: [rotated.message, response.message].filter { !$0.isEmpty }.joined(separator: "\n"))
            if json.isOn {
                try TextStream.output.json(total)
            } else {
                common.say("\(SafeText.count(total.rewrittenArchives, "archive")) rewritten, \(FreedText.describe(total.freedBytes))")
            }
            try common.endInPart(because: total.message)
        }
    }
}

enum FreedText {
    static func describe(_ bytes: Int64) -> String {
        bytes >= 0 ? "\(ByteText.describe(UInt64(bytes))) freed" : "\(ByteText.describe(bytes.magnitude)) more are used"
    }
}
