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
            let line = SafeText.fitted(ProgressLine.text(verb, amounts, elapsed: elapsed), to: columns - 1)
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

    /// `restoring: [####----------------] 12 of 300 files, 614 MiB of 3 GiB, 120 MiB/s, 18s left`; the bar where it is known how much there is.
    static func text(_ verb: String, _ amounts: ProgressAmounts, elapsed: Duration) -> String {
        var parts: [String] = []
        if amounts.files > 0 || amounts.filesTotal > 0 {
            let total = amounts.filesTotal > 0 ? " of \(SafeText.count(amounts.filesTotal))" : ""
            parts.append("\(SafeText.count(amounts.files))\(total) files")
        }
        let total = amounts.bytesTotal > 0 ? " of \(ByteText.describe(amounts.bytesTotal))" : ""
        parts.append(ByteText.describe(amounts.bytes) + total)
        let rate = Double(amounts.bytes) / max(0.001, elapsed.secondsValue)
        parts.append("\(ByteText.describe(UInt64(min(rate, 1e15))))/s")
        if amounts.bytesTotal > amounts.bytes, rate >= 1 {
            let left = min(Double(amounts.bytesTotal - amounts.bytes) / rate, 1e9)
            parts.append("\(DurationText.rough(.seconds(left))) left")
        }
        return "\(verb): \(bar(amounts))" + parts.joined(separator: ", ")
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
