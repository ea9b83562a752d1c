// Finds numbers by their hash in 8 bytes per slot: open addressing with linear probing, no tombstones.
// In: (hash, number) pairs; who asks compares the key itself.  Out: the number that the key belongs to.
// Invariant: from the home slot of a pair to its slot there is no empty one.
// Source: Knuth, The Art of Computer Programming 3, 6.4, algorithms L and R.

struct IndexTable {
    /// Upper half: hash; lower half: number + 1; 0 is an empty slot.
    private var slots: [UInt64] = Array(repeating: 0, count: 16)
    private(set) var count = 0

    /// The first number with this hash that `matches` accepts.
    @inline(__always)
    func first(hash: UInt32, where matches: (Int32) -> Bool) -> Int32? {
        let mask = slots.count - 1
        var index = Int(hash) & mask
        while slots[index] != 0 {
            if UInt32(truncatingIfNeeded: slots[index] >> 32) == hash {
                let number = IndexTable.number(slots[index])
                if matches(number) { return number }
            }
            index = (index + 1) & mask
        }
        return nil
    }

    /// Adds a pair that is not there yet. `number` is 0...Int32.max - 1.
    mutating func insert(hash: UInt32, _ number: Int32) {
        if (count + 1) * 4 > slots.count * 3 { grow() }
        place(UInt64(hash) << 32 | UInt64(UInt32(bitPattern: number) + 1))
        count += 1
    }

    /// Takes a pair out; nothing happens when it is not there.
    mutating func remove(hash: UInt32, _ number: Int32) {
        let mask = slots.count - 1
        let pair = UInt64(hash) << 32 | UInt64(UInt32(bitPattern: number) + 1)
        var hole = Int(hash) & mask
        while slots[hole] != pair {
            if slots[hole] == 0 { return }
            hole = (hole + 1) & mask
        }
        count -= 1
        // Closes the gap: each pair behind it that may stand there moves up.
        var index = hole
        while true {
            slots[hole] = 0
            repeat {
                index = (index + 1) & mask
                if slots[index] == 0 { return }
            } while (index - IndexTable.home(slots[index], mask)) & mask < (index - hole) & mask
            slots[hole] = slots[index]
            hole = index
        }
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: 0, count: old.count * 2)
        for pair in old where pair != 0 { place(pair) }
    }

    private mutating func place(_ pair: UInt64) {
        let mask = slots.count - 1
        var index = IndexTable.home(pair, mask)
        while slots[index] != 0 { index = (index + 1) & mask }
        slots[index] = pair
    }

    private static func home(_ pair: UInt64, _ mask: Int) -> Int { Int(pair >> 32) & mask }

    private static func number(_ pair: UInt64) -> Int32 {
        Int32(bitPattern: UInt32(truncatingIfNeeded: pair) &- 1)
    }
}
