// What is known of one path: `explain --json`, a contract with scripts.

internal import Agent
internal import Cataloging
internal import Controlling
internal import Kernel
internal import Scanning

struct ExplainResult: Encodable, Hashable {
    struct Rule: Codable, Hashable {
        /// As it was written.
        var text: String
        /// Null for what is written nowhere.
        @Nullable var file: String?
        @Nullable var line: Int?
    }

    struct Latest: Codable, Hashable {
        /// As of `HistoryElement`.
        var firstSnapshot: UInt64
        var lastSnapshot: UInt64
        var time: String
        @Nullable var until: String?
    }

    /// As in `ListingElement`.
    var path: String
    var pathBase64: String?
    /// True when a snapshot that is taken now has it, or would have it if it existed.
    var backedUp: Bool
    /// included, source; or why not: pattern, default, ignore-file, cache-directory, no-dump, size, own, outside, above-sources,
    /// other-file-system, behind-symlink, behind-file, unreadable, source-missing
    var reason: String
    /// Where the reason holds: the path itself, or what is above it. Escaped as in all messages.
    var place: String
    @Nullable var source: String?
    /// The pattern that decided.
    @Nullable var rule: Rule?
    /// The latest version that a kept snapshot shows.
    @Nullable var latest: Latest?
    var versions: Int
    /// missing, new, same or different: what stands there now, against the newest snapshot.
    var live: String
    var changed: [String]
    /// What a running daemon knows of it.
    @Nullable var watch: PathWatch?

    init(_ report: PathReport) {
        let explanation = report.explanation
        path = explanation.path.text
        pathBase64 = Base64.encode(unlessText: explanation.path)
        backedUp = explanation.isBackedUp
        reason = ExplainResult.name(explanation.reason)
        place = "\(explanation.place)"
        source = explanation.source.map { "\($0)" }
        rule = report.rule.map { Rule(text: printable($0.text), file: report.location.map { "\($0.file)" }, line: report.location?.line) }
        latest = report.latest.map {
            Latest(
                firstSnapshot: $0.first.snapshot, lastSnapshot: $0.last, time: Timestamp(milliseconds: $0.first.time).iso8601,
                until: $0.until.map { Timestamp(milliseconds: $0.time).iso8601 })
        }
        versions = report.versions
        watch = report.watch
        (live, changed) =
            switch report.live {
            case .missing: ("missing", [])
            case .new: ("new", [])
            case .same: ("same", [])
            case .different(let names): ("different", names)
            }
    }

    private static func name(_ reason: PathExplanation.Reason) -> String {
        switch reason {
        case .source: "source"
        case .included: "included"
        case .outside: "outside"
        case .above: "above-sources"
        case .otherFileSystem: "other-file-system"
        case .behindSymlink: "behind-symlink"
        case .behindFile: "behind-file"
        case .unreadable: "unreadable"
        case .sourceMissing: "source-missing"
        case .excluded(let rule):
            switch rule.place {
            case .pattern: "pattern"
            case .defaults: "default"
            case .ignoreFile: "ignore-file"
            case .cacheDirectory: "cache-directory"
            case .noDump: "no-dump"
            case .size: "size"
            case .own: "own"
            }
        }
    }
}
