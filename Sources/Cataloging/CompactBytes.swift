// The compact bytes that single columns hold: lists of numbers and byte strings.
// In: values.  Out: the same values; nil at bytes that were not written here.
// Source: the varint of the repository format, so that one explanation serves both.

struct CompactWriter {
    private(set) var bytes: [UInt8] = []

    @inline(__always)
    mutating func add(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func add(zigzag value: Int64) {
        add(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    mutating func add(_ text: [UInt8]) {
        add(UInt64(text.count))
        bytes += text
    }
}

struct CompactReader {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    /// `bytes` outlives the reader.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    @inline(__always)
    mutating func number() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.count, shift < 64 {
            let next = bytes[position]
            position += 1
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    mutating func zigzag() -> Int64? {
        guard let value = number() else { return nil }
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func text() -> [UInt8]? {
        guard let count = number(), count <= UInt64(bytes.count - position) else { return nil }
        defer { position += Int(count) }
        return Array(bytes[position..<position + Int(count)])
    }
}
