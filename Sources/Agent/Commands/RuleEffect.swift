// What the exclude rules, or a change of the sources, take away from the next snapshot.
// In: the newest snapshot and the rules.  Out: how much goes, the largest trees of it, and whether anything stays.
// Earlier snapshots keep what they have. Marks of chattr(1) and mounts are not looked at: only the next comparison does that.

internal import Archiving
internal import Cataloging
internal import Kernel
package import Scanning

package struct RuleEffect: Sendable {
    package var snapshot: UInt64
    package var review: RuleReview

    /// Trees that are named.
    static let shown = 5

    /// - Returns: Nothing when all stays.
    package var lines: [String] {
        if review.entries == 0 { return [] }
        func amount(_ entries: UInt64, _ bytes: UInt64) -> String {
            "\(entries) \(entries == 1 ? "entry" : "entries"), \(ByteText.describe(bytes))"
        }
        var result = [
            "the next snapshot leaves out what snapshot \(snapshot) has (\(amount(review.entries, review.bytes))); earlier snapshots keep it:"
        ]
        for tree in review.largest {
            let why = tree.rule?.words ?? "is in no source any more"
            result.append("  \(tree.path)\(tree.isDirectory ? "/" : "") (\(amount(tree.entries, tree.bytes))) \(why)")
        }
        let others = review.trees - UInt64(review.largest.count)
        if others > 0 { result.append("  … and \(others) more") }
        if review.kept == 0 { result.append("nothing is left to back up") }
        return result
    }
}

extension Session {
    /// - Returns: Nil before the first snapshot.
    /// - Complexity: O(entries), about two microseconds each; files that hold rules are read.
    func effect(of rules: ExcludeRules) throws -> RuleEffect? {
        guard let newest = try catalog.newest()?.number else { return nil }
        var review = RuleReview(rules, naming: RuleEffect.shown)
        try catalog.forEachEntry(below: .root, at: newest, includingContent: false) { review.add($0.path, $0.kind, size: $0.size) }
        review.finish()
        return RuleEffect(snapshot: newest, review: review)
    }
}

extension Commands {
    /// What the configuration's rules take away from the newest snapshot.
    ///
    /// - Returns: Nil before the first snapshot, and where no repository can be opened.
    package func ruleEffect() -> RuleEffect? {
        guard let session = try? openForReading() else { return nil }
        return (try? session.effect(of: installation.rules)) ?? nil
    }
}
