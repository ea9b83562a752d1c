// Which chunks are still needed, while groups of snapshots are dropped one after the other.
// In: every version's chunks, with the snapshots that show it.  Out: whether a chunk is needed when a group is being merged.
// Invariant: it knows the moment of its making only. A version that no kept snapshot shows lies in the run of dropped snapshots
// between two kept ones: so it dies with exactly one group, and one number for each chunk tells all.

package struct ChunkReferences: Sendable {
    /// By row of the chunk: 0 unneeded, else the last group that needs it, from 1; `kept` for what stays.
    private var groups: [UInt32]

    static let kept = UInt32.max

    init(highest: Int64) {
        groups = [UInt32](repeating: 0, count: Int(clamping: highest) + 1)
    }

    /// False when the row is above the highest.
    mutating func add(_ id: Int64, _ group: UInt32) -> Bool {
        guard id >= 0, id < groups.count else { return false }
        groups[Int(id)] = max(groups[Int(id)], group)
        return true
    }

    /// Needed by what stays, or by a group that comes after this one.
    func isLive(_ id: Int64, merging group: Int = -1) -> Bool {
        id >= 0 && id < groups.count && groups[Int(id)] > UInt32(clamping: group + 1)
    }
}

/// What is needed at one step of a series of drops.
package struct NeededChunks: Sendable {
    private let references: ChunkReferences
    private let group: Int

    /// - Parameter group: The one that is being merged, counted from 0; -1 while none is.
    package init(_ references: ChunkReferences, merging group: Int) {
        self.references = references
        self.group = group
    }

    func contains(_ id: Int64) -> Bool { references.isLive(id, merging: group) }
}

/// Which snapshots stay, and with which group each of the others goes.
struct DropPlan {
    private var numbers: [Int64]
    /// By the order of `numbers`.
    private var fates: [UInt32]
    /// How many of the numbers before each are kept.
    private var keptBefore: [Int]

    init(kept: [UInt64], groups: [[UInt64]]) {
        var all = kept.map { (Int64(clamping: $0), ChunkReferences.kept) }
        for (index, group) in groups.enumerated() { all += group.map { (Int64(clamping: $0), UInt32(clamping: index + 1)) } }
        all.sort { $0.0 < $1.0 }
        numbers = all.map(\.0)
        fates = all.map(\.1)
        keptBefore = [0]
        for fate in fates { keptBefore.append((keptBefore.last ?? 0) + (fate == ChunkReferences.kept ? 1 : 0)) }
    }

    /// Of a version that snapshots first <= n < until show; nil when none of them exists.
    func fate(first: Int64, until: Int64) -> UInt32? {
        let low = position(of: first)
        guard low < numbers.count, numbers[low] < until else { return nil }
        if fates[low] == ChunkReferences.kept || until == Int64.max { return ChunkReferences.kept }
        let high = position(of: until)
        return keptBefore[high] > keptBefore[low] ? ChunkReferences.kept : fates[low]
    }

    /// Of the first number that is not below `number`.
    private func position(of number: Int64) -> Int {
        var low = 0
        var high = numbers.count
        while low < high {
            let middle = (low + high) / 2
            if numbers[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
