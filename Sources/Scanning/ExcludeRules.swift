// What is left out of the backup, and which rule says so.
// In: patterns of the configuration, ignore files, paths of the program's own.  Out: a verdict for a path.
// Invariant: below an excluded directory everything is excluded; a source itself never is.
// Precedence, the later one wins: defaults, patterns, ignore files from the source down. The program's own paths beat all.
// Source: gitignore(5), whose patterns these are; bytes, never text.

package import Kernel

/// The `[exclude]` part of the configuration.
package struct ExcludeSettings: Hashable, Sendable {
    /// Lines of gitignore(5). One that begins with the absolute path of a source is relative to the root directory; every
    /// other one is read as if it stood in an ignore file at the top of each source.
    package var patterns: [String]
    /// See `ExcludeRules.defaultPatterns`. Also: content of directories with a CACHEDIR.TAG, and what chattr(1) marks `d`.
    package var defaults: Bool
    /// Names of files with further patterns, in the order in which they are read: later ones win.
    package var ignoreFiles: [String]
    /// Mount points below a source are kept as empty directories.
    package var oneFileSystem: Bool
    /// Files above this many bytes are left out.
    package var largerThan: UInt64?

    package init(
        patterns: [String] = [], defaults: Bool = true, ignoreFiles: [String] = [], oneFileSystem: Bool = true,
        largerThan: UInt64? = nil
    ) {
        self.patterns = patterns
        self.defaults = defaults
        self.ignoreFiles = ignoreFiles
        self.oneFileSystem = oneFileSystem
        self.largerThan = largerThan
    }
}

/// Where a rule stands.
package struct RuleOrigin: Hashable, Sendable {
    package enum Place: Hashable, Sendable {
        /// Index into `ExcludeSettings.patterns`.
        case pattern(Int)
        case defaults
        /// The line counts from 1.
        case ignoreFile(Path, line: Int)
        /// The directory that holds a CACHEDIR.TAG.
        case cacheDirectory(Path)
        /// What chattr(1) marked `d`: a file, or the directory whose content is left out.
        case noDump(Path)
        /// `ExcludeSettings.largerThan`.
        case size
        /// The repository, the state or the runtime directory.
        case own
    }

    /// The rule as it was written; of `own`, `cacheDirectory` and `noDump` the path, of `size` the limit in bytes.
    package var text: [UInt8]
    package var place: Place

    package init(text: [UInt8], place: Place) {
        self.text = text
        self.place = place
    }
}

package struct Verdict: Hashable, Sendable {
    package var isExcluded: Bool
    /// The rule that decided. Present without exclusion when a negated pattern took the path back.
    package var rule: RuleOrigin?

    package init(isExcluded: Bool, rule: RuleOrigin? = nil) {
        self.isExcluded = isExcluded
        self.rule = rule
    }
}

