// What may have changed since the latest snapshot.
// In: Change (Watching, and retries).  Out: DirtyBatch (Scanning).
// Invariants: no member lies below a member marked `subtree`, nor is an `entry` member directly in one marked `children`.
// A change is only ever replaced by a member that covers it, and its age lives on in that member: nothing is lost or made younger.
// Memory only: after a crash the reconcile at the start finds what was pending.
// Idea: the two clocks of each entry and the promotion to the parent are Syncthing's (lib/watchaggregator).

internal import HeapModule
package import Kernel

/// The pending changes of all sources. A value: pure, without clock or lock.
///
/// Each member has two clocks. It is due when its last change is `quiet` ago, or its first one `deadline`. A path that is taken
/// without having come to rest, or that changes again soon after it was taken, is hot: its quiet period doubles each time, up to
/// `backoffLimit`, which then stands in place of the deadline; after a calm it is as any other path.
package struct DirtySet: Sendable {
    package let settings: DirtySetSettings
    let patience: Patience
    var tree: DirtyTree
    var heat: PathHeat
    var queue = Heap<QueuedMember>()
    /// The directory of the latest change, or the `subtree` member that covers it: the next change is most likely there too.
    private var recent = DirtyTree.none
    private var serial: UInt64 = 0

    /// Members: distinct pending paths, 0...max(memberLimit, number of sources).
    package internal(set) var count = 0

    package init(settings: DirtySetSettings) {
        self.settings = settings
        patience = Patience(settings)
        heat = PathHeat(capacity: settings.memberLimit)
        var sources: [Path] = []
        // In tree order, a source that lies in another one follows it at once or after others that do.
        for source in settings.sources.sorted() where sources.last.map(source.isAtOrBelow) != true {
            sources.append(source)
        }
        tree = DirtyTree(sources: sources)
    }

    package var isEmpty: Bool { count == 0 }

    /// The first change of the member that waits longest.
    /// - Complexity: O(members).
    package var oldest: BootInstant? {
        tree.nodes.lazy.filter(\.isMember).map(\.clock.first).min().map(BootInstant.init(nanoseconds:))
    }

    /// Adds one change, merging it with what is pending.
    ///
    /// - Parameter instant: Instants may repeat and may go back a little; the older counts as the first change.
    /// - Returns: False when the path is outside the sources, which is not an error; the set is unchanged. A `subtree` change
    ///   above sources marks each of them.
    /// - Complexity: two look-ups where the directory is known, else one for each component.
    @discardableResult
    package mutating func add(_ change: Change, at instant: BootInstant) -> Bool {
        let now = instant.nanoseconds
        return insert(change, DirtyClock(first: now, last: now, settled: change.settled))
    }

    /// Puts a batch back after its snapshot failed, as old as it was and as hot as it was.
    ///
    /// What changed again in the meantime keeps the older of both first changes.
    package mutating func giveBack(_ batch: DirtyBatch) {
        for (change, clock) in zip(batch.changes, batch.clocks) {
            insert(change, clock, isReturned: true)
        }
    }

    @discardableResult
    private mutating func insert(_ change: Change, _ clock: DirtyClock, isReturned: Bool = false) -> Bool {
        let bytes = change.path.bytes
        let directoryLength = bytes.directoryLength(bytes.count)
        guard var index = locate(bytes, directoryLength) else { return markSources(below: change, clock) }
        let length = tree[index].prefix.length
        if length == bytes.count {
            let parent = tree[index].parent
            if change.scope == .entry, parent != DirtyTree.none, tree[parent].isMember, tree[parent].scope == .children {
                touch(parent, clock)
                return true
            }
        } else if tree[index].isMember {
            let scope = tree[index].scope
            if scope == .subtree || scope == .children && change.scope == .entry && length == directoryLength {
                touch(index, clock)
                recent = index
                return true
            }
        }
        var scope = change.scope
        while tree[index].prefix.length < bytes.count {
            if tree[index].depth >= settings.depthLimit {
                scope = .subtree
                break
            }
            index = tree.extend(index, towards: bytes)
        }
        recent = tree[index].parent
        mark(index, scope, clock, isReturned: isReturned)
        return true
    }

    /// The node at or nearest above a path; nil outside the sources.
    private func locate(_ bytes: [UInt8], _ directoryLength: Int) -> DirtyTree.Index? {
        if recent != DirtyTree.none {
            let length = tree[recent].prefix.length
            if length == directoryLength, bytes.hasPrefix(of: tree[recent].prefix.bytes, length: length) {
                if tree[recent].isMember, tree[recent].scope == .subtree { return recent }
                return tree.node(bytes, length: bytes.count) ?? recent
            }
            if length >= 0, length < directoryLength, tree[recent].isMember, tree[recent].scope == .subtree,
                length == 0 || bytes[length] == UInt8(ascii: "/"),
                bytes.hasPrefix(of: tree[recent].prefix.bytes, length: length)
            { return recent }
        }
        return tree.nearest(bytes)
    }

    /// A change above sources concerns them when everything below it may differ.
    private mutating func markSources(below change: Change, _ clock: DirtyClock) -> Bool {
        guard change.scope == .subtree else { return false }
        var isAbove = false
        for index in 0..<DirtyTree.Index(tree.sourceCount) where tree[index].path.isBelow(change.path) {
            mark(index, .subtree, clock)
            isAbove = true
        }
        return isAbove
    }

    /// One more change of what a member stands for.
    private mutating func touch(_ index: DirtyTree.Index, _ clock: DirtyClock) {
        tree[index].clock.join(clock)
        enqueue(index)
    }

    /// Makes a node a member of at least this scope, takes over what it covers, and keeps the limits.
    mutating func mark(_ index: DirtyTree.Index, _ scope: Change.Scope, _ clock: DirtyClock, isReturned: Bool = false) {
        let parent = tree[index].parent
        if tree[index].isMember {
            tree[index].clock.join(clock)
            if isReturned {
                // Its taking came to nothing, so it was not a change soon after that made it hot.
                tree[index].clock.level = min(tree[index].clock.level, clock.level)
                tree[index].clock.isReturning = clock.isReturning
            }
            if scope.rawValue > tree[index].scope.rawValue {
                if tree[index].scope == .entry, parent != DirtyTree.none {
                    tree[parent].entryChildren -= 1
                    tree[parent].wideChildren += 1
                }
                tree[index].scope = scope
                absorb(index)
            }
            enqueue(index)
        } else {
            join(index, scope, isReturned ? clock : warmed(clock, tree[index].prefix))
        }
        promote(above: index)
        while count > settings.memberLimit, gatherBusiest() {}
    }

    /// A node that is no member becomes one.
    private mutating func join(_ index: DirtyTree.Index, _ scope: Change.Scope, _ clock: DirtyClock) {
        serial += 1
        tree[index].isMember = true
        tree[index].scope = scope
        tree[index].clock = clock
        tree[index].serial = serial
        tree[index].queued = .max
        count += 1
        tree.count(1, from: index)
        let parent = tree[index].parent
        if parent != DirtyTree.none {
            if scope == .entry { tree[parent].entryChildren += 1 } else { tree[parent].wideChildren += 1 }
        }
        absorb(index)
        enqueue(index)
    }

    /// The clock of a new member, hot when its path was taken a moment ago.
    private func warmed(_ clock: DirtyClock, _ prefix: PathPrefix) -> DirtyClock {
        var result = DirtyClock(first: clock.first, last: clock.last, settled: clock.settled)
        if heat.isEmpty { return result }
        guard let record = heat[prefix], clock.first - record.taken < patience.calm(level: record.level) else { return result }
        result.level = record.level
        result.isReturning = true
        return result
    }

    mutating func forgetRecent() {
        recent = DirtyTree.none
    }
}
