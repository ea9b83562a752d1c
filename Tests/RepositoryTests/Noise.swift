// Bytes that do not compress, and digests of texts.

import Encrypting

/// The same for the same seed.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    var words: [UInt64] = []
    for _ in 0..<(count + 7) / 8 { words.append(generator.next()) }
    return words.withUnsafeBytes { Array($0.prefix(count)) }
}

enum SHA256Text {
    static func of(_ text: String) -> String { "\(SHA256.digest(of: Array(text.utf8)))" }
}
