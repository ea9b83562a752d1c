// The secret key on paper: letters and digits that survive a pen, a printer and a telephone.
//
//     base32( 32 key bytes | first 4 bytes of their SHA-256 ), 58 characters in groups of four
//
// Source: RFC 4648, "Base 32 Encoding", without padding.

package enum KeyText {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
    private static let checksumCount = 4
    // (32 + 4) * 8 bits in groups of 5, rounded up.
    package static let characterCount = 58

    /// Three lines of groups of four, joined with hyphens; no line end after the last.
    package static func export(_ key: SecretKey) -> String {
        var bytes = key.withUnsafeBytes { Array($0) }
        defer { bytes.wipe() }
        bytes += SHA256.digest(of: bytes).bytes.prefix(checksumCount)
        var text = ""
        for (index, character) in encode(bytes).enumerated() {
            if index > 0, index % 20 == 0 {
                text += "\n"
            } else if index > 0, index % 4 == 0 {
                text += "-"
            }
            text.unicodeScalars.append(Unicode.Scalar(character))
        }
        return text
    }

    /// Reads what `export` wrote, whatever its case, spaces, hyphens and line ends; also the 44 characters of a key file.
    /// The digits 0, 1 and 8, which do not occur, are read as O, I and B.
    ///
    /// - Throws: `.malformed` for another length, `.mistyped` for the right length with a wrong character.
    package static func parse(_ text: String) throws(EncryptionError) -> SecretKey {
        let plain = text.utf8.filter { !isSpace($0) }
        if let key = SecretKey(text: plain) { return key }
        if plain.last == UInt8(ascii: "=") {
            if plain.count == SecretKey.textCount { throw EncryptionError(.mistyped, "the key has a character that cannot occur in it") }
            throw EncryptionError(.malformed, "the key has \(plain.count) characters instead of \(SecretKey.textCount)")
        }
        var characters = plain.filter { $0 != UInt8(ascii: "-") }
        defer { characters.wipe() }
        guard characters.count == characterCount else {
            throw EncryptionError(.malformed, "the key has \(characters.count) letters and digits instead of \(characterCount)")
        }
        guard var bytes = decode(characters) else {
            throw EncryptionError(.mistyped, "the key has a character that cannot occur in it")
        }
        defer { bytes.wipe() }
        let checksum = bytes.withBytes { SHA256.digest(of: UnsafeRawBufferPointer(rebasing: $0[..<SecretKey.byteCount])) }
        guard checksum.bytes.prefix(checksumCount).elementsEqual(bytes[SecretKey.byteCount...]) else {
            throw EncryptionError(.mistyped, "the key is mistyped somewhere: its checksum does not fit")
        }
        return try SecretKey { $0.copyBytes(from: bytes[..<SecretKey.byteCount]) }
    }

    private static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                result.append(alphabet[Int(buffer >> UInt32(bits) & 31)])
            }
            // Only the bits that are left over stay: at most 4.
            buffer &= (1 << UInt32(bits)) - 1
        }
        if bits > 0 { result.append(alphabet[Int(buffer << UInt32(5 - bits) & 31)]) }
        return result
    }

    /// Nil for a character outside the alphabet and for bits that are left over and not zero.
    private static func decode(_ characters: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        for character in characters {
            guard let value = value(of: character) else { return nil }
            buffer = buffer << 5 | value
            bits += 5
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
                buffer &= (1 << UInt32(bits)) - 1
            }
        }
        return buffer == 0 ? result : nil
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a"))
        case UInt8(ascii: "2")...UInt8(ascii: "7"): UInt32(character - UInt8(ascii: "2")) + 26
        case UInt8(ascii: "0"): 14
        case UInt8(ascii: "1"): 8
        case UInt8(ascii: "8"): 1
        default: nil
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (9...13).contains(byte)
    }
}
