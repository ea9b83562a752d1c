// What changed between two moments: `diff --json`, a contract with scripts.

internal import Agent
internal import Controlling
internal import Kernel

struct DiffResult: Encodable, Hashable {
    struct Change: Encodable, Hashable {
        /// A added, M modified, D deleted, T of another type.
        var letter: String
        /// As in `ListingElement`.
        var path: String
        var pathBase64: String?
        /// What it is, or was before it was deleted.
        var type: String
        /// As of `HistoryElement`; empty for A and D.
        var changed: [String]

        init(_ change: PathChange) {
            letter = change.letter.rawValue
            path = change.path.text
            pathBase64 = Base64.encode(unlessText: change.path)
            type = EntryText.typeName(change.kind)
            changed = change.changed
        }
    }

    var from: UInt64 = 0
    /// Null for the files as they are now.
    @Nullable var to: UInt64? = nil
    /// In tree order.
    var changes: [Change] = []
    var problems: [PathProblem] = []

    func completed(_ report: ComparisonReport) -> DiffResult {
        var result = self
        result.from = report.from
        result.to = report.to
        result.problems = report.problems
        return result
    }
}
