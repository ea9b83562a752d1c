// Bytes as text that survives everywhere: base64 with `-` and `_`, padded with `=`.
// Strict: one value has one form, so that a text cannot be changed without changing the bytes.
// Source: RFC 4648, "Base 64 Encoding with URL and Filename Safe Alphabet".

package enum Base64URL {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    private static let padding = UInt8(ascii: "=")

    /// For each character its value; 0xFF for those outside the alphabet.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for value in 0..<64 { values[Int(alphabet.utf8Start[value])] = UInt8(value) }
        return values
    }()

    /// Characters for `count` bytes, with the padding.
    package static func encodedCount(_ count: Int) -> Int { (count + 2) / 3 * 4 }

    package static func encode(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        Array(unsafeUninitializedCapacity: encodedCount(bytes.count)) { room, count in
            count = encode(bytes, into: UnsafeMutableRawBufferPointer(room))
        }
    }

    package static func encode(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { encode($0) }
    }

    /// Nil for a length that is no multiple of 4, a character outside the alphabet (line ends too), wrong padding, or
    /// bits that are left over and not zero.
    package static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        var valid = true
        let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3) { room, count in
            if let decoded = decode(text, into: UnsafeMutableRawBufferPointer(room)) { count = decoded } else { valid = false }
        }
        return valid ? bytes : nil
    }

    package static func decode(_ text: [UInt8]) -> [UInt8]? {
        text.withUnsafeBytes { decode($0) }
    }

    /// Encodes to `room`, which has place for `encodedCount` characters, and returns that count.
    static func encode(_ bytes: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int {
        precondition(room.count >= encodedCount(bytes.count))
        let alphabet = alphabet.utf8Start
        var source = 0
        var target = 0
        // Three bytes are read only where three are left; four characters are covered by the precondition.
        while bytes.count - source >= 3 {
            let group = UInt32(bytes[source]) << 16 | UInt32(bytes[source + 1]) << 8 | UInt32(bytes[source + 2])
            room[target] = alphabet[Int(group >> 18)]
            room[target + 1] = alphabet[Int(group >> 12 & 63)]
            room[target + 2] = alphabet[Int(group >> 6 & 63)]
            room[target + 3] = alphabet[Int(group & 63)]
            source += 3
            target += 4
        }
        let left = bytes.count - source
        if left == 0 { return target }
        let group = UInt32(bytes[source]) << 16 | (left == 2 ? UInt32(bytes[source + 1]) << 8 : 0)
        room[target] = alphabet[Int(group >> 18)]
        room[target + 1] = alphabet[Int(group >> 12 & 63)]
        room[target + 2] = left == 2 ? alphabet[Int(group >> 6 & 63)] : padding
        room[target + 3] = padding
        return target + 4
    }

    /// Decodes to `room`, which has place for three bytes of each four characters (less the padding).
    ///
    /// - Returns: The bytes written, or nil as `decode(_:)`.
    static func decode(_ text: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int? {
        guard text.count % 4 == 0 else { return nil }
        if text.isEmpty { return 0 }
        var paddings = 0
        if text[text.count - 1] == padding { paddings = text[text.count - 2] == padding ? 2 : 1 }
        precondition(room.count >= text.count / 4 * 3 - paddings)
        let whole = paddings == 0 ? text.count : text.count - 4
        return values.withUnsafeBufferPointer { values -> Int? in
            var target = 0
            var source = 0
            // Four characters are read and three bytes written per group; the table has an entry for every byte.
            while source < whole {
                let a = values[Int(text[source])]
                let b = values[Int(text[source + 1])]
                let c = values[Int(text[source + 2])]
                let d = values[Int(text[source + 3])]
                if (a | b | c | d) > 63 { return nil }
                room[target] = a << 2 | b >> 4
                room[target + 1] = b << 4 | c >> 2
                room[target + 2] = c << 6 | d
                source += 4
                target += 3
            }
            if paddings == 0 { return target }
            let a = values[Int(text[whole])]
            let b = values[Int(text[whole + 1])]
            let c = paddings == 1 ? values[Int(text[whole + 2])] : 0
            let unused = paddings == 1 ? c & 0b11 : b & 0b1111
            if (a | b | c) > 63 || unused != 0 { return nil }
            room[target] = a << 2 | b >> 4
            if paddings == 1 { room[target + 1] = b << 4 | c >> 2 }
            return target + 3 - paddings
        }
    }
}
