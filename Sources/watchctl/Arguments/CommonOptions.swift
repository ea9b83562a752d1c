// The options that many commands share.

internal import Agent
internal import ArgumentParser
internal import Kernel
internal import Restoring

struct CommonOptions: ParsableArguments {
    @Option(name: .customLong("config"), help: ArgumentHelp("The configuration file, instead of the standard one.", valueName: "file"))
    var configurationFile: PathArgument?

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Only results and errors: no progress, no remarks.")
    var isQuiet = false

    /// - Throws: `AgentError.notConfigured`, `ConfigurationError`.
    func installation() throws -> Installation {
        try Installation.load(configurationFile: try configurationFile?.resolved())
    }

    func commands() throws -> Commands { Commands(try installation()) }

    /// A line for a person, unless `--quiet`.
    func say(_ line: String) {
        if !isQuiet { TextStream.output.line(line) }
    }

    /// What a daemon or the work itself answers, which may be nothing.
    func sayAnswer(_ text: String) {
        if !text.isEmpty { for line in SafeText.cleanedLines(text) { say(line) } }
    }

    /// Says what kept the work from being whole, and ends with the status of that; an empty text is whole.
    func endInPart(because text: String) throws {
        if text.isEmpty { return }
        for line in SafeText.cleanedLines(text) { TextStream.problems.complain(line) }
        throw ExitCode(ExitStatus.inPart)
    }

    /// A line that shows how far the work is, where a person looks at it.
    func progress(_ verb: String, json: Bool = false) -> ProgressLine {
        ProgressLine(verb, isShown: !isQuiet && !json && ProcessIdentity.isTerminal(2))
    }
}

struct JSONOption: ParsableArguments {
    @Flag(name: .customLong("json"), help: "Print JSON.")
    var isOn = false
}

struct AtOption: ParsableArguments {
    @Option(
        name: .customLong("at"),
        help: ArgumentHelp(
            "A snapshot number, latest, an ISO 8601 time, or words: 2h, 09:30, \"yesterday 14:00\", monday.", valueName: "moment"))
    var text = "latest"

    func validate() throws { try MomentText.check(text) }

    func moment() throws -> Moment { try MomentText.parse(text) }
}

enum MomentText {
    /// - Throws: `AgentError.unknownMoment`.
    static func parse(_ text: String) throws(AgentError) -> Moment {
        guard let moment = Moment(text, now: .now()) else { throw .unknownMoment(SafeText.cleaned(text)) }
        return moment
    }

    /// As a part of reading the command line: what is wrong there is said before anything is done.
    static func check(_ text: String?) throws(ValidationError) {
        do throws(AgentError) {
            _ = try text.map(parse)
        } catch {
            throw ValidationError("\(error)")
        }
    }
}

struct SnapshotArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("A snapshot number, as `watchctl snapshots` shows it.", valueName: "number"))
    var number: UInt64
}

extension RestoreRequest.Overwrite: ExpressibleByArgument {}
extension ExportFormat: ExpressibleByArgument {}
