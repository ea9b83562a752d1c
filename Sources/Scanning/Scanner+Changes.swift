// Changed paths → the directories to look into, from the top down.
// In: changes, in any order.  Out: a SnapshotPlan of what differs there.
// Every directory above a changed path is looked at too: names changed in it, or it is itself new, gone or excluded.

internal import Kernel
internal import Tracking

extension Scanner {
    func compare(_ changes: [Change], _ context: ScanContext) throws -> TreeComparison.Findings {
        try compare(ScanWork(changes, rules), context)
    }

    private func compare(_ work: ScanWork, _ context: ScanContext) throws -> TreeComparison.Findings {
        let comparison = DirectoryComparison(context)
        comparison.wanted = { work.directories[$0] != nil }
        var approved: [Path: DirectoryTask] = [:]
        var whole: [DirectoryTask] = []
        for (path, here) in work.directories.sorted(by: { $0.key < $1.key }) {
            // A directory that its parent did not find, or that is looked at as a whole, is not gone into.
            let isSource = rules.sources.contains(path)
            guard let task = isSource ? try comparison.open(source: path) : approved.removeValue(forKey: path) else { continue }
            if here.isWhole || task.isSource && task.known == nil {
                whole.append(task)
                continue
            }
            if here.isListed {
                try comparison.compare(task)
            } else if !here.names.isEmpty {
                try comparison.compare(task, names: Array(here.names))
            }
            for child in comparison.subdirectories {
                if child.isNew { whole.append(child) } else { approved[child.path] = child }
            }
            comparison.subdirectories = []
        }
        var findings = try walk(whole, context)
        findings.add(comparison)
        return findings
    }
}

/// What to look at, directory by directory.
struct ScanWork {
    struct Directory {
        /// Names to compare.
        var names: Set<[UInt8]> = []
        /// All names are compared.
        var isListed = false
        /// Everything below is compared.
        var isWhole = false
    }

    /// With each directory, those above it up to its source are here.
    private(set) var directories: [Path: Directory] = [:]

    init(_ changes: [Change], _ rules: ExcludeRules) {
        for change in changes {
            if let source = rules.sources.first(where: { change.path.isAtOrBelow($0) }) {
                add(change, source, rules)
            } else {
                // Something happened above a source: to all of it, or to its being there.
                for source in rules.sources where source.isBelow(change.path) {
                    add(Change(path: source, scope: change.scope == .subtree ? .subtree : .entry), source, rules)
                }
            }
        }
    }

    private mutating func add(_ change: Change, _ source: Path, _ rules: ExcludeRules) {
        var path = change.path
        var scope = change.scope
        if path != source, rules.rulesMayStand(in: path.name), let parent = path.parent {
            // Other rules hold for everything around it.
            path = parent
            scope = .subtree
        }
        switch scope {
        case .entry:
            // A source has no parent to be looked at in: opening it compares its entry.
            if path == source, directories[path] == nil { directories[path] = Directory() }
        case .children: directories[path, default: Directory()].isListed = true
        case .subtree: directories[path, default: Directory()].isWhole = true
        }
        while path != source, let parent = path.parent {
            let isThere = directories[parent] != nil
            directories[parent, default: Directory()].names.insert(Array(path.name))
            if isThere { return }
            path = parent
        }
    }
}

extension ExcludeRules {
    /// True for the names of files that decide on what is around them.
    fileprivate func rulesMayStand(in name: ArraySlice<UInt8>) -> Bool {
        if settings.defaults, name.elementsEqual(ExcludeRules.cacheTagName) { return true }
        return ignoreFileNames.contains { $0.elementsEqual(name) }
    }
}
