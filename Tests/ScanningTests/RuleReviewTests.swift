// What a change of rules takes away: the same as the next scan would, without looking at the files.

import Archiving
import Kernel
import Testing

@testable import Scanning

struct RuleReviewTests {
    private func review(_ fixture: Fixture, naming limit: Int = 100) -> RuleReview {
        var review = RuleReview(fixture.rules, naming: limit)
        for entry in fixture.state.entries.values.sorted(by: { $0.path < $1.path }) { review.add(entry.path, entry.kind, size: entry.size) }
        review.finish()
        return review
    }

    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func aReviewAgreesWithTheNextScan(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let fixture = try Fixture(ExcludeSettings(), sources: ["one", "two"])
        var directories = ["one", "two"]
        for _ in 0..<120 {
            let path = random.pick(directories) + "/" + random.pick(["a", "b", "c", "d1", "ax", "x.tmp", "keep.tmp", ".ignore", "CACHEDIR.TAG"])
            if fixture.tree.path(path).exists { continue }
            if path.hasSuffix(".ignore") {
                try fixture.tree.write(path, random.pick(["c\n", "/a\n!b\n", "*x\n"]))
            } else if path.hasSuffix("TAG") {
                try fixture.tree.write(path, random.chance(40) ? "Signature: 8a477f597d28d172789f06886806bc55\n" : "no")
            } else if random.chance(40) {
                try fixture.tree.makeDirectory(path)
                directories.append(path)
            } else {
                try fixture.tree.write(path, String(repeating: "x", count: random.pick([1, 60, 61])))
            }
        }
        fixture.settings.defaults = false
        try fixture.takeFirst()
        let before = fixture.state.entries.count
        fixture.settings.defaults = random.chance(70)
        fixture.settings.patterns = (0..<4).map { _ in random.pick(["*.tmp", "!keep*", "/a/", "b", "a/**/c", "!c", "d*/", "?x"]) }
        fixture.settings.ignoreFiles = random.chance(50) ? [".ignore"] : []
        fixture.settings.largerThan = random.chance(50) ? 60 : nil
        if random.chance(30) { fixture.sources = [fixture.tree.path("two")] }
        let review = review(fixture)
        let deletions = try fixture.plan().deletions
        let bytes = deletions.compactMap { fixture.state.entries[$0] }.filter { $0.kind == .file }.reduce(0) { $0 + $1.size }
        #expect(review.entries == deletions.count, "seed \(seed)")
        #expect(review.bytes == bytes)
        #expect(review.kept == UInt64(before - deletions.count - fixture.sources.count))
        let named = review.largest.map(\.path)
        #expect(deletions.allSatisfy { path in named.contains { path.isAtOrBelow($0) } })
        #expect(review.largest.reduce(0) { $0 + $1.entries } == review.entries)
    }

    @Test func theLargestAreNamedFirst() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/small.iso", "1")
        try fixture.tree.write("src/big/a.iso", String(repeating: "x", count: 100))
        try fixture.tree.write("src/many/a", "1")
        try fixture.tree.write("src/many/b", "2")
        try fixture.tree.write("src/stays", "2")
        try fixture.takeFirst()
        fixture.settings.patterns = ["*.iso", "many"]
        let review = review(fixture, naming: 2)
        #expect(review.largest.map { fixture.relative($0.path) } == ["src/big/a.iso", "src/many"])
        #expect(review.largest.map(\.entries) == [1, 3])
        #expect(review.largest[1].isDirectory)
        #expect(review.largest[1].rule == RuleOrigin(text: Array("many".utf8), place: .pattern(1)))
        #expect((review.trees, review.entries, review.bytes, review.kept) == (3, 5, 103, 2))
    }
}
