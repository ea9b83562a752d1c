// Verdicts and the rules that gave them.

import Kernel
import Testing

@testable import Scanning

struct ExcludeRulesTests {
    private func rules(
        _ patterns: [String], defaults: Bool = false, ignoreFiles: [String] = [], sources: [String] = ["/home/me"],
        home: String? = "/home/me", own: [String] = []
    ) -> ExcludeRules {
        ExcludeRules(
            settings: ExcludeSettings(patterns: patterns, defaults: defaults, ignoreFiles: ignoreFiles),
            sources: sources.map { Path($0)! }, home: home.map { Path($0)! }, ownPaths: own.map { Path($0)! })
    }

    private func isExcluded(_ rules: ExcludeRules, _ path: String, _ kind: FileKind = .file) -> Bool {
        rules.verdict(for: Path(path)!, kind: kind).isExcluded
    }

    @Test func aPatternWithoutASlashMatchesAtEveryDepth() {
        let rules = rules(["*.tmp"])
        #expect(isExcluded(rules, "/home/me/a.tmp"))
        #expect(isExcluded(rules, "/home/me/b/c/a.tmp"))
        #expect(isExcluded(rules, "/home/me/b.tmp/c/a"))
        #expect(!isExcluded(rules, "/home/me/a.tmp1"))
    }

    @Test func anAnchoredPatternIsRelativeToTheSource() {
        let rules = rules(["/iso/", "down/x"])
        #expect(isExcluded(rules, "/home/me/iso", .directory))
        #expect(!isExcluded(rules, "/home/me/iso", .file))
        #expect(!isExcluded(rules, "/home/me/a/iso", .directory))
        #expect(isExcluded(rules, "/home/me/down/x"))
        #expect(!isExcluded(rules, "/home/me/a/down/x"))
    }

    @Test func anAbsolutePatternOfASourceIsReadBothWays() {
        let rules = rules(["/home/me/Downloads/iso/", "!/home/me/Downloads/iso/keep", "/home/me/[a]/*.o"], sources: ["/home/me", "/srv"])
        #expect(isExcluded(rules, "/home/me/Downloads/iso", .directory))
        #expect(isExcluded(rules, "/home/me/Downloads/iso/image"))
        #expect(isExcluded(rules, "/home/me/home/me/Downloads/iso", .directory))
        #expect(isExcluded(rules, "/home/me/a/b.o"))
        #expect(!isExcluded(rules, "/srv/Downloads/iso", .directory))
        let verdict = rules.verdict(for: Path("/home/me/Downloads/iso/x")!, kind: .file)
        #expect(verdict.rule == RuleOrigin(text: Array("/home/me/Downloads/iso/".utf8), place: .pattern(0)))
    }

    @Test func theBeginningOfAnAbsolutePatternIsLiteral() {
        let rules = rules(["/data/[x]/out"], sources: ["/data/[x]"])
        #expect(isExcluded(rules, "/data/[x]/out"))
    }

    @Test func theLastRuleWins() {
        let rules = rules(["*.log", "!keep.log", "# a comment", "", "\\#file", "\\!file"])
        #expect(isExcluded(rules, "/home/me/a.log"))
        #expect(!isExcluded(rules, "/home/me/keep.log"))
        #expect(rules.verdict(for: Path("/home/me/keep.log")!, kind: .file).rule?.place == .pattern(1))
        #expect(isExcluded(rules, "/home/me/#file"))
        #expect(isExcluded(rules, "/home/me/!file"))
        #expect(!isExcluded(rules, "/home/me/# a comment"))
    }

    @Test func nothingBelowAnExcludedDirectoryComesBack() {
        let rules = rules(["out/", "!out/keep"])
        #expect(isExcluded(rules, "/home/me/out/keep"))
        #expect(rules.verdict(for: Path("/home/me/out/keep")!, kind: .file).rule?.place == .pattern(0))
    }

    @Test func aSourceItselfIsNeverExcluded() {
        let rules = rules(["*", "me", "/dev/"], defaults: true, sources: ["/home/me", "/dev/shm/x", "/home/other/.cache"], home: "/home/other")
        #expect(!isExcluded(rules, "/home/me", .directory))
        #expect(!isExcluded(rules, "/dev/shm/x", .directory))
        #expect(isExcluded(rules, "/home/me/a"))
        #expect(!isExcluded(self.rules([], defaults: true, sources: ["/dev/shm/x"]), "/dev/shm/x/file"))
        #expect(!isExcluded(self.rules([], defaults: true, sources: ["/home/me/.cache/app"]), "/home/me/.cache/app/file"))
    }

    @Test func whatLiesInNoSourceHasNoVerdict() {
        #expect(rules(["*"]).verdict(for: Path("/home/other/a")!, kind: .file) == Verdict(isExcluded: false))
    }

