// Why a path is, or is not, backed up: the same as a scan, and the right reason.

import Archiving
import Kernel
import Testing

@testable import Scanning

struct PathExplanationTests {
    private func explain(_ fixture: Fixture, _ relative: String, assuming kind: FileKind = .file) throws -> PathExplanation {
        try fixture.rules.explain(fixture.tree.path(relative), assuming: kind)
    }

    /// Random trees under random rules: what is explained as backed up is exactly what a scan finds.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func explanationsAgreeWithAScan(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let patterns = (0..<6).map { _ in random.pick(["*.tmp", "!keep*", "/a/", "b", "a/**/c", "!c", "d*/", "?x", "**/b/a", "!*.tmp"]) }
        let fixture = try Fixture(ExcludeSettings(patterns: patterns, ignoreFiles: [".ignore"], largerThan: 20), sources: ["src"])
        var directories = ["src"]
        var paths: [String] = []
        for _ in 0..<150 {
            let path = random.pick(directories) + "/" + random.pick(["a", "b", "c", "d1", "ax", "x.tmp", "keep.tmp", "e", ".ignore", "CACHEDIR.TAG"])
            if fixture.tree.path(path).exists { continue }
            paths.append(path)
            if path.hasSuffix(".ignore") {
                try fixture.tree.write(path, random.pick(["c\n", "/a\n!b\n", "*x\n"]))
            } else if path.hasSuffix("TAG") {
                try fixture.tree.write(path, random.chance(50) ? "Signature: 8a477f597d28d172789f06886806bc55\n" : "no")
            } else if random.chance(40) {
                try fixture.tree.makeDirectory(path)
                directories.append(path)
            } else if random.chance(10) {
                try fixture.tree.makeSymlink(path, to: "nowhere")
            } else {
                try fixture.tree.write(path, String(repeating: "x", count: random.pick([1, 20, 21])))
            }
        }
        let scanned = Set(fixture.upserts(try fixture.plan()))
        var different = 0
        for path in paths {
            let explanation = try explain(fixture, path)
            #expect(explanation.isBackedUp == scanned.contains(path), "seed \(seed), \(patterns): \(path) \(explanation.reason)")
            if explanation.isBackedUp { different += 1 } else { different -= 1 }
            guard case .excluded(let rule) = explanation.reason else { continue }
            #expect(!rule.text.isEmpty)
            #expect(fixture.tree.path(path).isAtOrBelow(explanation.place))
            // What is above the place is backed up.
            #expect(explanation.place.parent.map { $0 == fixture.sources[0] || scanned.contains(fixture.relative($0)) } ?? false)
        }
        #expect(abs(different) < paths.count - 10, "both answers came")
    }

    @Test func everyReasonIsNamed() throws {
        let settings = ExcludeSettings(patterns: ["*.tmp", "out/", "!kept.tmp"], defaults: true, ignoreFiles: [".ignore"], largerThan: 50)
        let fixture = try Fixture(settings, sources: ["src"])
        let tree = fixture.tree
        for path in ["src/a.tmp", "src/kept.tmp", "src/out/deep/file", "src/file", "src/d/.ignore", "src/d/ignored"] { try tree.write(path, "1") }
        try tree.write("src/d/.ignore", "# line one\nignored\n")
        try tree.write("src/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
        try tree.write("src/cache/sub/x", "1")
        try tree.write("src/large", String(repeating: "x", count: 51))
        try tree.makeSymlink("src/link", to: "d")
        func reason(_ path: String) throws -> (PathExplanation.Reason, String) {
            let explanation = try explain(fixture, path)
            return (explanation.reason, fixture.relative(explanation.place))
        }
        func rule(_ text: String, _ place: RuleOrigin.Place) -> PathExplanation.Reason { .excluded(RuleOrigin(text: Array(text.utf8), place: place)) }
        let cache = tree.path("src/cache")
        #expect(try reason("src") == (.source, "src"))
        #expect(try reason("src/file") == (.included(nil), "src/file"))
        #expect(try reason("src/a.tmp") == (rule("*.tmp", .pattern(0)), "src/a.tmp"))
        #expect(try reason("src/kept.tmp") == (.included(RuleOrigin(text: Array("!kept.tmp".utf8), place: .pattern(2))), "src/kept.tmp"))
        #expect(try reason("src/out/deep/file") == (rule("out/", .pattern(1)), "src/out"))
        #expect(try reason("src/d/ignored") == (rule("ignored", .ignoreFile(tree.path("src/d/.ignore"), line: 2)), "src/d/ignored"))
        #expect(try reason("src/cache/sub/x") == (.excluded(RuleOrigin(text: cache.bytes, place: .cacheDirectory(cache))), "src/cache/sub"))
        #expect(try reason("src/cache/CACHEDIR.TAG").0 == .included(nil))
        #expect(try reason("src/large") == (rule("50", .size), "src/large"))
        #expect(try reason("src/link") == (.included(nil), "src/link"))
        #expect(try reason("src/link/x") == (.behindSymlink, "src/link"))
        #expect(try reason("src/file/x") == (.behindFile, "src/file"))
        #expect(try reason("elsewhere/x") == (.outside, "elsewhere/x"))
        #expect(try reason("") == (.above, ""))
        // What does not exist: by the rules alone, ignore files on the way included.
        #expect(try reason("src/new/b.tmp") == (rule("*.tmp", .pattern(0)), "src/new/b.tmp"))
        #expect(try reason("src/new/out/x") == (rule("out/", .pattern(1)), "src/new/out"))
        #expect(try reason("src/d/new/ignored") == (rule("ignored", .ignoreFile(tree.path("src/d/.ignore"), line: 2)), "src/d/new/ignored"))
        #expect(try explain(fixture, "src/new").reason == .included(nil))
        #expect(try explain(fixture, "src/new/out", assuming: .directory).reason == rule("out/", .pattern(1)))
        #expect(try explain(fixture, "src/new/out").reason == .included(nil))
    }

    @Test func whatIsMarkedNotToBeDumpedIsSaid() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/file")
        try fixture.tree.write("src/directory/a")
        do {
            try Descriptor.open(fixture.tree.path("src/file"), [.read]).setInodeFlags(noDumpFlag)
            try Descriptor.open(fixture.tree.path("src/directory"), [.read]).setInodeFlags(noDumpFlag)
        } catch {
            return  // This file system keeps no flags.
        }
        for (path, marked) in [("src/file", "src/file"), ("src/directory/a", "src/directory")] {
            let mark = fixture.tree.path(marked)
            #expect(try explain(fixture, path).reason == .excluded(RuleOrigin(text: mark.bytes, place: .noDump(mark))))
        }
        #expect(try explain(fixture, "src/directory").isBackedUp)
    }

    @Test func whatCannotBeReadAndWhatIsMissingIsSaid() throws {
        let fixture = try Fixture(sources: ["src", "gone"])
        try fixture.tree.remove("gone")
        #expect(try explain(fixture, "gone/x").reason == .sourceMissing)
        try fixture.tree.write("src/closed/x")
        try fixture.tree.setMode("src/closed", 0)
        let explanation = try asNobody { try self.explain(fixture, "src/closed/x") }
        #expect(explanation.reason == .unreadable(.permissionDenied))
        #expect(explanation.place == fixture.tree.path("src/closed"))
        try fixture.tree.setMode("src/closed", 0o755)
    }

    @Test func anotherFileSystemIsKeptEmpty() throws {
        let fixture = try Fixture()
        try fixture.tree.makeDirectory("src/mount")
        guard let mount = try TemporaryMount(fixture.tree.path("src/mount")) else { return }
        try fixture.tree.write("src/mount/hidden")
        #expect(try explain(fixture, "src/mount").isBackedUp)
        let hidden = try explain(fixture, "src/mount/hidden")
        #expect(hidden.reason == .otherFileSystem && hidden.place == fixture.tree.path("src/mount") && !hidden.isBackedUp)
        withExtendedLifetime(mount) {}
    }
}
