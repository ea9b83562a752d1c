// Starting and stopping the daemon: through its systemd user unit where there is one, else as a detached process.

internal import Kernel
internal import Controlling

package enum DaemonControl {
    private static let unit = "auto-backup.service"

    /// Starts the daemon and waits until it answers.
    ///
    /// - Returns: What was done, for a person.
    /// - Throws: `AgentError` with the daemon's last words when it does not come up.
    package static func start(_ installation: Installation) throws -> String {
        if let report = try? installation.client.status() {
            return "the daemon runs already (process \(report.daemon.pid.map(String.init) ?? "?"))"
        }
        if usesSystemd {
            guard try ProcessIdentity.run("systemctl", ["--user", "start", unit]) == 0 else {
                throw AgentError.failed("systemd could not start it; see: systemctl --user status \(unit)")
            }
            try wait(for: installation, isGone: { false })
            return "the daemon was started by systemd"
        }
        let places = installation.places
        try places.stateDirectory.makeDirectories(mode: 0o700)
        let program = try self.program()
        let logged = (try? FileStatus(of: places.logFile).size) ?? 0
        let pid = try ProcessIdentity.spawnDetached(
            program, arguments: ["--config", places.configurationFile.text], log: places.logFile)
        var status: Int32?
        do {
            try wait(for: installation) {
                status = ProcessIdentity.exitStatus(ofChild: pid)
                return status != nil
            }
        } catch {
            let words = lastWords(places.logFile, from: logged)
            throw DaemonStartFailure(exitStatus: status ?? ExitStatus.failed, words: words)
        }
        return "the daemon was started (process \(pid)); its log is \(places.logFile)"
    }

    /// Ends the daemon and waits until it is gone: the archive at hand is finished or given up.
    package static func stop(_ installation: Installation) throws -> String {
        guard installation.isDaemonRunning else { return "no daemon runs" }
        if usesSystemd, try ProcessIdentity.run("systemctl", ["--user", "--quiet", "is-active", unit], output: .discarded) == 0 {
            guard try ProcessIdentity.run("systemctl", ["--user", "stop", unit]) == 0 else { throw AgentError.failed("systemd could not stop it") }
            return "the daemon was stopped by systemd"
        }
        guard let pid = installation.daemonPID else { throw AgentError.failed("the daemon's process is not known; look at \(installation.places.daemonLock)") }
        // One that hangs hears no other signal; what it was writing did not happen, as after a crash.
        try ProcessIdentity.signal(pid, isHanging(installation) ? Signals.kill : Signals.terminate)
        // The lock is free once the process has ended, however it ended.
        let lock = try Descriptor.open(installation.places.daemonLock, [.read])
        try lock.waitForLock(.shared)
        return "the daemon was stopped"
    }

    package static func restart(_ installation: Installation) throws -> String {
        _ = try stop(installation)
        return try start(installation)
    }

    private static func isHanging(_ installation: Installation) -> Bool {
        do {
            _ = try installation.client.status()
            return false
        } catch ControlError.hanging {
            return true
        } catch {
            // Nobody listens: it is about to begin, or to end.
            return false
        }
    }

    private static var usesSystemd: Bool {
        guard let home = ProcessIdentity.home, let runtime = ProcessIdentity.environment("XDG_RUNTIME_DIR") else { return false }
        let hasUnit = home.appending(".config/systemd/user/\(unit)".utf8).exists || (Path("/usr/lib/systemd/user/\(unit)")?.exists ?? false)
        return hasUnit && (Path("\(runtime)/systemd/private")?.exists ?? false)
    }

    /// `watchd` beside this program, else in the PATH.
    private static func program() throws -> Path {
        if let own = ProcessIdentity.executable?.parent?.appending("watchd".utf8), own.exists { return own }
        for directory in (ProcessIdentity.environment("PATH") ?? "").split(separator: ":") {
            if let path = Path("\(directory)/watchd"), path.exists { return path }
        }
        throw AgentError.failed("watchd was not found beside watchctl nor in PATH")
    }

    /// Waits for the socket to answer. There is no event for that across processes: it is asked at growing intervals.
    private static func wait(for installation: Installation, isGone: () -> Bool) throws {
        let clock = try AlarmClock()
        var pause = Duration.milliseconds(5)
        let end = BootInstant.now() + .seconds(60)
        while BootInstant.now() < end {
            if (try? installation.client.status()) != nil { return }
            if isGone() { break }
            try clock.wait(until: .now() + pause)
            pause = min(pause * 2, .milliseconds(250))
        }
        throw AgentError.failed("the daemon does not answer")
    }

    private static func lastWords(_ log: Path, from offset: UInt64) -> String {
        guard let file = try? Descriptor.open(log, [.read]), let bytes = try? file.bytes(at: offset, count: 64 << 10) else { return "" }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        return lines.suffix(5).joined(separator: "\n")
    }
}

/// The daemon ended at once: its own message and exit status are passed on.
package struct DaemonStartFailure: Error, CustomStringConvertible {
    package var exitStatus: Int32
    package var words: String

    package var description: String { "the daemon did not start\(words.isEmpty ? "" : ":\n\(words)")" }
}
