// Where an exclude rule stands and what it says, for a person.

package import Kernel
package import Scanning

/// The file and the line in which a rule is written.
package struct RuleLocation: Hashable, Sendable {
    package var file: Path
    /// From 1; nil where it cannot be told.
    package var line: Int?
}

extension RuleOrigin {
    /// Nil for what is written nowhere: defaults, tags, marks, the program's own paths.
    func location(configurationFile: Path) -> RuleLocation? {
        func line(_ find: (String) -> Int?) -> RuleLocation {
            let text = (try? configurationFile.readFile(limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
            return RuleLocation(file: configurationFile, line: text.flatMap(find))
        }
        switch place {
        case .pattern(let index): return line { ListLines.line(ofItem: index, in: "patterns", section: "exclude", of: $0) }
        case .size: return line { ConfigurationReader.line(of: "larger_than", section: "exclude", in: $0) }
        case .ignoreFile(let file, let line): return RuleLocation(file: file, line: line)
        case .defaults, .cacheDirectory, .noDump, .own: return nil
        }
    }

    /// Goes on from the path that it leaves out.
    package var words: String {
        switch place {
        case .pattern: "is left out by the pattern \"\(printable(text))\""
        case .defaults: "is left out by the default pattern \"\(printable(text))\""
        case .ignoreFile(let file, _): "is left out by the pattern \"\(printable(text))\" of \(file)"
        case .cacheDirectory(let directory): "is in the cache \(directory), which holds a CACHEDIR.TAG"
        case .noDump(let path): "is left out by the mark of chattr +d on \(path)"
        case .size: "is larger than \(ByteText.describe(UInt64(String(decoding: text, as: UTF8.self)) ?? 0))"
        case .own: "is the repository, or the program's own state"
        }
    }
}
