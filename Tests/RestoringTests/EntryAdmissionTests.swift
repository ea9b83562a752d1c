// Restoring by patterns: what comes, and in which order.

import Archiving
import Kernel
import Scanning
import Testing

@testable import Restoring

struct EntryAdmissionTests {
    /// Paths in tree order; a slash at the end makes a directory.
    private func admitted(_ paths: [String], include: [String] = [], exclude: [String] = []) throws -> [String] {
        func patterns(_ texts: [String]) throws -> [PathPattern] { try texts.map { try #require(PathPattern(Array($0.utf8))) } }
        var admission = EntryAdmission(.init(include: try patterns(include), exclude: try patterns(exclude)))
        return try paths.flatMap { text in
            let path = try #require(Path(text))
            return admission.admit(Entry(path: path, kind: text.hasSuffix("/") ? .directory : .file, mode: 0o644)).map { "\($0.path)" }
        }
    }

    private let paths = ["/a/", "/a/b/", "/a/b/1.txt", "/a/b/2.odt", "/a/c/", "/a/c/d/", "/a/c/d/3.txt", "/e/", "/e/4.odt", "/f.txt"]

    @Test func withoutPatternsEverythingComes() throws {
        #expect(try admitted(paths).count == paths.count)
    }

    @Test func directoriesComeWithTheFirstThingInThem() throws {
        #expect(try admitted(paths, include: ["*.txt"]) == ["/a", "/a/b", "/a/b/1.txt", "/a/c", "/a/c/d", "/a/c/d/3.txt", "/f.txt"])
        #expect(try admitted(paths, include: ["3.*"]) == ["/a", "/a/c", "/a/c/d", "/a/c/d/3.txt"])
        #expect(try admitted(paths, include: ["absent"]).isEmpty)
    }

    @Test func anIncludedDirectoryComesWhole() throws {
        #expect(try admitted(paths, include: ["c/"]) == ["/a", "/a/c", "/a/c/d", "/a/c/d/3.txt"])
        #expect(try admitted(paths, include: ["/e", "f.txt"]) == ["/e", "/e/4.odt", "/f.txt"])
    }

    @Test func whatIsExcludedStaysOutWhateverIncludesIt() throws {
        #expect(try admitted(paths, exclude: ["b", "*.odt"]) == ["/a", "/a/c", "/a/c/d", "/a/c/d/3.txt", "/e", "/f.txt"])
        #expect(try admitted(paths, include: ["/a", "1.txt"], exclude: ["b/"]) == ["/a", "/a/c", "/a/c/d", "/a/c/d/3.txt"])
    }
}
