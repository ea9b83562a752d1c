// How the tree of watches changes.
// In: watches that begin and end, and renames.  Out: the watches of what was removed.
// Invariant: a removed directory takes everything below it along, what is detached included.

extension WatchTree {
    /// Adds the root of a source. A root that was there before is removed with its subtree.
    ///
    /// - Returns: The watches that were removed.
    mutating func insertRoot(_ watch: Int32, source: Int, identity: UInt64) -> [Int32] {
        let removed = root(source).map { remove($0) } ?? []
        let row = newRow(Node(watch: watch, parent: WatchTree.rootMark, nameStart: UInt32(source), epoch: epoch, round: round, identity: identity))
        roots[source] = row
        return removed
    }

    /// Adds a directory. One of the same name is removed with its subtree. `name` is 1...255 bytes.
    ///
    /// - Returns: The watches that were removed; nil when there is no such parent, and nothing was added.
    mutating func insert(
        _ watch: Int32, parent: Int32, name: UnsafeRawBufferPointer, identity: UInt64
    ) -> [Int32]? {
        guard let parentRow = rowNumber(parent), (1...255).contains(name.count) else { return nil }
        let removed = child(of: parent, name: name).map { remove($0) } ?? []
        let row = newRow(Node(watch: watch, parent: Int32(parentRow), epoch: epoch, round: round, identity: identity))
        setName(Int(row), name)
        link(row)
        return removed
    }

    /// Takes a directory's name away, until `attach` gives it another: it still has its path, but is not found any more.
    mutating func detach(_ watch: Int32) {
        guard let row = rowNumber(watch), !nodes[row].isDetached, nodes[row].parent >= 0 else { return }
        byName.remove(hash: nodes[row].nameHash, Int32(row))
        nodes[row].isDetached = true
    }

    /// Gives a directory a new place; everything below it goes along. The place must be free. `name` is 1...255 bytes.
    ///
    /// - Returns: False, with the tree unchanged, when one of both is unknown or the directory would come below itself.
    mutating func attach(_ watch: Int32, parent: Int32, name: UnsafeRawBufferPointer) -> Bool {
        guard let row = rowNumber(watch), let parentRow = rowNumber(parent), nodes[row].parent >= 0, (1...255).contains(name.count)
        else { return false }
        var ancestor = parentRow
        while ancestor != row, nodes[ancestor].parent >= 0 { ancestor = Int(nodes[ancestor].parent) }
        if ancestor == row { return false }
        unlink(Int32(row))
        nodes[row].parent = Int32(parentRow)
        setName(row, name)
        link(Int32(row))
        nodes[row].epoch = epoch
        return true
    }

    /// Removes a directory and everything below it.
    ///
    /// - Returns: The watches that were removed; empty when there is no such directory.
    mutating func remove(_ watch: Int32) -> [Int32] {
        guard let top = rowNumber(watch) else { return [] }
        if nodes[top].parent == WatchTree.rootMark { roots[Int(nodes[top].nameStart)] = WatchTree.none } else { unlink(Int32(top)) }
        var removed: [Int32] = []
        var pending = [Int32(top)]
        while let row = pending.popLast() {
            var child = nodes[Int(row)].firstChild
            while child != WatchTree.none {
                if !nodes[Int(child)].isDetached { byName.remove(hash: nodes[Int(child)].nameHash, child) }
                unusedNameBytes += Int(nodes[Int(child)].nameCount)
                pending.append(child)
                child = nodes[Int(child)].next
            }
            removed.append(nodes[Int(row)].watch)
            release(row)
        }
        if unusedNameBytes > 65536, unusedNameBytes > names.count / 2 { compactNames() }
        return removed
    }

    /// Begins a new comparison with the file system: all that is not marked until `sweep` is out of date.
    mutating func beginEpoch() { epoch &+= 1 }

    mutating func mark(_ watch: Int32) {
        if let row = rowNumber(watch) { nodes[row].epoch = epoch }
    }

    /// Removes everything that was not marked, attached or inserted in this epoch.
    mutating func sweep() -> [Int32] {
        let stale = nodes.filter { $0.parent != WatchTree.freeMark && $0.epoch != epoch }.map(\.watch)
        // Most of them go with the first of their ancestors.
        return stale.flatMap { remove($0) }
    }
}
