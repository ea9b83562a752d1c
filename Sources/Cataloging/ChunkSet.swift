// A set of chunks of one catalog, a bit each: a million take 125 KB.
// In: the marks of `referencedChunks`.  Out: whether a chunk is in it.
// Invariant: it knows the moment of its making only; chunks recorded later are not in it.

package struct ChunkSet: Sendable {
    private var words: [UInt64]
    /// How many are in it.
    package private(set) var count = 0

    /// Chunks of rows up to `highest`.
    init(highest: Int64) {
        words = [UInt64](repeating: 0, count: Int(clamping: highest / 64) + 1)
    }

    func contains(_ id: Int64) -> Bool {
        id >= 0 && id / 64 < words.count && words[Int(id / 64)] & (1 << UInt64(id % 64)) != 0
    }

    /// False when the row is above the highest.
    mutating func insert(_ id: Int64) -> Bool {
        guard id >= 0, id / 64 < words.count else { return false }
        let bit: UInt64 = 1 << UInt64(id % 64)
        if words[Int(id / 64)] & bit == 0 {
            words[Int(id / 64)] |= bit
            count += 1
        }
        return true
    }
}
