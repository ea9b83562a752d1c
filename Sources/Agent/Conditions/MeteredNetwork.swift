// Whether the network costs by the byte, as NetworkManager knows or guesses it.
// In: the answer of one of its command-line clients.  Out: yes, or no; no as well where nobody knows.
// Source: NetworkManager's D-Bus interface, "NMMetered"; nmcli(1).

internal import Kernel

package enum MeteredNetwork {
    private static let timeout = Duration.seconds(5)

    /// Runs a program or two: to be asked seldom.
    static func ask(isCancelled: () -> Bool) -> Bool {
        let name = "org.freedesktop.NetworkManager"
        let property = ["--system", "--auto-start=no", "get-property", name, "/org/freedesktop/NetworkManager", name, "Metered"]
        if let answer = output("busctl", property, isCancelled) { return isMetered(busctl: answer) }
        return output("nmcli", ["-t", "-f", "GENERAL.METERED", "device", "show"], isCancelled).map(isMetered(nmcli:)) ?? false
    }

    /// `u 1` is yes and `u 3` is guessed so; of the connection that leads out.
    package static func isMetered(busctl answer: String) -> Bool {
        let words = answer.split { $0 == " " || $0.isNewline }
        return words.count == 2 && words[0] == "u" && (words[1] == "1" || words[1] == "3")
    }

    /// `GENERAL.METERED:yes (guessed)`, a line for each device.
    package static func isMetered(nmcli answer: String) -> Bool {
        answer.split(whereSeparator: \.isNewline).contains { $0.hasPrefix("GENERAL.METERED:yes") }
    }

    private static func output(_ program: String, _ arguments: [String], _ isCancelled: () -> Bool) -> String? {
        var environment = ProcessIdentity.environment
        environment["LC_ALL"] = "C"
        guard let report = try? ChildProgram(program, arguments, environment: environment, timeout: timeout).run(isCancelled: isCancelled),
            report.end == .exited(0)
        else { return nil }
        return String(decoding: report.output, as: UTF8.self)
    }
}
