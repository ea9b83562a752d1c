// The paths of the dirty set as a tree: a node for each member and for each directory between it and its source.
// Nodes live in one array and are found through one table of path prefixes, so that a change in a directory that is already
// known costs one or two look-ups, however deep it lies. A node shares the bytes of a path that was added: nothing is copied.
// Invariant: below a member marked `subtree` there is no node; every node but a source is a member or has nodes below it.

import Kernel

/// The first `length` bytes of a path, as a key.
struct PathPrefix: Hashable, Sendable {
    let bytes: [UInt8]
    let length: Int

    static func == (left: PathPrefix, right: PathPrefix) -> Bool {
        left.length == right.length && left.bytes.hasPrefix(of: right.bytes, length: left.length)
    }

    var path: Path { Path(unchecked: bytes.count == length ? bytes : Array(bytes[..<length])) }

    func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: $0[..<length])) }
    }
}

extension [UInt8] {
    /// True when both begin with the same `length` bytes. `length` is at most the count of either.
    func hasPrefix(of other: [UInt8], length: Int) -> Bool {
        withUnsafeBufferPointer { left in
            other.withUnsafeBufferPointer { right in
                // Both prefixes end inside their arrays, by the requirement.
                left[..<length].elementsEqual(right[..<length])
            }
        }
    }

    /// The length of the directory part of the first `length` bytes: 0 when there is no slash in them.
    func directoryLength(_ length: Int) -> Int {
        withUnsafeBufferPointer { bytes in
            var index = length
            while index > 0 {
                index -= 1
                if bytes[index] == UInt8(ascii: "/") { return index }
            }
            return 0
        }
    }
}

struct DirtyTree: Sendable {
    typealias Index = Int32
    static let none: Index = -1

    struct Node: Sendable {
        /// Of length -1 while the node is free.
        var prefix: PathPrefix
        var parent: Index
        var firstChild = DirtyTree.none
        var next = DirtyTree.none
        var previous = DirtyTree.none
        /// Components below the source.
        var depth: Int32
        /// Members at and below.
        var members: Int32 = 0
        /// Members directly below of scope `entry`, and of the wider scopes.
        var entryChildren: Int32 = 0
        var wideChildren: Int32 = 0
        var isMember = false
        var scope = Change.Scope.entry
        /// Distinguishes this membership from earlier ones of the same node in the queue.
        var serial: UInt64 = 0
        /// The due time that stands in the queue for it.
        var queued: Int64 = 0
        var clock = DirtyClock(first: 0, last: 0, settled: false)

        var path: Path { prefix.path }
    }

    var nodes: [Node] = []
    private var free: [Index] = []
    private var table: [PathPrefix: Index] = [:]
    /// Nodes 0..<sourceCount are the sources and stay for good.
    let sourceCount: Int

    /// - Parameter sources: None inside another.
    init(sources: [Path]) {
        sourceCount = sources.count
        for (index, source) in sources.enumerated() {
            let prefix = PathPrefix(bytes: source.bytes, length: source.bytes.count)
            nodes.append(Node(prefix: prefix, parent: DirtyTree.none, depth: 0))
            table[prefix] = Index(index)
        }
    }

    subscript(index: Index) -> Node {
        _read { yield nodes[Int(index)] }
        _modify { yield &nodes[Int(index)] }
    }

    /// The node of a path, if it has one.
    func node(_ bytes: [UInt8], length: Int) -> Index? {
        table[PathPrefix(bytes: bytes, length: length)]
    }

    /// The node at or nearest above a path; nil outside the sources.
    /// - Complexity: one look-up for each level without a node.
    func nearest(_ bytes: [UInt8]) -> Index? {
        var length = bytes.count
        while true {
            if let found = node(bytes, length: length) { return found }
            if length == 0 { return nil }
            length = bytes.directoryLength(length)
        }
    }

    /// Adds a node for the next component of `bytes` below `parent`, a strict prefix.
    mutating func extend(_ parent: Index, towards bytes: [UInt8]) -> Index {
        let above = self[parent].prefix.length
        var end = above == 0 ? 0 : above + 1
        while end < bytes.count, bytes[end] != UInt8(ascii: "/") { end += 1 }
        let first = self[parent].firstChild
        var node = Node(prefix: PathPrefix(bytes: bytes, length: end), parent: parent, depth: self[parent].depth + 1)
        node.next = first
        let index: Index
        if let reused = free.popLast() {
            index = reused
            self[index] = node
        } else {
            index = Index(nodes.count)
            nodes.append(node)
        }
        if first != DirtyTree.none { self[first].previous = index }
        self[parent].firstChild = index
        table[node.prefix] = index
        return index
    }

    /// Removes the node, and those above it, that are neither member nor source and have nothing below.
    mutating func prune(_ index: Index) {
        var index = index
        while index >= sourceCount, !self[index].isMember, self[index].firstChild == DirtyTree.none {
            let parent = self[index].parent
            remove(index)
            index = parent
        }
    }

    /// Unlinks a node without children.
    private mutating func remove(_ index: Index) {
        let (parent, next, previous) = (self[index].parent, self[index].next, self[index].previous)
        if previous == DirtyTree.none { self[parent].firstChild = next } else { self[previous].next = next }
        if next != DirtyTree.none { self[next].previous = previous }
        table[self[index].prefix] = nil
        self[index].prefix = PathPrefix(bytes: [], length: -1)
        self[index].isMember = false
        free.append(index)
    }

    /// Adds to the counts of members from `index` up to its source.
    mutating func count(_ difference: Int32, from index: Index) {
        var index = index
        while index != DirtyTree.none {
            self[index].members += difference
            index = self[index].parent
        }
    }

    /// Removes every node below `top`, handing each member's clock to `absorb`. Counts above `top` are not touched.
    mutating func removeBelow(_ top: Index, absorb: (DirtyClock) -> Void) {
        // Depth first along first children: when a node has none left, it goes, and its parent is looked at again.
        var index = self[top].firstChild
        while index != DirtyTree.none, index != top {
            let child = self[index].firstChild
            if child != DirtyTree.none {
                index = child
                continue
            }
            if self[index].isMember { absorb(self[index].clock) }
            let (next, parent) = (self[index].next, self[index].parent)
            remove(index)
            index = next != DirtyTree.none ? next : parent
        }
        self[top].entryChildren = 0
        self[top].wideChildren = 0
    }
}
