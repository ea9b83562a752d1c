// Runs the hooks of an event, one after the other, and says which of them failed.
// In: a HookCall.  Out: HookFailure; what each said is in the log.
// Invariant: a hook that fails, hangs or is not there stops nothing: the next one runs, and the snapshot is taken.

internal import Kernel
internal import Logging

struct HookRunner {
    let configuration: Configuration
    let configurationFile: Path
    /// Nil where a person sits in front of the command.
    let logger: Logger?
    let isCancelled: @Sendable () -> Bool

    init(_ installation: Installation, logger: Logger?, isCancelled: @escaping @Sendable () -> Bool) {
        configuration = installation.configuration
        configurationFile = installation.places.configurationFile
        self.logger = logger
        self.isCancelled = isCancelled
    }

    func run(_ call: HookCall) -> [HookFailure] {
        // What the service manager gave this process is not for others.
        var environment = ProcessIdentity.environment.filter { !["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].contains($0.key) }
        environment.merge(call.environment(configuration, configurationFile: configurationFile)) { $1 }
        var failures: [HookFailure] = []
        for line in configuration.hooks[call.event] where !isCancelled() {
            if let failure = run(line, call.event, environment) { failures.append(failure) }
        }
        return failures
    }

    private func run(_ line: String, _ event: HookEvent, _ environment: [String: String]) -> HookFailure? {
        let program = ChildProgram(
            "/bin/sh", ["-c", line], environment: environment, directory: ProcessIdentity.home.flatMap { $0.exists ? $0 : nil },
            timeout: configuration.hooks.timeout)
        let began = BootInstant.now()
        let how: String?
        var output: [UInt8] = []
        do throws(Errno) {
            let report = try program.run(isCancelled: isCancelled)
            output = report.output
            // Ended by us, because we end: nobody's failure.
            if report.end == .cancelled { return nil }
            how = report.end.trouble(timeout: program.timeout)
        } catch {
            how = "could not be started: \(error)"
        }
        var said: Logger.Metadata = ["event": "\(event.rawValue)", "command": "\(line)", "took": "\(DurationText.rough(.now() - began))"]
        if !output.isEmpty { said["output"] = "\(printable(output.trimmed))" }
        if let how { said["end"] = "\(how)" }
        logger?.log(level: how == nil ? .info : .warning, "hook", metadata: said)
        return how.map { HookFailure(event: event, line: line, how: $0, output: output) }
    }
}

/// A hook that did not do what it should.
package struct HookFailure: Hashable, Sendable {
    package var event: HookEvent
    package var line: String
    /// Goes on from the command line.
    package var how: String
    /// The last that it said, as bytes of any kind.
    package var output: [UInt8]

    package init(event: HookEvent, line: String, how: String, output: [UInt8]) {
        self.event = event
        self.line = line
        self.how = how
        self.output = output
    }

    private static let lastWordsLimit = 200

    package var message: String {
        let lastLine = output.trimmed.split(separator: UInt8(ascii: "\n")).last ?? []
        let words = lastLine.isEmpty ? "" : ": \(printable(lastLine.suffix(HookFailure.lastWordsLimit)))"
        return "the hook \(event.rawValue), \(printable(line.utf8)), \(how)\(words)"
    }

    package var reason: StatusReason {
        StatusReason(
            "hook-failing", .degraded, message + (event == .before ? "; the snapshot was taken all the same" : ""),
            remedy: "correct it under [hooks] \(event.rawValue), then: watchctl reload")
    }
}

extension ChildProgram.End {
    /// Nil when all is well.
    fileprivate func trouble(timeout: Duration) -> String? {
        switch self {
        case .exited(0), .cancelled: nil
        case .exited(let status): "ended with status \(status)"
        case .signalled(let number): "was ended by signal \(number)"
        case .timedOut: "ran longer than \(DurationText.describe(timeout)) and was ended"
        }
    }
}

extension [UInt8] {
    fileprivate var trimmed: ArraySlice<UInt8> {
        var rest = self[...]
        while rest.last == UInt8(ascii: "\n") || rest.last == UInt8(ascii: " ") { rest.removeLast() }
        return rest
    }
}
