// Where the content of a large file is cut, by the content itself, so that an insertion moves one cut and not all.
// In: the bytes from a chunk's beginning on.  Out: the chunk's length.
// Invariant: a cut depends on the chunk's bytes alone, and every length but a file's last is within the sizes.
// Source: Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach", USENIX ATC 2016.

package struct Chunker: Sendable {
    package struct Sizes: Hashable, Sendable {
        package let minimum: Int
        /// What the mean comes to on content without repetition, within a few per cent.
        package let average: Int
        package let maximum: Int

        /// 64 KiB, 256 KiB, 1 MiB.
        package static let normal = Sizes(minimum: 64 << 10, average: 256 << 10, maximum: 1 << 20)
        /// 512 KiB, 2 MiB, 4 MiB: for files whose list of normal chunks would be too long for one record.
        package static let large = Sizes(minimum: 512 << 10, average: 2 << 20, maximum: 4 << 20)

        /// The sizes for a file of `size` bytes. They change at 128 GiB, where a list of normal chunks comes to about 18 MB.
        package static func sizes(forFileOf size: UInt64) -> Sizes {
            size < 128 << 30 ? .normal : .large
        }
    }

    package let sizes: Sizes
    /// Up to this length a cut is made four times more seldom than the average asks, from then on four times more often.
    private let normalLength: Int
    private let maskBefore: UInt64
    private let maskAfter: UInt64
    private let gear: [UInt64]

    package init(_ sizes: Sizes = .normal) {
        self.sizes = sizes
        normalLength = sizes.average - sizes.minimum / 2
        let bits = UInt64(sizes.average.bitWidth - 1 - sizes.average.leadingZeroBitCount)
        // The uppermost bits of the hash depend on the 64 latest bytes.
        maskBefore = ~(UInt64.max >> (bits + 2))
        maskAfter = ~(UInt64.max >> (bits - 2))
        gear = Chunker.gear
    }

    /// The length of the chunk that begins with `bytes`.
    ///
    /// - Parameter bytes: `sizes.maximum` bytes or more; fewer only when the file ends with them.
    /// - Returns: `sizes.minimum`...`sizes.maximum`; less only for the whole of a file's rest. 0 for no bytes.
    /// - Complexity: O(result): about a nanosecond for each byte beyond the minimum.
    package func chunkLength(in bytes: UnsafeRawBufferPointer) -> Int {
        if bytes.count <= sizes.minimum { return bytes.count }
        let limit = min(bytes.count, sizes.maximum)
        let turn = min(limit, normalLength)
        return gear.withUnsafeBufferPointer { gear in
            guard let gear = gear.baseAddress, let bytes = bytes.baseAddress else { return limit }
            // The window of 64 bytes is filled before the first cut can be; minimum is above 64.
            var hash: UInt64 = 0
            for index in (sizes.minimum - 64)..<sizes.minimum {
                hash = (hash << 1) &+ gear[Int(bytes.load(fromByteOffset: index, as: UInt8.self))]
            }
            if let cut = Chunker.cut(bytes, sizes.minimum, turn, &hash, maskBefore, gear) { return cut }
            return Chunker.cut(bytes, turn, limit, &hash, maskAfter, gear) ?? limit
        }
    }

    /// The first length in `start + 1`...`end` at which the masked hash is zero. `bytes` holds `end` bytes, `gear` 256 values.
    @inline(__always)
    private static func cut(
        _ bytes: UnsafeRawPointer, _ start: Int, _ end: Int, _ hash: inout UInt64, _ mask: UInt64, _ gear: UnsafePointer<UInt64>
    ) -> Int? {
        var index = start
        var rolling = hash
        while index < end {
            rolling = (rolling << 1) &+ gear[Int(bytes.load(fromByteOffset: index, as: UInt8.self))]
            index &+= 1
            if rolling & mask == 0 {
                hash = rolling
                return index
            }
        }
        hash = rolling
        return nil
    }

    /// 256 random-looking numbers: SplitMix64, begun at the bytes of "AutoBack". They never change, for then nothing that is
    /// stored would be found again. Source: Steele et al., "Fast Splittable Pseudorandom Number Generators", 2014.
    private static let gear: [UInt64] = {
        var state: UInt64 = 0x4175_746F_4261_636B
        return (0..<256).map { _ in
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }
    }()
}
