// The command that asks and directs the backup: what it is called, and what its exit status says.
// In: arguments.  Out: text or JSON on standard output, `watchctl: message` on standard error, an exit status.
// Each command is one file in Commands/; the work is done by Agent.

internal import Agent
internal import ArgumentParser
internal import Kernel

// Each command names itself in its configuration: the parser asks all of them for their names, and to find out the name of a type takes
// the runtime a tenth of a millisecond.

@main
struct Watchctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watchctl",
        abstract: "Look into, direct and restore a continuous encrypted backup.",
        version: "watchctl \(AgentVersion.text)",
        groupedSubcommands: [
            CommandGroup(
                name: "Setting up", subcommands: [Init.self, Adopt.self, Config.self, Key.self]),
            CommandGroup(
                name: "The daemon",
                subcommands: [Start.self, Stop.self, Restart.self, Reload.self, Pause.self, Resume.self, Status.self, Check.self, Explain.self]),
            CommandGroup(
                name: "Snapshots",
                subcommands: [Snapshot.self, Snapshots.self, Pin.self, Unpin.self, Tag.self, Rotate.self, Forget.self, Purge.self]),
            CommandGroup(
                name: "Getting files back",
                subcommands: [Ls.self, Find.self, History.self, Diff.self, Cat.self, Restore.self, Export.self, Import.self]),
            CommandGroup(
                name: "Upkeep", subcommands: [Stats.self, Verify.self, Repair.self, Compact.self, Doctor.self, Catalog.self]),
        ])

    static func main() {
        // A reader that went away is an error of writing, which ends a command quietly.
        Signals.ignoreBrokenPipes()
        Interruption.handleSignals()
        // Without a daemon the key is in this process.
        ProcessIdentity.denyCoreDumps()
        HeapMemory.share()
        ProcessIdentity.exit(run(ArgumentText.ofThisProcess()))
    }

    /// Runs one command line to its end.
    ///
    /// - Returns: The exit status of the interface.
    static func run(_ arguments: [String]) -> Int32 {
        var command: any ParsableCommand
        do {
            command = try parseAsRoot(arguments)
        } catch {
            return reportUsage(error)
        }
        do {
            try command.run()
            try TextStream.output.flush()
            return ExitStatus.done
        } catch let error as ExitCode {
            return flushed(or: error.rawValue)
        } catch is BrokenOutput {
            return brokenPipeStatus
        } catch let error where exitCode(for: error) != .failure {
            // The parser's own: help that was asked for, or a wrong usage.
            return reportUsage(error)
        } catch {
            _ = flushed(or: 0)
            TextStream.problems.complain("\(error)")
            return ExitStatus.of(error)
        }
    }

    /// 128 and the number of SIGPIPE, as if it had ended the process.
    private static let brokenPipeStatus: Int32 = 128 + 13

    private static func flushed(or status: Int32) -> Int32 {
        do {
            try TextStream.output.flush()
            return status
        } catch is BrokenOutput {
            return brokenPipeStatus
        } catch {
            TextStream.problems.complain("\(error)")
            return ExitStatus.of(error)
        }
    }

    /// Help and version go to standard output; everything else is a wrong usage.
    private static func reportUsage(_ error: any Error) -> Int32 {
        let text = fullMessage(for: error)
        if exitCode(for: error).isSuccess {
            TextStream.output.line(text)
            return flushed(or: ExitStatus.done)
        }
        // It repeats the arguments, and a shell puts names of files there.
        let lines = SafeText.cleanedLines(text.hasPrefix("Error: ") ? String(text.dropFirst("Error: ".count)) : text)
        TextStream.problems.complain(lines.joined(separator: "\n"))
        return ExitStatus.usage
    }
}
