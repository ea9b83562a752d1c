// The daemon's log: one line for each message on standard error.
// Under systemd a line begins with its priority, `<4>`, which the journal takes; elsewhere with the time and the level.
// Source: sd-daemon(3), "Log prefixes"; systemd.exec(5), JOURNAL_STREAM.

internal import Kernel
internal import Logging

struct StandardErrorLog: LogHandler {
    var style: LogLine.Style
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var details = metadata.merging(event.metadata ?? [:]) { $1 }
        if let error = event.error { details["error"] = "\(error)" }
        StandardErrorLog.write(LogLine.text(event.level, "\(event.message)", details, style, now: .now()))
    }

    /// One write for each message, so that threads do not mix theirs.
    static func write(_ text: String) {
        // There is nobody to tell about a log that cannot be written.
        try? standardError.write(Array(text.utf8))
    }
}

let standardError = Descriptor(owning: 2)

enum LogLine {
    enum Style: Sendable {
        case journal, plain

        /// The journal's, when standard error is the very stream that systemd made: the variable is inherited also by programs
        /// whose output goes elsewhere.
        static var ofThisProcess: Style {
            guard let stream = ProcessIdentity.environment("JOURNAL_STREAM"), let status = try? standardError.status() else { return .plain }
            return stream == "\(deviceNumber(status.device)):\(status.inode)" ? .journal : .plain
        }

        /// As `st_dev` holds it. Source: makedev(3).
        static func deviceNumber(_ device: DeviceNumber) -> UInt64 {
            let (major, minor) = (UInt64(device.major), UInt64(device.minor))
            return (major & 0xFFFF_F000) << 32 | (major & 0xFFF) << 8 | (minor & 0xFFFF_FF00) << 12 | minor & 0xFF
        }
    }

    /// The message, and after it what belongs to it as `name=value`. A line end inside becomes `\x0a`: a message is one line.
    static func text(
        _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata, _ style: Style, now: Timestamp
    ) -> String {
        let details = metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        let head =
            switch style {
            case .journal: "<\(priority(level))>"
            case .plain: "\(now.iso8601) \(level.rawValue.uppercased()) "
            }
        return head + oneLine(message + details) + "\n"
    }

    /// Source: syslog(3).
    static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    /// Paths in messages are escaped already, and a backslash stays as it is.
    private static func oneLine(_ text: String) -> String {
        let backslash = UInt8(ascii: "\\")
        return text.utf8.split(separator: backslash, omittingEmptySubsequences: false).map { printable($0) }.joined(separator: "\\")
    }
}
