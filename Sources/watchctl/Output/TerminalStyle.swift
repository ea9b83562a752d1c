// What a terminal is able and asked to show: colours, redrawing.
// Source: no-color.org; console_codes(4).

internal import Kernel

enum TerminalStyle {
    enum Color: String {
        case red = "31"
        case green = "32"
        case yellow = "33"
    }

    /// - Parameter descriptor: 1 or 2.
    static func usesColors(on descriptor: Int32) -> Bool {
        canRedraw(on: descriptor) && ProcessIdentity.environment("NO_COLOR") == nil
    }

    static func canRedraw(on descriptor: Int32) -> Bool {
        ProcessIdentity.isTerminal(descriptor) && ProcessIdentity.environment("TERM") != "dumb"
    }

    static func bold(_ text: some StringProtocol, _ color: Color) -> String { "\u{1B}[1;\(color.rawValue)m\(text)\u{1B}[0m" }
}
