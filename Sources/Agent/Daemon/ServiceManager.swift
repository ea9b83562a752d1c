// What systemd is told, and what it asks: that the daemon is ready, what it does, whether it is alive.
// In: the environment that the service manager made.  Out: datagrams; nothing without NOTIFY_SOCKET.
// Source: sd_notify(3), sd_watchdog_enabled(3); their protocol, without their library.

internal import Controlling
internal import Kernel

enum ServiceManager {
    static let isThere = ProcessIdentity.environment("NOTIFY_SOCKET") != nil

    static func notify(_ message: String) {
        guard let address = ProcessIdentity.environment("NOTIFY_SOCKET") else { return }
        // Nobody listens any more: there is nothing to be done about it.
        try? Descriptor.sendDatagram(message, to: address)
    }

    /// How long the manager waits for a sign of life before it ends this process; nil when it does not.
    static var watchdogInterval: Duration? {
        watchdogInterval(
            microseconds: ProcessIdentity.environment("WATCHDOG_USEC"), process: ProcessIdentity.environment("WATCHDOG_PID"),
            own: ProcessIdentity.pid)
    }

    /// - Parameter process: Whose signs are awaited; nil for everyone's. The variables are inherited also by those that are not meant.
    static func watchdogInterval(microseconds: String?, process: String?, own: Int32) -> Duration? {
        guard let microseconds = microseconds.flatMap(Int64.init), microseconds > 0 else { return nil }
        if let process, Int32(process) != own { return nil }
        return .microseconds(microseconds)
    }
}

extension StatusReport {
    /// The status in one line for `systemctl status`, without ages, which would be old when they are read.
    package var line: String {
        let reason = verdict == .protected ? nil : reasons.first
        let text = [verdict.rawValue, reason.map { "\($0.code): \($0.message)" }, activity.state].compactMap { $0 }.joined(separator: "; ")
        return String(text.map { $0.isNewline ? " " : $0 })
    }
}
