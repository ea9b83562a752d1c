// The entries of a plan, packed: a first snapshot has every file of the sources in it.
// In: entries, those of one directory mostly one after the other.  Out: the same, in tree order once they are arranged.
// An entry costs its name and 24 bytes; an array of paths would take five times as much.

package import Kernel

package struct PlannedEntries: Sendable {
    private struct Item {
        var size: UInt64
        /// Where the name begins in `names`.
        var name: Int
        /// Index of the directory that holds it.
        var directory: UInt32
        /// 0 for the root directory, which stands in itself.
        var nameCount: UInt8
        var kind: FileKind
        var reading: PlannedEntry.Reading

        var bytesToRead: UInt64 { kind == .file && reading != .metadataOnly ? size : 0 }
    }

    private var items: [Item] = []
    private var names: [UInt8] = []
    private var directories: [Path] = []

    package init() {}

    /// Adds an entry behind the others. Cost: O(length of the path).
    package mutating func append(_ entry: PlannedEntry) {
        let path = entry.path.bytes
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let directory = path[..<(slash ?? 0)]
        if directories.last?.bytes.elementsEqual(directory) != true { directories.append(Path(unchecked: Array(directory))) }
        let name = path[(slash.map { $0 + 1 } ?? 0)...]
        items.append(
            Item(
                size: entry.size, name: names.count, directory: UInt32(directories.count - 1), nameCount: UInt8(name.count), kind: entry.kind,
                reading: entry.reading))
        names += name
    }

    mutating func append(contentsOf other: PlannedEntries) {
        if isEmpty { return self = other }
        let (nameOffset, directoryOffset) = (names.count, UInt32(directories.count))
        names += other.names
        directories += other.directories
        items += other.items.lazy.map { item in
            var item = item
            item.name += nameOffset
            item.directory += directoryOffset
            return item
        }
    }

    /// Removes what stands at these paths.
    mutating func remove(_ paths: Set<Path>) {
        if isEmpty { return }
        // Most directories hold none of them.
        let places = Set(paths.map { $0.parent ?? .root })
        let concerned = directories.map(places.contains)
        items = items.filter { !concerned[Int($0.directory)] || !paths.contains(path(of: $0)) }
    }

    /// Sorts the entries into tree order. Of several at one path the last stays.
    ///
    /// - Complexity: O(entries × log(entries of one directory)).
    package mutating func arrange() {
        if items.count < 2 { return }
        var content = itemsByDirectory()
        var arranged: [Item] = []
        arranged.reserveCapacity(items.count)
        // The directories above the one in hand, each with the items that are still to come.
        var open: [(path: Path, items: ArraySlice<Item>)] = []
        func close() {
            if let last = open.popLast() { arranged += last.items }
        }
        for (path, directoryItems) in content {
            while let last = open.last, !path.isBelow(last.path) { close() }
            if let last = open.last {
                // What stands there before the way to this directory, and the directory on that way itself.
                let step = path.suffix(below: last.path).prefix { $0 != UInt8(ascii: "/") }
                let before = last.items.prefix { !step.lexicographicallyPrecedes(name(of: $0)) }
                arranged += before
                open[open.count - 1].items.removeFirst(before.count)
            }
            open.append((path, directoryItems[...]))
        }
        content = []
        while !open.isEmpty { close() }
        items = arranged
    }

    /// The directories in tree order, each once; their items by name, each name once.
    private mutating func itemsByDirectory() -> [(Path, [Item])] {
        let order = directories.indices.sorted { directories[$0] < directories[$1] }
        var unique: [Path] = []
        var places = [UInt32](repeating: 0, count: directories.count)
        for index in order {
            if unique.last != directories[index] { unique.append(directories[index]) }
            places[index] = UInt32(unique.count - 1)
        }
        var content = unique.map { ($0, [Item]()) }
        for var item in items {
            item.directory = places[Int(item.directory)]
            content[Int(item.directory)].1.append(item)
        }
        items = []
        directories = unique
        for index in content.indices { arrange(&content[index].1) }
        return content
    }

    /// Items of one directory.
    private func arrange(_ items: inout [Item]) {
        let isArranged = items.indices.dropFirst().allSatisfy { name(of: items[$0 - 1]).lexicographicallyPrecedes(name(of: items[$0])) }
        if isArranged { return }
        items.sort { name(of: $0).lexicographicallyPrecedes(name(of: $1)) }
        var kept = 0
        for index in items.indices.dropFirst() {
            // The sort is stable: of equal names the last was seen last.
            if !name(of: items[index]).elementsEqual(name(of: items[kept])) { kept += 1 }
            items[kept] = items[index]
        }
        items.removeLast(items.count - kept - 1)
    }

    private func name(of item: Item) -> ArraySlice<UInt8> { names[item.name..<item.name + Int(item.nameCount)] }

    private func path(of item: Item) -> Path {
        let directory = directories[Int(item.directory)]
        return item.nameCount == 0 ? directory : directory.appending(name(of: item))
    }
}

extension PlannedEntries: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { items.count }

    /// Cost: O(length of the path).
    package subscript(position: Int) -> PlannedEntry {
        let item = items[position]
        return PlannedEntry(path: path(of: item), kind: item.kind, size: item.size, reading: item.reading)
    }

    /// Where this path stands. The entries must be in tree order. Cost: O(log(entries)) paths.
    package func position(of path: Path) -> Int? {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self.path(of: items[middle]) < path { low = middle + 1 } else { high = middle }
        }
        return low < count && self.path(of: items[low]) == path ? low : nil
    }

    /// The positions of what is directly in directories for which this is true. It is asked once for each directory, in tree order
    /// when the entries are.
    package func positions(inDirectories isWanted: (Path) throws -> Bool) rethrows -> [Int] {
        let wanted = try directories.map(isWanted)
        return indices.filter { wanted[Int(items[$0].directory)] }
    }

    package func kind(at position: Int) -> FileKind { items[position].kind }

    /// The last component of the path at `position`.
    package func name(at position: Int) -> ArraySlice<UInt8> { name(of: items[position]) }

    /// Bytes to read for the entry at `position`.
    package func bytesToRead(at position: Int) -> UInt64 { items[position].bytesToRead }

    package var bytesToRead: UInt64 { items.reduce(0) { $0 &+ $1.bytesToRead } }
}
