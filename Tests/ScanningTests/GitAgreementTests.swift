// The exclude rules against `git check-ignore`: seeded random patterns and paths, the same verdicts.

import Foundation
import Kernel
import Testing

@testable import Scanning

struct GitAgreementTests {
    /// One set of random patterns per top directory; in git its .gitignore, here the configuration of a source.
    @Test(arguments: [UInt64(11), 12])
    func patternsOfTheConfigurationMatchAsGitDoes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let tree = try TemporaryTree()
        let forms = try Self.makeRepository(in: tree, sets: 400, nested: 0, &random)
        let answers = try Self.askGit(tree, forms)
        var excluded = 0
        var known: [Path: ExcludeRules] = [:]
        var deciding: [[UInt8]] = []
        for answer in answers {
            let top = Path(unchecked: Array(answer.path.prefix { $0 != slash }))
            let source = tree.root.appending(top.bytes)
            let lines = forms.ignoreFiles[String(decoding: top.bytes, as: UTF8.self) + "/.gitignore"] ?? []
            let rules = known[source] ?? Self.rules(lines, source)
            known[source] = rules
            let kind = forms.kinds[answer.path] ?? .file
            let verdict = rules.verdict(for: tree.root.appending(answer.path), kind: kind)
            #expect(
                verdict.isExcluded == answer.isExcluded,
                "seed \(seed): \(printable(answer.path)) \(kind) with \(lines), git: \(printable(answer.rule)) line \(answer.line)")
            if answer.line > 0, case .pattern(let index)? = verdict.rule?.place { #expect(index + 1 == answer.line) }
            #expect((answer.line > 0) == (verdict.rule != nil), "seed \(seed): \(printable(answer.path)) with \(lines)")
            if answer.isExcluded { excluded += 1 }
            if answer.line > 0 { deciding.append(answer.rule) }
        }
        // Each form of a pattern decided often enough to mean something.
        let text = deciding.map { String(decoding: $0, as: UTF8.self) }
        for form in ["!", "**", "*", "?", "[", "[[:", "\\", "/", " "] { #expect(text.filter { $0.contains(form) }.count >= 10, "\(form)") }
        #expect(text.filter { $0.hasSuffix("/") }.count >= 50)
        #expect(text.filter { $0.hasSuffix("\\ ") }.count >= 1)
        #expect(forms.ignoreFiles.values.reduce(0) { $0 + $1.count } > 1_000)
        // Both answers came often enough to mean something.
        #expect(answers.count > 4_000)
        #expect(excluded > 500 && excluded < answers.count - 500)
    }

