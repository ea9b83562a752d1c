// Is a path backed up, and which rule says so.
// In: a path, the rules, the sources as they are now.  Out: the reason, and where on the way to the path it holds.
// Invariant: the answer is that of a scan, for it is a scan: the directories from the source down to the path are compared, name by
// name, with a state in which nothing is known.

internal import Archiving
internal import Cataloging
package import Kernel

package struct PathExplanation: Hashable, Sendable {
    package enum Reason: Hashable, Sendable {
        /// It is a source.
        case source
        /// Nothing leaves it out. The rule is the negated pattern that took it back.
        case included(RuleOrigin?)
        /// A rule leaves out the path, or a directory above it.
        case excluded(RuleOrigin)
        /// No source holds it.
        case outside
        /// A directory above a source: the snapshots know only its name.
        case above
        /// A mount point. It is kept as an empty directory; what is mounted there is another file system.
        case otherFileSystem
        /// A symlink on the way, which is kept as such and never followed.
        case behindSymlink
        /// A file on the way: the path cannot exist.
        case behindFile
        /// The system does not let a scan look there; what was last known of it stays.
        case unreadable(Errno)
        /// The source is not there; what was last known of it stays.
        case sourceMissing
    }

    package var path: Path
    package var reason: Reason
    /// Where the reason holds: the path itself, or what is above it.
    package var place: Path
    package var source: Path?
    /// What stands at the path now; nil when nothing does or it cannot be looked at.
    package var status: FileStatus?

    package init(path: Path, reason: Reason, place: Path, source: Path? = nil, status: FileStatus? = nil) {
        self.path = path
        self.reason = reason
        self.place = place
        self.source = source
        self.status = status
    }

    /// True when a snapshot that is taken now has an entry of it, or would have one if it existed.
    package var isBackedUp: Bool {
        switch reason {
        case .source, .included: true
        case .otherFileSystem: place == path
        case .excluded, .outside, .above, .behindSymlink, .behindFile, .unreadable, .sourceMissing: false
        }
    }
}

extension ExcludeRules {
    /// Says why a path is, or is not, in the next snapshot.
    ///
    /// - Parameter kind: Taken for the kind of a path that does not exist.
    /// - Complexity: A few system calls for each component.
    package func explain(_ path: Path, assuming kind: FileKind = .file) throws -> PathExplanation {
        var result = PathExplanation(path: path, reason: .outside, place: path, status: try? FileStatus(of: path))
        guard let source = sources.first(where: { path.isAtOrBelow($0) }) else {
            if sources.contains(where: { $0.isBelow(path) }) { result.reason = .above }
            return result
        }
        result.source = source
        let context = ScanContext(state: NothingKnown(), rules: self, rereading: .whatDiffers, knownSources: [], isCancelled: { false })
        let comparison = DirectoryComparison(context)
        guard var task = try comparison.open(source: source) else {
            result.place = source
            result.reason = comparison.plan.unavailable.first?.reason == .unreadable ? .unreadable(.permissionDenied) : .sourceMissing
            return result
        }
        if path == source {
            result.reason = .source
            return result
        }
        let names = path.suffix(below: source).split(separator: slash)
        for (index, name) in names.enumerated() {
            let isLast = index + 1 == names.count
            let child = task.path.appending(name)
            result.place = child
            comparison.plan = SnapshotPlan()
            let isDirectory = !isLast || (result.status?.kind ?? kind) == .directory
            guard let (scope, verdict) = comparison.verdict(child, isDirectory: isDirectory, in: task) else {
                result.place = task.path
                result.reason = .unreadable(comparison.plan.problems.first?.errno ?? .permissionDenied)
                return result
            }
            comparison.plan = SnapshotPlan()
            try comparison.compare(task, names: [Array(name)])
            switch comparison.step(verdict, isLast: isLast) {
            case .decided(let reason):
                result.reason = reason
                return result
            case .into(let directory):
                task = directory
            case .absent:
                (result.reason, result.place) = rest(names[index...], below: task.path, scope, verdict, kind)
                return result
            }
        }
        return result
    }

    /// What the rules say of names that do not exist.
    private func rest(
        _ names: ArraySlice<ArraySlice<UInt8>>, below directory: Path, _ scope: ExcludeScope, _ first: Verdict, _ kind: FileKind
    ) -> (PathExplanation.Reason, Path) {
        var scope = scope
        var path = directory
        var verdict = first
        for index in names.indices {
            path = path.appending(names[index])
            let isDirectory = index + 1 < names.endIndex || kind == .directory
            if index > names.startIndex { verdict = scope.verdict(for: path, isDirectory: isDirectory) }
            if let rule = verdict.rule, verdict.isExcluded { return (.excluded(rule), path) }
            scope = scope.entering(path)
        }
        return (.included(verdict.rule), path)
    }
}

extension DirectoryComparison {
    fileprivate enum Step {
        case decided(PathExplanation.Reason)
        case into(DirectoryTask)
        case absent
    }

    /// The rules for the names in a directory, and what they say of one; nil when it cannot be opened.
    fileprivate func verdict(_ child: Path, isDirectory: Bool, in task: DirectoryTask) -> (ExcludeScope, Verdict)? {
        guard var place = open(task) else { return nil }
        readRules(&place, isPresent: { _ in true })
        if let rule = place.contentRule, !child.name.elementsEqual(ExcludeRules.cacheTagName) {
            return (place.scope, Verdict(isExcluded: true, rule: rule))
        }
        return (place.scope, place.scope.verdict(for: child, isDirectory: isDirectory))
    }

    /// What comparing one name came to.
    fileprivate func step(_ verdict: Verdict, isLast: Bool) -> Step {
        if let planned = plan.upserts.first {
            let isMountPoint = planned.kind == .directory && subdirectories.isEmpty
            if isMountPoint { return .decided(.otherFileSystem) }
            if isLast { return .decided(.included(verdict.rule)) }
            if let directory = subdirectories.first { return .into(directory) }
            return .decided(planned.kind == .symlink ? .behindSymlink : .behindFile)
        }
        let counts = plan.counts
        let path = currentPath
        if counts.excluded > 0 { return .decided(.excluded(verdict.rule ?? RuleOrigin(text: path.bytes, place: .own))) }
        if counts.tooLarge > 0 {
            return .decided(.excluded(RuleOrigin(text: Array("\(context.rules.settings.largerThan ?? 0)".utf8), place: .size)))
        }
        if counts.noDump > 0 { return .decided(.excluded(RuleOrigin(text: path.bytes, place: .noDump(path)))) }
        if let problem = plan.problems.first { return .decided(.unreadable(problem.errno)) }
        return .absent
    }
}

/// The state before the first snapshot.
private struct NothingKnown: KnownState {
    func liveSources() throws -> [Path] { [] }
    func node(of path: Path) throws -> NodeID? { nil }
    func liveChildren(of node: NodeID) throws -> [KnownChild] { [] }
    func liveStatus(_ path: Path) throws -> KnownStatus? { nil }
    func liveEntry(_ path: Path) throws -> Entry? { nil }
    func liveNames(ofInode inode: UInt64, device: UInt64?) throws -> [Path] { [] }
    func liveOrphans(below sources: [Path]) throws -> [Path] { [] }
}