    @Test func ownPathsBeatEveryPattern() {
        let rules = rules(["!*"], own: ["/home/me/backup", "/home/me/.local/state/auto-backup"])
        #expect(isExcluded(rules, "/home/me/backup", .directory))
        #expect(isExcluded(rules, "/home/me/backup/archives/a.enc"))
        #expect(!isExcluded(rules, "/home/me/backup2"))
        #expect(rules.verdict(for: Path("/home/me/backup/x")!, kind: .file).rule?.place == .own)
    }

    @Test func defaultsLeaveOutWhatIsMadeAgain() {
        let rules = rules(["!/.cache/keep"], defaults: true)
        for path in [
            "/home/me/.cache", "/home/me/.local/share/Trash", "/home/me/.var/app/org.mozilla.firefox/cache", "/home/me/snap/app/common/.cache",
            "/home/me/.config/google-chrome/Default/Code Cache", "/home/me/.Trash-1000", "/home/me/.local/share/gnome-boxes/images",
            "/home/me/x/lost+found",
        ] {
            #expect(isExcluded(rules, path, .directory), "\(path)")
            #expect(rules.verdict(for: Path(path)!, kind: .directory).rule?.place == .defaults)
        }
        for path in ["/home/me/project/.cache", "/home/me/node_modules", "/home/me/.config/app", "/home/me/Trash", "/home/me/proc"] {
            #expect(!isExcluded(rules, path, .directory), "\(path)")
        }
    }

    @Test func aPatternCanTakeADefaultBack() {
        let rules = rules(["!/.cache/"], defaults: true)
        #expect(!isExcluded(rules, "/home/me/.cache/x"))
    }

    @Test func defaultsKnowAllHomesWhenAllHomesAreBackedUp() {
        #expect(isExcluded(rules([], defaults: true, sources: ["/home"], home: "/root"), "/home/me/.cache", .directory))
        let all = rules([], defaults: true, sources: ["/"], home: "/root")
        for path in ["/home/me/.cache", "/root/.cache", "/proc", "/sys", "/dev", "/run"] {
            #expect(isExcluded(all, path, .directory), "\(path)")
        }
        #expect(!isExcluded(all, "/home/me", .directory))
    }

    @Test func aHomeWithWildcardsInItsNameIsMeantLiterally() {
        let rules = rules([], defaults: true, sources: ["/home"], home: "/home/[m]*")
        #expect(isExcluded(rules, "/home/[m]*/.cache", .directory))
    }

    @Test func ignoreFilesSayWhichLineDecided() {
        let rules = rules([], ignoreFiles: [".gitignore"])
        let file = Path("/home/me/a/.gitignore")!
        let verdict = rules.verdict(for: Path("/home/me/a/b/c.o")!, kind: .file) {
            $0 == file ? [0xEF, 0xBB, 0xBF] + Array("# objects\r\n*.o\r\n".utf8) : nil
        }
        #expect(verdict == Verdict(isExcluded: true, rule: RuleOrigin(text: Array("*.o".utf8), place: .ignoreFile(file, line: 2))))
    }

    @Test func aCacheTagSaysWhichDirectory() {
        let rules = rules([], defaults: true)
        let tag = Path("/home/me/cache/CACHEDIR.TAG")!
        let contents: (Path) -> [UInt8]? = { $0 == tag ? ExcludeRules.cacheTagSignature + [10] : nil }
        #expect(rules.verdict(for: Path("/home/me/cache/a/b")!, kind: .file, contents: contents).rule?.place == .cacheDirectory(Path("/home/me/cache")!))
        #expect(!rules.verdict(for: tag, kind: .file, contents: contents).isExcluded)
        #expect(!rules.verdict(for: Path("/home/me/cache")!, kind: .directory, contents: contents).isExcluded)
    }

    @Test func manyRulesOfAllFormsAreToldApart() {
        let rules = rules((0..<60).flatMap { ["*.e\($0)", "name\($0)", "/top\($0)", "g?ob\($0)*"] })
        for index in 0..<60 {
            #expect(isExcluded(rules, "/home/me/a/x.e\(index)"))
            #expect(isExcluded(rules, "/home/me/a/name\(index)"))
            #expect(isExcluded(rules, "/home/me/top\(index)"))
            #expect(!isExcluded(rules, "/home/me/a/top\(index)"))
            #expect(isExcluded(rules, "/home/me/a/glob\(index)x"))
        }
        #expect(!isExcluded(rules, "/home/me/name"))
        #expect(!isExcluded(rules, "/home/me/x.e"))
    }

    /// Patterns that make backtracking matchers run for years.
    @Test func noPatternTakesForever() {
        let name = String(repeating: "a", count: 250)
        let path = "/home/me/" + Array(repeating: name, count: 12).joined(separator: "/")
        let rules = rules([String(repeating: "a*", count: 100) + "b", "**/" + String(repeating: "a*/**/", count: 30) + "b"])
        #expect(!isExcluded(rules, path))
    }
}
