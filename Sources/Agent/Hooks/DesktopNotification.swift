// One message on the desktop of whoever is logged in.
// In: a title and a body.  Out: `notify-send` is run, when there is one and a session's bus to speak to.
// That there is neither is the normal state of a server, and says nothing.
// Source: the Desktop Notifications Specification, "Markup"; notify-send(1).

internal import Kernel

struct DesktopNotification {
    var title: String
    var body: String
    var isUrgent: Bool

    private static let timeout = Duration.seconds(5)

    func show(isCancelled: () -> Bool) {
        var environment = ProcessIdentity.environment
        if environment["DBUS_SESSION_BUS_ADDRESS", default: ""].isEmpty {
            guard let directory = environment["XDG_RUNTIME_DIR"], let bus = Path("\(directory)/bus"), bus.exists else { return }
            environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=\(bus.text)"
        }
        let arguments = ["--app-name=Auto-Backup", "--icon=drive-harddisk", "--urgency=\(isUrgent ? "critical" : "normal")", "--", title, escapedBody]
        _ = try? ChildProgram("notify-send", arguments, environment: environment, timeout: DesktopNotification.timeout).run(isCancelled: isCancelled)
    }

    /// Names of files are no markup.
    private var escapedBody: String {
        body.replacing("\0", with: " ").replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
