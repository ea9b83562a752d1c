// Starting and stopping the daemon: through systemd where it runs, else as a detached process.

internal import Kernel
internal import Controlling

package enum DaemonControl {
    /// Starts the daemon and waits until it answers. Under systemd it is also begun at every login from then on; its unit is written where
    /// none is installed.
    ///
    /// - Returns: What was done, for a person.
    /// - Throws: `AgentError` with the daemon's last words when it does not come up.
    package static func start(_ installation: Installation) throws -> String {
        if let report = try? installation.client.status() {
            return "the daemon runs already (process \(report.daemon.pid.map(String.init) ?? "?"))"
        }
        if let service = ServiceUnit.Service(of: installation) {
            if try service.install(program: program), !service.control(["daemon-reload"]) { throw failure("read the daemon's unit", service) }
            guard service.control(["enable", "--now", ServiceUnit.name]) else { throw failure("start the daemon", service) }
            try wait(for: installation, isGone: { false })
            return "the daemon was started by systemd, which starts it at every \(service.manager == .user ? "login" : "boot") from now on"
        }
        let places = installation.places
        try places.makeStateDirectory()
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
        if let service = ServiceUnit.Service(of: installation), service.control(["is-active", ServiceUnit.name], output: .discarded) {
            guard service.control(["stop", ServiceUnit.name]) else { throw failure("stop the daemon", service) }
            return "the daemon was stopped by systemd"
        }
        guard let pid = installation.daemonPID else { throw AgentError.failed("the daemon's process is not known; look at \(installation.places.daemonLock)") }
        // One that hangs hears no other signal; what it was writing did not happen, as after a crash.
        try ProcessIdentity.signal(pid, isHanging(installation) ? Signals.kill : Signals.terminate)
        // The lock is free once the process has ended, however it ended.
        try naming(installation.places.daemonLock) { () throws(Errno) in
            let lock = try Descriptor.open(installation.places.daemonLock, [.read])
            try lock.waitForLock(.shared)
        }
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

    private static func failure(_ what: String, _ service: ServiceUnit.Service) -> AgentError {
        .failed("systemd could not \(what); see: systemctl \(service.manager == .user ? "--user " : "")status \(ServiceUnit.name)")
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
