// The status on a terminal, as it is now.
// In: reports, after each change and once a second, for ages grow.  Out: as many lines as the terminal has, redrawn in place.
// It ends with Control-C.

internal import Controlling
internal import Kernel
internal import Synchronization

final class LiveStatus: Sendable {
    private static let interval = Duration.seconds(1)

    private let source: StatusSource
    private let linesDrawn = Mutex(0)

    init(_ source: StatusSource) {
        self.source = source
    }

    /// Follows the daemon for as long as the terminal is there; a daemon that ends may come back.
    ///
    /// - Throws: `BrokenOutput`, or `AgentError.failed`, when nothing can be shown any more.
    func run() throws -> Never {
        _ = try Thread(name: "status", priority: .normal) { [self] in
            guard let clock = try? AlarmClock() else { return }
            // An error of writing ends the other loop too.
            while (try? draw(source.report())) != nil, (try? clock.wait(until: .now() + LiveStatus.interval)) != nil {}
        }
        let clock = try AlarmClock()
        while true {
            // A daemon that ends is no error here: the next report says so.
            try? source.follow { try draw($0) }
            try draw(source.report())
            try clock.wait(until: .now() + LiveStatus.interval)
        }
    }

    private func draw(_ report: StatusReport) throws {
        let size = Terminal.size(of: 1) ?? Terminal.Size(columns: 80, rows: 24)
        var lines = LiveStatus.fitted(StatusText.lines(report, now: .now()), to: size)
        if TerminalStyle.usesColors(on: 1), let first = lines.first { lines[0] = StatusText.colored(first, report.verdict) }
        try linesDrawn.withLock { drawn in
            // Up to the first line of what stands there, and away with it.
            let start = drawn > 0 ? "\u{1B}[\(drawn)A" : ""
            TextStream.output.write("\(start)\r\u{1B}[J" + lines.map { $0 + "\n" }.joined())
            drawn = lines.count
            try TextStream.output.flush()
        }
    }

    /// The lines that the terminal can hold, none of them wrapped, with one row left for the cursor.
    static func fitted(_ lines: [String], to size: Terminal.Size) -> [String] {
        lines.prefix(max(1, size.rows - 1)).map { SafeText.fitted($0, to: max(1, size.columns - 1)) }
    }
}
