// The daemon in the foreground: arguments, log, exit status. Everything else is Agent.
// It ends cleanly on SIGTERM and SIGINT, and reads its configuration again on SIGHUP.

internal import Agent
internal import ArgumentParser
internal import Kernel
internal import Logging

@main
struct Watchd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watchd",
        abstract: "Watch directories and keep an encrypted backup of every state.",
        discussion: "Runs in the foreground and logs to standard error. To set it up: watchctl init; to direct it: watchctl.",
        version: "watchd \(AgentVersion.text)")

    @Option(name: .customLong("config"), help: ArgumentHelp("The configuration file, instead of the standard one.", valueName: "file"))
    var configurationFile: String?

    @Option(
        help: "The least level that is logged: trace, debug, info, notice, warning, error or critical.",
        transform: { text in
            guard let level = Logger.Level(rawValue: text) else { throw ValidationError("\(text) is no level of the log") }
            return level
        })
    var logLevel = Logger.Level.info

    @Option(help: .hidden, transform: { text in
        guard let manager = ServiceUnit.Manager(rawValue: text) else { throw ValidationError("\(text) is neither user nor system") }
        return manager
    })
    var printUnit: ServiceUnit.Manager?

    func run() async throws {
        if let printUnit {
            print(ServiceUnit.packaged(for: printUnit), terminator: "")
            return
        }
        let level = logLevel
        let style = LogLine.Style.ofThisProcess
        LoggingSystem.bootstrap { _ in StandardErrorLog(style: style, logLevel: level) }
        do {
            try await DaemonRunner.run(configurationFile: try configurationPath(), logger: Logger(label: "watchd"))
        } catch {
            complain("\(error)")
            throw ExitCode(ExitStatus.of(error))
        }
    }

    private func configurationPath() throws -> Path? {
        guard let text = configurationFile else { return nil }
        let base = text.hasPrefix("/") ? Path.root : try Path.workingDirectory()
        guard !text.isEmpty, let path = Path(text, relativeTo: base) else { throw AgentError.usage("--config names no file") }
        return path
    }

    /// What keeps the daemon from running, for `watchctl start` and for persons.
    private func complain(_ message: String) {
        StandardErrorLog.write("watchd: \(message)\n")
    }
}
