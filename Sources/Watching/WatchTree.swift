// Which directory each watch number stands for, as a tree of names.
// In: watches with parent and name.  Out: the path of a watch, put together when it is asked for; the watches of a subtree.
// Invariant: every node but a source's root has a parent, and no node is below itself; renaming changes one node.
// Nodes are rows of one array, joined by their numbers, and all names stand in one run of bytes: about 100 bytes each.

import Kernel

struct WatchTree {
    struct Node {
        var watch: Int32
        /// Row of the parent; `rootMark` for a source's root, `freeMark` for a row that is not used.
        var parent: Int32
        var firstChild: Int32 = none
        /// Of a free row: the next free one.
        var next: Int32 = none
        var previous: Int32 = none
        /// In `names`; of a root: which source.
        var nameStart: UInt32 = 0
        var nameCount: UInt8 = 0
        var epoch: UInt8 = 0
        /// The latest round in which an event was heard, or the directory was added.
        var round: UInt8 = 0
        var isDetached = false
        var nameHash: UInt32 = 0
        var identity: UInt64
    }

    static let none: Int32 = -1
    static let rootMark: Int32 = -2
    static let freeMark: Int32 = -3

    let sources: [Path]
    var nodes: [Node] = []
    private var firstFree = WatchTree.none
    private var byWatch = IndexTable()
    var byName = IndexTable()
    var names: [UInt8] = []
    var unusedNameBytes = 0
    var roots: [Int32]
    var epoch: UInt8 = 0
    /// Counts comparisons of everything.
    var round: UInt8 = 0

    init(sources: [Path]) {
        self.sources = sources
        roots = Array(repeating: WatchTree.none, count: sources.count)
    }

    /// Directories that are watched.
    var count: Int { byWatch.count }

    func contains(_ watch: Int32) -> Bool { rowNumber(watch) != nil }

    /// All of them, in no particular order. Cost: the nodes.
    var watches: [Int32] { nodes.lazy.filter { $0.parent != WatchTree.freeMark }.map(\.watch) }

    /// The watch of a source's root directory.
    func root(_ source: Int) -> Int32? {
        roots[source] == WatchTree.none ? nil : nodes[Int(roots[source])].watch
    }

    /// Which source's root this watch is; nil for every other directory.
    func sourceOfRoot(_ watch: Int32) -> Int? {
        guard let row = rowNumber(watch), nodes[row].parent == WatchTree.rootMark else { return nil }
        return Int(nodes[row].nameStart)
    }

    /// The number that was given for the directory's device and inode.
    func identity(of watch: Int32) -> UInt64? { rowNumber(watch).map { nodes[$0].identity } }

    /// True between `detach` and `attach` of this directory or one above it: its path is that of before.
    func isDetached(_ watch: Int32) -> Bool {
        guard var row = rowNumber(watch) else { return false }
        while !nodes[row].isDetached, nodes[row].parent >= 0 { row = Int(nodes[row].parent) }
        return nodes[row].isDetached
    }

    /// The directory of this name in the directory of `watch`.
    func child(of watch: Int32, name: UnsafeRawBufferPointer) -> Int32? {
        guard let row = rowNumber(watch), let found = childRow(of: Int32(row), name: name) else { return nil }
        return nodes[Int(found)].watch
    }

    /// The watches of the directories in this one, detached ones left out.
    func children(of watch: Int32) -> [Int32] {
        guard let row = rowNumber(watch) else { return [] }
        var result: [Int32] = []
        var child = nodes[row].firstChild
        while child != WatchTree.none {
            if !nodes[Int(child)].isDetached { result.append(nodes[Int(child)].watch) }
            child = nodes[Int(child)].next
        }
        return result
    }

    /// The watch of the directory at `path`.
    func find(_ path: Path) -> Int32? {
        guard let source = sources.firstIndex(where: { path.isAtOrBelow($0) }), var watch = root(source) else { return nil }
        for name in path.suffix(below: sources[source]).split(separator: UInt8(ascii: "/")) {
            guard let next = name.withUnsafeBytes({ child(of: watch, name: $0) }) else { return nil }
            watch = next
        }
        return watch
    }

