// The status on a terminal, as it is now.
// In: reports, after each change and once a second, for ages grow.  Out: a screen of its own, each line drawn over the one before,
// so that nothing flickers: protected or not, then what is wrong and what mends it, then as much of the rest as there is room for.
// It ends with Control-C, and what stood on the terminal before is there again.

internal import Controlling
internal import Kernel
internal import Synchronization

final class LiveStatus: Sendable {
    private static let interval = Duration.seconds(1)

    private let source: StatusSource
    private let drawing = Mutex(())

    init(_ source: StatusSource) {
        self.source = source
    }

    /// Follows the daemon for as long as the terminal is there; a daemon that ends may come back.
    ///
    /// - Throws: `BrokenOutput`, or `AgentError.failed`, when nothing can be shown any more.
    func run() throws -> Never {
        Terminal.enterScreen(1)
        defer { Terminal.leaveScreen() }
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
        var lines = LiveStatus.lines(report, now: .now(), Terminal.size(of: 1) ?? Terminal.Size(columns: 80, rows: 24))
        if TerminalStyle.usesColors(on: 1), let first = lines.first { lines[0] = StatusText.colored(first, report.verdict) }
        try drawing.withLock { _ in
            // From the top, each line to its end, and nothing below the last.
            TextStream.output.write("\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J")
            try TextStream.output.flush()
        }
    }

    /// As many lines as the terminal can hold, none wider than it.
    static func lines(_ report: StatusReport, now: Timestamp, _ size: Terminal.Size) -> [String] {
        var all = SafeText.wrapped(StatusText.headline(report, now: now), to: size.columns, indentation: 2)
        for reason in report.reasons {
            all.append("")
            all += SafeText.wrapped("\(reason.code): \(reason.message)", to: size.columns, indentation: 2)
            all += SafeText.wrapped(reason.remedy, to: size.columns, indentation: 4, first: 4)
        }
        all.append("")
        let details = StatusText.details(report, now: now)
        // Whole lines where there is room for them.
        let whole = details.flatMap { StatusText.wrapped($0, to: size.columns) }
        if all.count + whole.count <= size.rows { return all + whole }
        all += details.map { SafeText.fitted($0, to: size.columns) }
        if all.count <= size.rows { return all }
        let shown = max(1, size.rows - 1)
        let more = "... and \(SafeText.count(all.count - shown, "more line")): watchctl status"
        return Array((all[..<shown] + [SafeText.fitted(more, to: size.columns)]).prefix(size.rows))
    }
}
