// The queue of the dirty set, and what leaves it.
// The queue holds a due time for each member, never later than the true one: a change that moves a member's due time back leaves
// the queue alone, and the member is queued again when its old time comes up. Adding therefore seldom touches the queue.

internal import HeapModule
package import Kernel

/// A due time that was true when it was queued.
struct QueuedMember: Comparable, Sendable {
    let due: Int64
    let serial: UInt64
    let index: DirtyTree.Index

    static func < (left: QueuedMember, right: QueuedMember) -> Bool { left.due < right.due }
}

/// What the dirty set holds for a path.
package struct PendingChange: Hashable, Sendable {
    /// The member that stands for the path: itself, or a directory above it.
    package let change: Change
    package let first: BootInstant
    package let last: BootInstant
    package let due: BootInstant
    /// The quiet period that backoff has given it; nil when it has the usual one.
    package let rest: Duration?
}

extension DirtySet {
    /// When the next member is due; nil when nothing is pending. May lie in the past.
    /// - Complexity: O(log members), amortised.
    package mutating func nextDue() -> BootInstant? {
        while let top = queue.min {
            let due = currentDue(top)
            if due == top.due { return BootInstant(nanoseconds: top.due) }
            queue.removeMin()
            requeue(top, due)
        }
        return nil
    }

    /// Takes the members that are due: those that rested for their quiet period, and those past their deadline.
    ///
    /// - Parameter recent: Members that changed at or after it are taken as well, rested or not. How hot those are stays as it was.
    /// - Complexity: O(taken · log members); with `recent` O(members).
    package mutating func takeSettled(at instant: BootInstant, andChangedSince recent: BootInstant? = nil) -> DirtyBatch {
        let now = instant.nanoseconds
        var taken: [(change: Change, clock: DirtyClock)] = []
        while let top = queue.min, top.due <= now {
            queue.removeMin()
            let due = currentDue(top)
            if due == top.due {
                let member = release(top.index)
                remember(member, at: now)
                taken.append(member)
            } else {
                requeue(top, due)
            }
        }
        if let recent {
            let members = tree.nodes.indices.filter { tree.nodes[$0].isMember && tree.nodes[$0].clock.last >= recent.nanoseconds }
            taken += members.map { release(DirtyTree.Index($0)) }
        }
        return DirtyBatch(taken)
    }

    /// Takes everything, rested or not. How hot the paths are stays as it was.
    package mutating func takeAll() -> DirtyBatch {
        var taken: [(change: Change, clock: DirtyClock)] = []
        taken.reserveCapacity(count)
        for node in tree.nodes where node.isMember {
            taken.append((Change(path: node.path, scope: node.scope, settled: node.clock.settled), node.clock))
        }
        tree = DirtyTree(sources: (0..<tree.sourceCount).map { tree.nodes[$0].path })
        queue = []
        count = 0
        forgetRecent()
        return DirtyBatch(taken)
    }

    /// The member that stands for a path, for whoever asks why it is not saved yet.
    package func pending(at path: Path) -> PendingChange? {
        guard let nearest = tree.nearest(path.bytes) else { return nil }
        for index in [nearest, tree[nearest].parent] where index != DirtyTree.none && tree[index].isMember {
            let node = tree[index]
            let change = Change(path: node.path, scope: node.scope, settled: node.clock.settled)
            if change.covers(Change(path: path, scope: .entry)) {
                return PendingChange(
                    change: change, first: BootInstant(nanoseconds: node.clock.first),
                    last: BootInstant(nanoseconds: node.clock.last), due: BootInstant(nanoseconds: patience.due(node.clock)),
                    rest: node.clock.level > 0 ? rest(node.clock.level) : nil)
            }
        }
        return nil
    }

    /// Queues a member whose due time is new or has become earlier.
    mutating func enqueue(_ index: DirtyTree.Index) {
        let due = patience.due(tree[index].clock)
        guard due < tree[index].queued else { return }
        tree[index].queued = due
        queue.insert(QueuedMember(due: due, serial: tree[index].serial, index: index))
        // Members that were absorbed leave their times behind.
        if queue.count > 4 * count + 1024 { rebuildQueue() }
    }

    private mutating func rebuildQueue() {
        var entries: [QueuedMember] = []
        entries.reserveCapacity(count)
        for (index, node) in tree.nodes.enumerated() where node.isMember {
            entries.append(QueuedMember(due: node.queued, serial: node.serial, index: DirtyTree.Index(index)))
        }
        queue = Heap(entries)
    }

    /// The due time of a queued member as it is now; nil when the member is gone or was queued again for an earlier time.
    private func currentDue(_ queued: QueuedMember) -> Int64? {
        let node = tree[queued.index]
        guard node.isMember, node.serial == queued.serial, node.queued == queued.due else { return nil }
        return patience.due(node.clock)
    }

    private mutating func requeue(_ queued: QueuedMember, _ due: Int64?) {
        guard let due else { return }
        tree[queued.index].queued = due
        queue.insert(QueuedMember(due: due, serial: queued.serial, index: queued.index))
    }

    /// Takes one member out of the tree.
    private mutating func release(_ index: DirtyTree.Index) -> (change: Change, clock: DirtyClock) {
        let node = tree[index]
        drop(index)
        return (Change(path: node.path, scope: node.scope, settled: node.clock.settled), node.clock)
    }

    /// Notes how hot a path is that is taken now.
    private mutating func remember(_ member: (change: Change, clock: DirtyClock), at now: Int64) {
        guard patience.backsOff else { return }
        let clock = member.clock
        let rested = now - clock.last >= patience.quiet(settled: clock.settled, level: clock.level)
        let level = rested && !clock.isReturning ? 0 : min(clock.level + 1, Patience.highestLevel)
        let bytes = member.change.path.bytes
        heat.record(PathPrefix(bytes: bytes, length: bytes.count), PathHeat.Record(level: level, taken: now))
    }
}
