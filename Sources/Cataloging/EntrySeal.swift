// Four bytes that tell whether a row still says what was recorded of its path.
// In: an entry.  Out: a number that goes into its row, and is compared when the entry is read with its content.
// SQLite keeps no checksums of its pages. A chunk's digest says that it is that chunk, not that it is this file's: with one bit of a
// row wrong, a restore would give another file's content, or a right one under a wrong name, without a word.
// Against accidents only: whoever can write the catalog can read the key.

internal import Archiving
internal import Encrypting
internal import Kernel

struct EntrySeal {
    private var hash: UInt64 = 0xCBF2_9CE4_8422_2325

    /// What a restore gives of the entry. Not of it are the fields that `Catalog.refresh` renews.
    static func of(_ entry: Entry, extra: [UInt8]) -> Int64 {
        var seal = EntrySeal()
        for bytes in [entry.path.bytes, entry.userName, entry.groupName, extra] { seal.add(bytes) }
        seal.add(UInt64(entry.kind.rawValue) << 32 | UInt64(entry.mode))
        seal.add(UInt64(entry.uid) << 32 | UInt64(entry.gid))
        seal.add(entry.size)
        seal.add(UInt64(bitPattern: entry.modified.seconds))
        seal.add(UInt64(entry.modified.nanoseconds) << 32 | UInt64(entry.links))
        seal.add(entry.inode)
        for chunk in entry.content.chunks {
            chunk.digest.withUnsafeBytes { seal.add($0.loadUnaligned(as: UInt64.self)) }
            seal.add(UInt64(chunk.length))
        }
        for hole in entry.content.holes {
            seal.add(hole.offset)
            seal.add(hole.length)
        }
        return Int64(seal.hash >> 32)
    }

    private mutating func add(_ bytes: [UInt8]) {
        add(UInt64(bytes.count))
        bytes.withUnsafeBytes { bytes in
            var offset = 0
            // Words as far as they go: one loop for each eight bytes.
            while offset + 8 <= bytes.count {
                add(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                offset += 8
            }
            for byte in bytes[offset...] { add(UInt64(byte)) }
        }
    }

    /// FNV-1a over words, each step followed by a shift: a multiplication carries nothing downwards.
    private mutating func add(_ word: UInt64) {
        hash = (hash ^ word) &* 0x100_0000_01B3
        hash ^= hash >> 29
    }
}
