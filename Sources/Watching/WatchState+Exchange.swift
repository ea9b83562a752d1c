// Who has a watch when there are not enough: the shallowest directories, and those that change again and again.
// In: where comparisons found changes.  Out: which watches end, and which directories get them.
// A directory that changed in two comparisons, without a watch, is worth more than one that no event was heard of since the
// comparison before the latest: they exchange. One comparison alone proves nothing, so that a single large copy moves no watch.
// Invariant: the parent of a watched directory is watched; only those without watched directories in them give theirs up.

import Kernel

/// In how many of the latest comparisons each unwatched directory had changed.
struct ChangeTally {
    /// Above this many directories, those that are new to it are left out.
    static let capacity = 4096
    static let enough: UInt8 = 2
    private static let highest: UInt8 = 4
    private var counts: [Path: UInt8] = [:]

    /// Takes in one comparison: what changed counts up, what did not counts down and is forgotten.
    mutating func note(_ changed: some Sequence<Path>) {
        let changed = Set(changed)
        counts = counts.filter { changed.contains($0.key) || $0.value > 1 }
        for (path, count) in counts {
            counts[path] = changed.contains(path) ? min(ChangeTally.highest, count + 1) : count - 1
        }
        for path in changed.sorted() where counts[path] == nil && counts.count < ChangeTally.capacity { counts[path] = 1 }
    }

    /// Those that changed again and again: the busiest first, then in tree order, which has the shallow before the deep.
    var busy: [Path] {
        counts.filter { $0.value >= ChangeTally.enough }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
    }

    mutating func forget(_ path: Path) { counts[path] = nil }

    mutating func removeAll() { counts = [:] }
}

/// Watches that change hands.
struct WatchExchange: Equatable {
    /// To be ended: directories that rest.
    var ending: [Int32] = []
    /// To be watched, a directory before those in it.
    var beginning: [Path] = []
}

extension WatchState {
    /// Takes in a comparison of everything, and says which watches should change hands.
    ///
    /// - Complexity: O(watched directories) when some are wanted that have no watch; else O(changed).
    mutating func exchange(changed: [Path]) -> WatchExchange {
        tree.beginRound()
        tally.note(changed.filter { tree.find($0) == nil })
        var result = WatchExchange()
        let busy = tally.busy
        if busy.isEmpty || !unwatched.contains(.watchLimit) { return result }
        var resting = tree.restingLeaves()
        var room = limit - tree.count
        var taken: Set<Path> = []
        for path in busy {
            // Where something else than the limit is in the way, a watch would be given up for nothing.
            if let (_, reason) = unwatched.nearest(path), reason != .watchLimit { continue }
            guard let (missing, parent) = missing(above: path, besides: taken) else { continue }
            if let parent, result.ending.contains(parent) { continue }
            var ending: [Int32] = []
            while room + ending.count < missing.count, let watch = resting.popLast() {
                // What is to be watched stands in it.
                if watch != parent { ending.append(watch) }
            }
            if room + ending.count < missing.count { break }
            room += ending.count - missing.count
            result.ending += ending
            result.beginning += missing
            taken.formUnion(missing)
            for each in missing { tally.forget(each) }
        }
        return result
    }

    /// The directories at and above `path` that are not watched, from the top, and the watch of the one above them.
    private func missing(above path: Path, besides taken: Set<Path>) -> (missing: [Path], parent: Int32?)? {
        var missing: [Path] = []
        var path = path
        while !taken.contains(path) {
            if let watch = tree.find(path) { return missing.isEmpty ? nil : (missing.reversed(), watch) }
            missing.append(path)
            // Nothing of it is watched: its source is out of reach.
            guard let parent = path.parent else { return nil }
            path = parent
        }
        return missing.isEmpty ? nil : (missing.reversed(), nil)
    }
}

extension WatchTree {
    /// Comparisons without an event after which a directory rests.
    static let restingRounds: UInt8 = 2

    mutating func beginRound() { round &+= 1 }

    /// An event of the directory was heard.
    mutating func touch(_ watch: Int32) {
        if let row = rowNumber(watch) { nodes[row].round = round }
    }

    /// The watches of directories that rest and have no watched directory in them, the shallowest first.
    func restingLeaves() -> [Int32] {
        var leaves: [(depth: Int, watch: Int32)] = []
        for node in nodes where node.parent >= 0 && node.firstChild == WatchTree.none && !node.isDetached {
            // After 256 rounds one counts as active again, for two of them.
            if round &- node.round < WatchTree.restingRounds { continue }
            var depth = 0
            var row = node.parent
            while row >= 0 {
                depth += 1
                row = nodes[Int(row)].parent
            }
            leaves.append((depth, node.watch))
        }
        return leaves.sorted { ($0.depth, $0.watch) < ($1.depth, $1.watch) }.map(\.watch)
    }
}
