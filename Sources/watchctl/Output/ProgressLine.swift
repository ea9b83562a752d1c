// One line on a terminal that shows how far the work is.
// In: amounts, from any thread and as often as they change.  Out: a line on standard error, redrawn at most ten times a second.
// Invariant: nothing is drawn in the first second, and nothing is left of it after `end`.

internal import Agent
internal import Kernel
internal import Synchronization

/// What is done, and what there is; a total of zero is not known.
struct ProgressAmounts: Hashable, Sendable {
    var files: UInt64 = 0
    var filesTotal: UInt64 = 0
    var bytes: UInt64 = 0
    var bytesTotal: UInt64 = 0
}

final class ProgressLine: Sendable {
    private let verb: String
    let isShown: Bool
    private let started = BootInstant.now()
    private let state = Mutex(State())

    private struct State {
        var lastDrawn: BootInstant?
        var isEnded = false
    }

    /// - Parameter verb: What is being done: "restoring".
    init(_ verb: String, isShown: Bool) {
        self.verb = verb
        self.isShown = isShown
    }

    func update(_ amounts: ProgressAmounts) {
        if !isShown { return }
        let now = BootInstant.now()
        let elapsed = now - started
        if elapsed < .seconds(1) { return }
        state.withLock { state in
            if state.isEnded { return }
            if let last = state.lastDrawn, now - last < .milliseconds(100) { return }
            state.lastDrawn = now
            let columns = Terminal.size(of: 2)?.columns ?? 80
            let line = SafeText.fitted(ProgressLine.text(verb, amounts, elapsed: elapsed, columns: columns - 1), to: columns - 1)
            TextStream.problems.write("\r\(line)\u{1B}[K")
        }
    }

    /// Takes the line away; later updates draw nothing.
    func end() {
        state.withLock { state in
            if state.lastDrawn != nil, !state.isEnded { TextStream.problems.write("\r\u{1B}[K") }
            state.isEnded = true
        }
    }

    /// `restoring: [####----------------] 12 of 300 files, 614 MiB of 3 GiB, 120 MiB/s, 18s left`; the bar where it is known how much there
    /// is. Where that does not fit, what matters least is left out: the rate, the bar, the files.
    static func text(_ verb: String, _ amounts: ProgressAmounts, elapsed: Duration, columns: Int = .max) -> String {
        var (files, left) = ("", "")
        if amounts.files > 0 || amounts.filesTotal > 0 {
            let total = amounts.filesTotal > 0 ? " of \(SafeText.count(amounts.filesTotal))" : ""
            files = "\(SafeText.count(amounts.files))\(total) files"
        }
        let bytes = ByteText.describe(amounts.bytes) + (amounts.bytesTotal > 0 ? " of \(ByteText.describe(amounts.bytesTotal))" : "")
        let speed = Double(amounts.bytes) / max(0.001, elapsed.secondsValue)
        let rate = "\(ByteText.describe(UInt64(min(speed, 1e15))))/s"
        if amounts.bytesTotal > amounts.bytes, speed >= 1 {
            let seconds = min(Double(amounts.bytesTotal - amounts.bytes) / speed, 1e9)
            left = "\(DurationText.rough(.seconds(seconds))) left"
        }
        func line(_ bar: String, _ parts: [String]) -> String { "\(verb): \(bar)" + parts.filter { !$0.isEmpty }.joined(separator: ", ") }
        let bar = bar(amounts)
        let forms = [line(bar, [files, bytes, rate, left]), line(bar, [files, bytes, left]), line("", [files, bytes, left])]
        return forms.first { $0.utf8.count <= columns } ?? line("", [bytes, left])
    }

    /// By bytes; a crowd of small files counts as well.
    private static func bar(_ amounts: ProgressAmounts) -> String {
        let (width, costOfFile) = (20, 4096.0)
        let total = Double(amounts.bytesTotal) + Double(amounts.filesTotal) * costOfFile
        if total == 0 { return "" }
        let done = Int(min(1, (Double(amounts.bytes) + Double(min(amounts.files, amounts.filesTotal)) * costOfFile) / total) * Double(width))
        return "[" + String(repeating: "#", count: done) + String(repeating: "-", count: width - done) + "] "
    }
}