    /// Ignore files in directories at all depths, which overrule those above them.
    @Test(arguments: [UInt64(21), 22])
    func nestedIgnoreFilesMatchAsGitDoes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let tree = try TemporaryTree()
        let forms = try Self.makeRepository(in: tree, sets: 150, nested: 30, &random)
        let answers = try Self.askGit(tree, forms)
        let settings = ExcludeSettings(patterns: [], defaults: false, ignoreFiles: [".gitignore"])
        let rules = ExcludeRules(settings: settings, sources: [tree.root], home: nil, ownPaths: [])
        for answer in answers {
            let kind = forms.kinds[answer.path] ?? .file
            let verdict = rules.verdict(for: tree.root.appending(answer.path), kind: kind) { try? $0.readFile() }
            #expect(
                verdict.isExcluded == answer.isExcluded,
                "seed \(seed): \(printable(answer.path)) \(kind), git: \(printable(answer.rule)) line \(answer.line), here: \(String(describing: verdict.rule))")
            if case .ignoreFile(_, let line)? = verdict.rule?.place { #expect(line == answer.line) }
        }
    }

    // MARK: A random repository

    struct Forms {
        var kinds: [[UInt8]: FileKind] = [:]
        var ignoreFiles: [String: [String]] = [:]
    }

    struct Answer {
        let path: [UInt8]
        let rule: [UInt8]
        let line: Int
        var isExcluded: Bool { line > 0 && rule.first != UInt8(ascii: "!") }
    }

    private static func makeRepository(
        in tree: TemporaryTree, sets: Int, nested: Int, _ random: inout SeededGenerator
    ) throws -> Forms {
        try tree.run("git", "init", "-q", tree.root.text)
        var forms = Forms()
        for number in 0..<sets {
            let top = "t\(number)"
            var directories = [top]
            for _ in 0..<12 {
                let parent = random.pick(directories)
                let path = parent + "/" + name(&random)
                guard forms.kinds[Array(path.utf8)] == nil else { continue }
                let isDirectory = random.chance(45)
                if isDirectory, path.filter({ $0 == "/" }).count < 6 {
                    try tree.makeDirectory(path)
                    directories.append(path)
                    forms.kinds[Array(path.utf8)] = .directory
                } else {
                    try tree.write(path, "")
                    forms.kinds[Array(path.utf8)] = .file
                }
            }
            let known = forms.kinds.keys.filter { $0.starts(with: Array((top + "/").utf8)) }.map { String(decoding: $0.dropFirst(top.utf8.count + 1), as: UTF8.self) }.sorted()
            for directory in directories where directory == top || random.chance(nested) {
                let lines = (0..<(1 + random.below(5))).map { _ in pattern(known, &random) }
                forms.ignoreFiles[directory + "/.gitignore"] = lines
                try tree.write(directory + "/.gitignore", lines.joined(separator: "\n") + "\n")
            }
        }
        return forms
    }

    private static func name(_ random: inout SeededGenerator) -> String {
        let letters = ["a", "b", "c", "a", "b", "ab", ".", "-", "x", " ", "[", "]", "*", "\\", "#", "!", "é"]
        while true {
            let name = (0..<(1 + random.below(3))).map { _ in random.pick(letters) }.joined()
            if name != ".", name != ".." { return name }
        }
    }

    /// Half of them grown from a path that is there, the rest from pieces.
    private static func pattern(_ known: [String], _ random: inout SeededGenerator) -> String {
        let pieces = [
            "a", "b", "c", "ab", "x", ".", "-", "*", "*", "**", "**/", "/", "/", "?", "[ab]", "[!a]", "[^b]", "[a-c]", "[]a]",
            "[a", "[[:alpha:]]", "[[:bogus:]]", "[a-]", "[\\]]", "[[:x]", "[b-a]", "\\", "\\*", "\\a", " ", "\\ ", "#", "!", "é", "/**", "[[:punct:]a]",
        ]
        var text: String
        if random.chance(60), !known.isEmpty {
            text = random.pick(known).map { character in
                if random.chance(78) { return String(character) }
                return random.pick(["?", "*", "**", "[a-c]", "\\" + String(character), "[!x]", String(character), "**/", ""])
            }.joined()
            if random.chance(30) { text = random.pick(["/", "**/", "*/", "!", "!/"]) + text }
            if random.chance(30) { text += random.pick(["/", "/*", "/**", "*", " ", "/**/"]) }
            if random.chance(20) { text = text.split(separator: "/").last.map(String.init) ?? text }
        } else {
            text = (0..<(1 + random.below(6))).map { _ in random.pick(pieces) }.joined()
        }
        if random.chance(15) { text = "!" + text }
        return text
    }

    private static func askGit(_ tree: TemporaryTree, _ forms: Forms) throws -> [Answer] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git", "-C", tree.root.text, "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "--stdin", "-z", "-v", "-n"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let question = Data(forms.kinds.keys.sorted { $0.lexicographicallyPrecedes($1) }.flatMap { $0 + [0] })
        let writer = Foundation.Thread {
            input.fileHandleForWriting.write(question)
            try? input.fileHandleForWriting.close()
        }
        writer.start()
        let answer = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let fields = Array(answer).split(separator: 0, omittingEmptySubsequences: false)
        return stride(from: 0, to: fields.count - 3, by: 4).map { index in
            let line = Int(String(decoding: fields[index + 1], as: UTF8.self)) ?? 0
            return Answer(path: Array(fields[index + 3]), rule: Array(fields[index + 2]), line: line)
        }
    }

    private static func rules(_ lines: [String], _ source: Path) -> ExcludeRules {
        ExcludeRules(settings: ExcludeSettings(patterns: lines, defaults: false), sources: [source], home: nil, ownPaths: [])
    }
}
