// Writes the numbers and fields of a payload.
// In: values.  Out: bytes at the end of an array.

extension [UInt8] {
    @inline(__always)
    mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func append(zigzag value: Int64) {
        append(varint: UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    /// Little-endian, fixed width.
    mutating func append(integer value: some FixedWidthInteger) {
        var rest = value.littleEndian
        Swift.withUnsafeBytes(of: &rest) { append(contentsOf: $0) }
    }

    mutating func append(field tag: UInt64, _ bytes: some Collection<UInt8>) {
        append(varint: tag)
        append(varint: UInt64(bytes.count))
        append(contentsOf: bytes)
    }

    mutating func append(field tag: UInt64, varint value: UInt64) {
        append(varint: tag)
        append(varint: UInt64(varintCount(value)))
        append(varint: value)
    }
}

/// How many bytes the varint of `value` takes: 1...10.
@inline(__always)
func varintCount(_ value: UInt64) -> Int {
    // Seven bits a byte; 0 takes one as well.
    max(1, (64 - value.leadingZeroBitCount + 6) / 7)
}
