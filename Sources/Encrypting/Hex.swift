// Bytes as hexadecimal digits in lower case, two for each byte. Source: RFC 4648, "Base 16 Encoding".

package enum Hex {
    package static func encode(_ bytes: UnsafeRawBufferPointer) -> String {
        String(unsafeUninitializedCapacity: 2 * bytes.count) { room in
            // Two digits for each byte fill the capacity exactly.
            for (index, byte) in bytes.enumerated() {
                room[2 * index] = digit(byte >> 4)
                room[2 * index + 1] = digit(byte & 0xF)
            }
            return 2 * bytes.count
        }
    }

    package static func encode(_ bytes: [UInt8]) -> String {
        bytes.withUnsafeBytes { encode($0) }
    }

    /// Nil for an odd number of digits and for anything but `0`...`9` and `a`...`f`: one value has one form.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 2 == 0 else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count / 2)
        var high: UInt8?
        for character in text {
            guard let value = value(of: character) else { return nil }
            if let upper = high {
                result.append(upper << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return result
    }

    package static func decode(_ text: String) -> [UInt8]? {
        decode(Array(text.utf8))
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