    /// The path of a watched directory. Cost: its components.
    func path(of watch: Int32) -> Path? {
        guard var row = rowNumber(watch) else { return nil }
        var length = 0
        var top = row
        while nodes[top].parent >= 0 {
            length += 1 + Int(nodes[top].nameCount)
            top = Int(nodes[top].parent)
        }
        let source = sources[Int(nodes[top].nameStart)].bytes
        if row == top { return sources[Int(nodes[top].nameStart)] }
        // Below the root directory there is no slash in front.
        length += source.isEmpty ? -1 : source.count
        let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            var end = length
            while row != top {
                let name = Int(nodes[row].nameStart)..<Int(nodes[row].nameStart) + Int(nodes[row].nameCount)
                end -= name.count
                for (offset, position) in name.enumerated() { buffer[end + offset] = names[position] }
                if end > 0 {
                    end -= 1
                    buffer[end] = UInt8(ascii: "/")
                }
                row = Int(nodes[row].parent)
            }
            for (offset, byte) in source.enumerated() { buffer[offset] = byte }
            count = length
        }
        return Path(unchecked: bytes)
    }
}

// MARK: Rows

extension WatchTree {
    func rowNumber(_ watch: Int32) -> Int? {
        byWatch.first(hash: WatchTree.hash(watch)) { nodes[Int($0)].watch == watch }.map(Int.init)
    }

    private func childRow(of parent: Int32, name: UnsafeRawBufferPointer) -> Int32? {
        byName.first(hash: WatchTree.hash(parent, name)) { row in
            let node = nodes[Int(row)]
            guard node.parent == parent, Int(node.nameCount) == name.count else { return false }
            for offset in 0..<name.count where names[Int(node.nameStart) + offset] != name[offset] { return false }
            return true
        }
    }

    static func hash(_ watch: Int32) -> UInt32 {
        // Fibonacci hashing: 2^32 divided by the golden ratio. Watch numbers come from the kernel, one after the other.
        let product = UInt32(bitPattern: watch) &* 2_654_435_769
        return product ^ product >> 16
    }

    private static func hash(_ parent: Int32, _ name: UnsafeRawBufferPointer) -> UInt32 {
        // Seeded per process: names are chosen by others.
        var hasher = Hasher()
        hasher.combine(parent)
        hasher.combine(bytes: name)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    mutating func newRow(_ node: Node) -> Int32 {
        let row: Int32
        if firstFree != WatchTree.none {
            row = firstFree
            firstFree = nodes[Int(row)].next
            nodes[Int(row)] = node
        } else {
            row = Int32(nodes.count)
            nodes.append(node)
        }
        byWatch.insert(hash: WatchTree.hash(node.watch), row)
        return row
    }

    mutating func release(_ row: Int32) {
        byWatch.remove(hash: WatchTree.hash(nodes[Int(row)].watch), row)
        nodes[Int(row)] = Node(watch: WatchTree.none, parent: WatchTree.freeMark, next: firstFree, identity: 0)
        firstFree = row
    }

    mutating func setName(_ row: Int, _ name: UnsafeRawBufferPointer) {
        nodes[row].nameStart = UInt32(names.count)
        nodes[row].nameCount = UInt8(name.count)
        nodes[row].nameHash = WatchTree.hash(nodes[row].parent, name)
        names.append(contentsOf: name)
    }

    /// Makes the row findable, and the first child of its parent.
    mutating func link(_ row: Int32) {
        let parent = Int(nodes[Int(row)].parent)
        let next = nodes[parent].firstChild
        nodes[Int(row)].next = next
        nodes[Int(row)].previous = WatchTree.none
        if next != WatchTree.none { nodes[Int(next)].previous = row }
        nodes[parent].firstChild = row
        nodes[Int(row)].isDetached = false
        byName.insert(hash: nodes[Int(row)].nameHash, row)
    }

    mutating func unlink(_ row: Int32) {
        let node = nodes[Int(row)]
        if !node.isDetached { byName.remove(hash: node.nameHash, row) }
        if node.previous == WatchTree.none {
            nodes[Int(node.parent)].firstChild = node.next
        } else {
            nodes[Int(node.previous)].next = node.next
        }
        if node.next != WatchTree.none { nodes[Int(node.next)].previous = node.previous }
        unusedNameBytes += Int(node.nameCount)
    }

    mutating func compactNames() {
        var kept: [UInt8] = []
        kept.reserveCapacity(names.count - unusedNameBytes)
        for row in nodes.indices where nodes[row].parent >= 0 {
            let start = Int(nodes[row].nameStart)
            nodes[row].nameStart = UInt32(kept.count)
            kept += names[start..<start + Int(nodes[row].nameCount)]
        }
        names = kept
        unusedNameBytes = 0
    }
}
