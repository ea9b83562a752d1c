// `watchctl status`: protected or not, how old the newest restorable point is, and what needs attention.
// The exit status is the verdict: 0 protected, 1 degraded, 2 unprotected, 3 no daemon.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "Show whether everything is protected, and what needs attention.",
            discussion: "Exit status: 0 protected, 1 degraded, 2 unprotected, 3 the daemon does not run.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Flag(name: .customLong("watch"), help: "Show it again after every change, until Control-C.")
        var watches = false

        /// What a wrong or missing configuration means here: nothing is known to be protected.
        private static let unprotected: Int32 = 2

        func run() throws {
            let source: StatusSource
            do {
                source = try StatusSource(common)
            } catch let error where ExitStatus.of(error) == ExitStatus.failed {
                TextStream.problems.complain("\(error)")
                throw ExitCode(Status.unprotected)
            }
            if watches { return try watch(source) }
            let report = source.report()
            if json.isOn {
                try TextStream.output.json(report)
            } else if !common.isQuiet {
                show(report)
            }
            throw ExitCode(report.exitStatus)
        }

        private func show(_ report: StatusReport) {
            var lines = StatusText.lines(report, now: .now())
            if TerminalStyle.usesColors(on: 1) { lines[0] = StatusText.colored(lines[0], report.verdict) }
            for line in lines { TextStream.output.line(line) }
        }

        private func watch(_ source: StatusSource) throws {
            if !json.isOn, TerminalStyle.canRedraw(on: 1) { try LiveStatus(source).run() }
            do {
                try source.follow { try emit($0) }
            } catch is ControlError {
                // No daemon, or none any more: the report says so.
            }
            let last = source.report()
            try emit(last)
            throw ExitCode(last.exitStatus)
        }

        /// One report of many: a line of JSON, or lines and an empty one.
        private func emit(_ report: StatusReport) throws {
            if json.isOn {
                TextStream.output.write(try ControlJSON.encode(report) + [UInt8(ascii: "\n")])
            } else {
                show(report)
                TextStream.output.line()
            }
            try TextStream.output.flush()
        }
    }
}

/// Where reports come from: also a daemon whose configuration file has become wrong since it started.
enum StatusSource: Sendable {
    case installation(Commands)
    case daemon(ControlClient, last: StatusReport)

    /// - Throws: What is wrong with the configuration, when no daemon answers at the standard place.
    init(_ common: CommonOptions) throws {
        do {
            self = .installation(try common.commands())
        } catch AgentError.foreignDaemon(let places) {
            throw AgentError.foreignDaemon(places)
        } catch {
            let places = try Places(configurationFile: try common.configurationFile?.resolved())
            let client = ControlClient(socket: places.socket)
            guard let report = try? client.status() else { throw error }
            TextStream.problems.complain("\(error)")
            TextStream.problems.complain("the daemon goes on with the configuration that it has")
            self = .daemon(client, last: report)
        }
    }

    func report() -> StatusReport {
        switch self {
        case .installation(let commands): return commands.status()
        case .daemon(let client, var last):
            if let report = try? client.status() { return report }
            last.verdict = .stopped
            last.daemon.running = false
            return last
        }
    }

    /// Calls `body` after each change until it throws or the daemon ends.
    func follow(_ body: (StatusReport) throws -> Void) throws {
        switch self {
        case .installation(let commands): try commands.watchStatus(body)
        case .daemon: try body(report())
        }
    }
}