package struct ExcludeRules: Sendable {
    package let settings: ExcludeSettings
    package let sources: [Path]
    let ownPaths: [Path]
    let ignoreFileNames: [[UInt8]]
    private let defaults: [ExcludePattern]
    private let patterns: [(index: Int, pattern: ExcludePattern, absolute: [[UInt8]?])]

    /// The largest ignore file that is read; of a larger one, this many bytes.
    package static let ignoreFileLimit = 1 << 20

    /// - Parameters:
    ///   - home: Whose caches and trash the defaults name; nil when there is none.
    ///   - ownPaths: Everything at and below these is excluded, whatever the patterns say.
    package init(settings: ExcludeSettings, sources: [Path], home: Path?, ownPaths: [Path]) {
        self.settings = settings
        self.sources = sources
        self.ownPaths = ownPaths
        ignoreFileNames = settings.ignoreFiles.map { Array($0.utf8) }.filter { Path.isName($0[...]) }
        defaults = settings.defaults ? ExcludeRules.defaults(sources: sources, home: home) : []
        patterns = settings.patterns.enumerated().compactMap { index, line in
            guard let pattern = ExcludePattern(line: line.utf8) else { return nil }
            return (index, pattern, sources.map { ExcludeRules.suffix(of: pattern, below: $0) })
        }
    }

    /// The rules as they hold for the names directly in `source`, before its ignore files.
    func scope(of source: Path) -> ExcludeScope {
        var scope = ExcludeScope(directory: source, ownPaths: ownPaths)
        for pattern in defaults { scope.add(pattern, base: .root, place: .defaults) }
        for (index, pattern, absolute) in patterns {
            scope.add(pattern, base: source, place: .pattern(index))
            // Also read from the root directory, when it names this source.
            if let number = sources.firstIndex(of: source), let line = absolute[number], let pattern = ExcludePattern(line: line) {
                scope.add(pattern, base: source, place: .pattern(index), text: Array(settings.patterns[index].utf8))
            }
        }
        return scope
    }

    /// What becomes of `path`, all its parent directories considered.
    ///
    /// - Parameters:
    ///   - kind: Of `path` itself.
    ///   - contents: The beginning of an ignore file or a CACHEDIR.TAG, at most `ignoreFileLimit` bytes; nil where there is none.
    /// - Returns: Not excluded, without a rule, for a source itself and for what lies in no source.
    /// - Complexity: O(components × rules).
    package func verdict(for path: Path, kind: FileKind, contents: (Path) -> [UInt8]? = { _ in nil }) -> Verdict {
        if let own = ownPaths.first(where: { path.isAtOrBelow($0) }) {
            return Verdict(isExcluded: true, rule: RuleOrigin(text: own.bytes, place: .own))
        }
        let holders = sources.filter { path.isBelow($0) }
        guard let source = holders.max(by: { $0.bytes.count < $1.bytes.count }) else { return Verdict(isExcluded: false) }
        var scope = scope(of: source)
        var directory = source
        let components = path.suffix(below: source).split(separator: slash)
        var verdict = Verdict(isExcluded: false)
        for (index, name) in components.enumerated() {
            if index > 0, isCacheDirectory(directory, contents), !name.elementsEqual(ExcludeRules.cacheTagName) {
                return Verdict(isExcluded: true, rule: RuleOrigin(text: directory.bytes, place: .cacheDirectory(directory)))
            }
            addIgnoreFiles(of: directory, to: &scope, contents)
            let child = directory.appending(name)
            let isDirectory = index + 1 < components.count || kind == .directory
            verdict = scope.verdict(for: child, isDirectory: isDirectory)
            if verdict.isExcluded { return verdict }
            scope = scope.entering(child)
            directory = child
        }
        return verdict
    }

    /// Adds the ignore files that stand in `directory`.
    func addIgnoreFiles(of directory: Path, to scope: inout ExcludeScope, _ contents: (Path) -> [UInt8]?) {
        for name in ignoreFileNames {
            let file = directory.appending(name)
            if let bytes = contents(file) { scope.add(ignoreFile: file, contents: bytes) }
        }
    }

    /// The pattern `/<source>/rest` as `/rest`, with its negation; nil when it does not begin so.
    private static func suffix(of pattern: ExcludePattern, below source: Path) -> [UInt8]? {
        let body = pattern.isNegated ? pattern.text.dropFirst() : pattern.text[...]
        let beginning = [slash] + source.bytes + [slash]
        guard !source.isRoot, body.count > beginning.count, body.starts(with: beginning) else { return nil }
        return (pattern.isNegated ? [UInt8(ascii: "!")] : []) + body.dropFirst(beginning.count - 1)
    }

    // MARK: Files with rules

    /// The beginning of an ignore file or a CACHEDIR.TAG; nil for what is no file.
    static func contents(of name: [CChar], in directory: borrowing Descriptor, limit: Int) throws(Errno) -> [UInt8]? {
        // Only a file is opened: opening a FIFO or a device can have effects.
        guard try FileStatus(of: name, in: directory).kind == .file else { return nil }
        let file = try Descriptor.open(name, in: directory, [.read, .noFollow, .nonBlocking])
        return try file.bytes(at: 0, count: min(limit, Int(clamping: try file.status().size)))
    }

    /// The same of a path as it stands now; nil when it cannot be read.
    package static func contents(of path: Path) -> [UInt8]? {
        guard let directory = try? Descriptor.ofParent(of: path) else { return nil }
        return (try? contents(of: path.name.terminated, in: directory, limit: ignoreFileLimit)) ?? nil
    }

    static let cacheTagName = Array("CACHEDIR.TAG".utf8)
    /// Source: "Cache Directory Tagging Specification", bford.info/cachedir.
    static let cacheTagSignature = Array("Signature: 8a477f597d28d172789f06886806bc55".utf8)

    func isCacheDirectory(_ directory: Path, _ contents: (Path) -> [UInt8]?) -> Bool {
        guard settings.defaults, let tag = contents(directory.appending(ExcludeRules.cacheTagName)) else { return false }
        return tag.starts(with: ExcludeRules.cacheTagSignature)
    }
}
