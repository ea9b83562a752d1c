// Whether a digest can be among those that were put in before, in two bytes for each.
// In: digests.  Out: "no", or "perhaps": about one in 400 of those that were never put in.
// Source: B. H. Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970; the parts of a SHA-256 are its hash functions.

internal import Encrypting

struct DigestFilter {
    private var bits: [UInt64]

    /// - Parameter count: Digests that are expected; with more of them "perhaps" becomes frequent, and nothing else happens.
    init(expecting count: Int) {
        var words = 1024
        // 16 bits for each digest, and a power of two.
        while words * 4 < count, words < 1 << 24 { words *= 2 }
        bits = Array(repeating: 0, count: words)
    }

    mutating func insert(_ digest: Digest) {
        for place in places(digest) { bits[place / 64] |= 1 << UInt64(place % 64) }
    }

    func mayContain(_ digest: Digest) -> Bool {
        places(digest).allSatisfy { bits[$0 / 64] & 1 << UInt64($0 % 64) != 0 }
    }

    private func places(_ digest: Digest) -> some Sequence<Int> {
        // The mask keeps each below the number of bits.
        let mask = UInt64(bits.count * 64 - 1)
        return (0..<4).lazy.map { part in
            digest.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: 8 * part, as: UInt64.self) & mask) }
        }
    }
}
