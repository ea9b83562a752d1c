// Patterns with which a person picks paths.

import Kernel
import Testing

@testable import Scanning

struct PathPatternTests {
    private func matches(_ pattern: String, _ path: String, isDirectory: Bool = false) throws -> Bool {
        let pattern = try #require(PathPattern(Array(pattern.utf8)))
        let path = try #require(Path(path))
        let isMatch = pattern.matches(path, isDirectory: isDirectory)
        // A walk asks with the name and its directory apart.
        let directory = (path.parent?.bytes ?? []) + (path.parent?.isRoot ?? true ? [] : [slash])
        #expect(path.name.withUnsafeBytes { pattern.matches($0, in: directory, isDirectory: isDirectory) } == isMatch)
        return isMatch
    }

    @Test func withoutASlashNamesAreMatched() throws {
        #expect(try matches("*.odt", "/home/me/a.odt"))
        #expect(try matches("notes", "/home/me/notes"))
        #expect(try !matches("notes", "/home/me/notes/a"))
        #expect(try !matches("*.odt", "/home/me.odt/a"))
        #expect(try matches("[[:digit:]]?.\\*", "/a/1x.*"))
    }

    @Test func withASlashPathsAreMatched() throws {
        #expect(try matches("letters/2025-*", "/home/me/letters/2025-01"))
        #expect(try matches("letters/2025-*", "/letters/2025-01"))
        #expect(try !matches("letters/2025-*", "/home/me/letters/x/2025-01"))
        #expect(try !matches("letters/2025-*", "/home/me/oldletters/2025-01"))
        #expect(try matches("letters/**/x", "/home/letters/a/b/x"))
        #expect(try matches("letters/**", "/home/letters/a/b/x"))
        #expect(try matches("/home/*/x", "/home/me/x"))
        #expect(try !matches("/me/x", "/home/me/x"))
        #expect(try matches("**/x", "/x"))
    }

    @Test func aSlashAtTheEndMeansDirectories() throws {
        #expect(try matches("src/", "/home/src", isDirectory: true))
        #expect(try !matches("src/", "/home/src"))
        #expect(try matches("/home/src/", "/home/src", isDirectory: true))
        #expect(try matches("me/src/", "/home/me/src", isDirectory: true))
    }

    /// In an ignore file these would be a negation, a comment, and spaces that do not count.
    @Test func namesMayBeginOrEndWithAnything() throws {
        #expect(try matches("!important", "/a/!important"))
        #expect(try matches("#autosave#", "/a/#autosave#"))
        #expect(try matches("end ", "/a/end "))
        #expect(try !matches("end ", "/a/end"))
    }

    @Test(arguments: ["", "/", "[a", "[[:bogus:]]", "a\\", "//"])
    func whatCanMatchNothingIsNoPattern(text: String) {
        #expect(PathPattern(Array(text.utf8)) == nil)
    }

    @Test func theLiteralBeginningSaysWhereToLook() throws {
        func beginning(_ text: String) throws -> String { "\(try #require(PathPattern(Array(text.utf8))).beginning)" }
        #expect(try beginning("/home/me/a*/b") == "/home/me")
        #expect(try beginning("/home/me/notes") == "/home/me")
        #expect(try beginning("/home/me/notes/") == "/home/me")
        #expect(try beginning("/*/x") == "/")
        #expect(try beginning("me/x") == "/")
        #expect(try beginning("/home/../x/y") == "/")
    }
}
