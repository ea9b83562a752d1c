// Reads the numbers and byte strings of a decoded payload.
// In: bytes that may be hostile.  Out: values, or an ArchiveError with the offset in the payload.
// Invariant: 0 <= position <= end <= bytes.count; nothing is allocated that the bytes do not pay for.

struct ByteReader {
    let bytes: [UInt8]
    private(set) var position: Int
    /// Where the part being read ends; narrowed by `enter`.
    private(set) var end: Int

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        position = 0
        end = bytes.count
    }

    var remaining: Int { end - position }
    var isAtEnd: Bool { position == end }

    @inline(never)
    func error(_ code: ArchiveError.Code, _ reason: String) -> ArchiveError {
        ArchiveError(code, reason, offset: UInt64(position))
    }

    @inline(never)
    func truncated() -> ArchiveError { error(.truncated, "the bytes end within a value") }

    @inline(__always)
    mutating func byte() throws(ArchiveError) -> UInt8 {
        guard position < end else { throw truncated() }
        defer { position += 1 }
        return bytes[position]
    }

    @inline(__always)
    mutating func varint() throws(ArchiveError) -> UInt64 {
        guard position < end else { throw truncated() }
        let first = bytes[position]
        if first < 0x80 {
            position += 1
            return UInt64(first)
        }
        return try longVarint()
    }

    private mutating func longVarint() throws(ArchiveError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            // The tenth byte holds bit 63 alone.
            if shift == 63, next > 1 { throw error(.malformed, "a number is above 2^64 - 1") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    @inline(__always)
    mutating func zigzag() throws(ArchiveError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    @inline(__always)
    mutating func varint32() throws(ArchiveError) -> UInt32 {
        guard let value = UInt32(exactly: try varint()) else { throw error(.malformed, "a number is above 2^32 - 1") }
        return value
    }

    /// A length, with that many bytes behind it.
    @inline(__always)
    mutating func count() throws(ArchiveError) -> Int {
        let value = try varint()
        guard value <= UInt64(remaining) else { throw truncated() }
        return Int(value)
    }

    mutating func array(_ count: Int) throws(ArchiveError) -> [UInt8] {
        guard count >= 0, count <= remaining else { throw truncated() }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func rest() -> [UInt8] {
        defer { position = end }
        return Array(bytes[position..<end])
    }

    mutating func skip(_ count: Int) throws(ArchiveError) {
        guard count >= 0, count <= remaining else { throw truncated() }
        position += count
    }

    /// Narrows the reading to the next `count` bytes; gives what `leave` wants back.
    @inline(__always)
    mutating func enter(_ count: Int) throws(ArchiveError) -> Int {
        guard count >= 0, count <= remaining else { throw truncated() }
        defer { end = position + count }
        return end
    }

    /// Skips what is left of the part, and widens the reading to `outer`.
    @inline(__always)
    mutating func leave(_ outer: Int) {
        position = end
        end = outer
    }

    /// As `leave`, but what is left is an error.
    @inline(__always)
    mutating func leaveExactly(_ outer: Int) throws(ArchiveError) {
        guard position == end else { throw error(.malformed, "bytes are left over") }
        end = outer
    }

    /// Little-endian, fixed width.
    mutating func integer<Number: FixedWidthInteger & UnsignedInteger>(
        _ type: Number.Type = Number.self
    ) throws(ArchiveError) -> Number {
        let size = Number.bitWidth / 8
        guard size <= remaining else { throw truncated() }
        defer { position += size }
        return (0..<size).reduce(0) { $0 | Number(bytes[position + $1]) << Number(8 * $1) }
    }
}
