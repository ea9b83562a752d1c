// What a snapshot would take: `snapshot --dry-run --json`, a contract with scripts, and the same in words.

internal import Agent
internal import Controlling
internal import Kernel

struct PreviewResult: Encodable, Hashable {
    struct Change: Encodable, Hashable {
        /// A new, M different, D gone.
        var letter: String
        /// As in `ListingElement`.
        var path: String
        var pathBase64: String?
    }

    var dryRun = true
    /// The snapshot that everything is compared with; null before the first.
    @Nullable var base: UInt64?
    var added: UInt64
    var modified: UInt64
    var deleted: UInt64
    /// Files among those that may turn out equal when they are read.
    var uncertain: UInt64
    var bytesToRead: UInt64
    /// The first of them, in tree order.
    var changes: [Change]
    var problems: [PathProblem]

    init(_ preview: SnapshotPreview) {
        base = preview.base
        added = preview.added
        modified = preview.modified
        deleted = preview.deleted
        uncertain = preview.uncertain
        bytesToRead = preview.bytesToRead
        changes = preview.first.map { Change(letter: $0.letter.rawValue, path: $0.path.text, pathBase64: Base64.encode(unlessText: $0.path)) }
        problems = preview.problems
    }

    /// The letters, a line that counts the others, and a summary.
    static func lines(_ preview: SnapshotPreview) -> [String] {
        var result = preview.first.map { "\($0.letter.rawValue) \($0.path)" }
        let total = preview.added + preview.modified + preview.deleted
        let others = total - min(total, UInt64(preview.first.count))
        if others > 0 { result.append("… and \(SafeText.count(others)) more") }
        if total == 0 { return ["nothing has changed" + (preview.base.map { " since snapshot \($0)" } ?? "")] }
        var summary = "\(SafeText.count(preview.added)) new, \(SafeText.count(preview.modified)) changed, "
            + "\(SafeText.count(preview.deleted)) deleted; \(ByteText.describe(preview.bytesToRead)) to read"
        if preview.uncertain > 0 { summary += "; \(SafeText.count(preview.uncertain, "file")) may turn out to be the same" }
        return result + [summary]
    }
}
