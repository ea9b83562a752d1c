// The terminal that a person sits at: its size, and a line typed without being shown.
// In: /dev/tty and the standard descriptors.  Out: columns and rows; the bytes of a passphrase.
// Invariant: the terminal shows again what is typed when the line has ended, and what stood on it when a full screen has; also when
// a signal ends this process before that (Interruption). Source: termios(3), ioctl_tty(2), console_codes(4).

internal import CLinux
internal import Glibc
internal import Synchronization

public enum Terminal {
    public struct Size: Hashable, Sendable {
        public var columns: Int
        public var rows: Int

        public init(columns: Int, rows: Int) {
            self.columns = columns
            self.rows = rows
        }
    }

    /// The size of the terminal behind `descriptor` (0, 1 or 2); nil where there is none, or it does not tell.
    /// Source: ioctl_tty(2), TIOCGWINSZ.
    public static func size(of descriptor: Int32) -> Size? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return Size(columns: Int(size.ws_col), rows: Int(size.ws_row))
    }

    /// Asks on the controlling terminal, whatever the standard descriptors are, and reads one line that is not shown.
    ///
    /// - Returns: The line without its end; nil when there was none (Control-D).
    /// - Throws: ENXIO without a controlling terminal; EFBIG above 4,096 bytes. The terminal is as it was.
    public static func readHiddenLine(prompt: String) throws(Errno) -> [UInt8]? {
        guard let place = Path("/dev/tty") else { return nil }
        let terminal = try Descriptor.open(place, [.readWrite])
        let raw = terminal.rawValue
        let settings = savedSettings
        _ = try system { tcgetattr(raw, settings) }
        var hidden = settings.pointee
        hidden.c_lflag &= ~tcflag_t(ECHO)
        hidden.c_lflag |= tcflag_t(ECHONL | ICANON | ISIG)
        hiddenTerminal.store(raw, ordering: .sequentiallyConsistent)
        defer {
            _ = tcsetattr(raw, TCSAFLUSH, settings)
            hiddenTerminal.store(-1, ordering: .sequentiallyConsistent)
        }
        // What was typed before the prompt is thrown away: it was shown.
        _ = try system { tcsetattr(raw, TCSAFLUSH, &hidden) }
        try terminal.write(Array(prompt.utf8))
        return try readLine(terminal)
    }

    private static func readLine(_ terminal: borrowing Descriptor) throws(Errno) -> [UInt8]? {
        var line: [UInt8] = []
        var byte = [UInt8](repeating: 0, count: 1)
        while true {
            var count = 0
            var failure: Errno?
            byte.withUnsafeMutableBytes { buffer in
                do throws(Errno) { count = try terminal.read(into: buffer) } catch { failure = error }
            }
            if let failure { throw failure }
            if count == 0 { return line.isEmpty ? nil : line }
            if byte[0] == UInt8(ascii: "\n") { return line }
            if line.count == 4096 { throw .fileTooLarge }
            line.append(byte[0])
        }
    }

    /// From now on `descriptor` shows a screen of its own, without a cursor, on which a line that is too long is cut and not wrapped.
    public static func enterScreen(_ descriptor: Int32) {
        screen.store(descriptor, ordering: .sequentiallyConsistent)
        write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l", to: descriptor)
    }

    /// What stood there before `enterScreen` is shown again; without that it does nothing.
    public static func leaveScreen() {
        let raw = screen.exchange(-1, ordering: .sequentiallyConsistent)
        if raw >= 0 { write(leaving, to: raw) }
    }

    /// Safe in a signal handler: the text of a literal stands in the program. A terminal that is gone needs nothing.
    private static func write(_ text: StaticString, to raw: Int32) {
        _ = Glibc.write(raw, text.utf8Start, text.utf8CodeUnitCount)
    }

    private static let leaving: StaticString = "\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

    /// As it was before a hidden line or a full screen, if there is one. Safe in a signal handler once `prepare` was called.
    static func restore() {
        let raw = hiddenTerminal.load(ordering: .sequentiallyConsistent)
        if raw >= 0 { _ = tcsetattr(raw, TCSANOW, savedSettings) }
        leaveScreen()
    }

    /// Makes what `restore` needs.
    static func prepare() {
        _ = savedSettings
        _ = hiddenTerminal.load(ordering: .relaxed)
        _ = screen.load(ordering: .relaxed)
        _ = leaving.utf8CodeUnitCount
    }
}

/// The descriptor of the terminal that does not show what is typed; -1 for none.
private let hiddenTerminal = Atomic<Int32>(-1)
/// The descriptor that shows a screen of its own; -1 for none.
private let screen = Atomic<Int32>(-1)
/// How that terminal was before. Never freed: a signal handler reads it.
nonisolated(unsafe) private let savedSettings: UnsafeMutablePointer<termios> = {
    let pointer = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    pointer.initialize(to: termios())
    return pointer
}()
