// What the rules leave out of a state that is known already: a change of rules, looked at before it takes effect.
// In: the entries of a snapshot in tree order.  Out: the trees that will go, with the rule that says so, and what remains.
// Invariant: the source's files are not looked at, but for those that hold rules. So marks of chattr(1) and mounts do not count.
// Memory O(depth), and the trees that are named.

package import Kernel

package struct RuleReview: Sendable {
    /// A path that will not be in the next snapshot, with everything below it.
    package struct LeftOut: Hashable, Sendable {
        package var path: Path
        package var isDirectory: Bool
        /// Nil for what is in no source any more.
        package var rule: RuleOrigin?
        /// With those below it.
        package var entries: UInt64 = 0
        /// Sum of the sizes of its files.
        package var bytes: UInt64 = 0
    }

    /// The largest of them by bytes, then by entries.
    package private(set) var largest: [LeftOut] = []
    package private(set) var trees: UInt64 = 0
    package private(set) var entries: UInt64 = 0
    package private(set) var bytes: UInt64 = 0
    /// Entries that stay, the sources themselves not counted.
    package private(set) var kept: UInt64 = 0

    private struct Directory: Sendable {
        var path: Path
        var scope: ExcludeScope
        /// A cache: everything in it but its tag is left out.
        var contentRule: RuleOrigin?
    }

    private let rules: ExcludeRules
    private let contents: @Sendable (Path) -> [UInt8]?
    private let limit: Int
    /// From the source down to the directory in hand.
    private var directories: [Directory] = []
    private var current: LeftOut?

    /// - Parameters:
    ///   - limit: How many trees are named.
    ///   - contents: As in `ExcludeRules.verdict`.
    package init(_ rules: ExcludeRules, naming limit: Int, contents: @escaping @Sendable (Path) -> [UInt8]? = ExcludeRules.contents(of:)) {
        self.rules = rules
        self.limit = limit
        self.contents = contents
    }

    /// Adds the next entry in tree order.
    package mutating func add(_ path: Path, _ kind: FileKind, size: UInt64) {
        let bytes = kind == .file ? size : 0
        if let tree = current, path.isBelow(tree.path) {
            current?.entries += 1
            current?.bytes &+= bytes
            return
        }
        finish()
        while let last = directories.last, !path.isBelow(last.path) { directories.removeLast() }
        guard let directory = directories.last else { return addOutside(path, kind, bytes) }
        if let rule = rule(for: path, kind, size, in: directory) {
            current = LeftOut(path: path, isDirectory: kind == .directory, rule: rule, entries: 1, bytes: bytes)
            return
        }
        kept += 1
        if kind == .directory { enter(path, directory.scope.entering(path), isSource: false) }
    }

    /// After the last entry.
    package mutating func finish() {
        guard let tree = current else { return }
        current = nil
        trees += 1
        entries += tree.entries
        bytes &+= tree.bytes
        let place = largest.firstIndex { ($0.bytes, $0.entries) < (tree.bytes, tree.entries) } ?? largest.endIndex
        if place < limit { largest.insert(tree, at: place) }
        if largest.count > limit { largest.removeLast() }
    }

    private mutating func addOutside(_ path: Path, _ kind: FileKind, _ bytes: UInt64) {
        if rules.sources.contains(path) { return enter(path, rules.scope(of: path), isSource: true) }
        current = LeftOut(path: path, isDirectory: kind == .directory, entries: 1, bytes: bytes)
        // A source may lie below what was one before.
        if rules.sources.contains(where: { $0.isBelow(path) }) { finish() }
    }

    private mutating func enter(_ path: Path, _ scope: ExcludeScope, isSource: Bool) {
        var directory = Directory(path: path, scope: scope)
        if !isSource, rules.isCacheDirectory(path, contents) {
            directory.contentRule = RuleOrigin(text: path.bytes, place: .cacheDirectory(path))
        }
        rules.addIgnoreFiles(of: path, to: &directory.scope, contents)
        directories.append(directory)
    }

    private func rule(for path: Path, _ kind: FileKind, _ size: UInt64, in directory: Directory) -> RuleOrigin? {
        if let rule = directory.contentRule, !path.name.elementsEqual(ExcludeRules.cacheTagName) { return rule }
        let verdict = directory.scope.isEmpty ? Verdict(isExcluded: false) : directory.scope.verdict(for: path, isDirectory: kind == .directory)
        if verdict.isExcluded { return verdict.rule }
        guard let limit = rules.settings.largerThan, kind == .file, size > limit else { return nil }
        return RuleOrigin(text: Array("\(limit)".utf8), place: .size)
    }
}
