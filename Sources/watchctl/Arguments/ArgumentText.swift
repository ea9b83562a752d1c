// Arguments are bytes, and the parser takes text: what is not UTF-8 passes through it in disguise.
// In: the bytes of argv.  Out: a String for the parser, and from that the same bytes again.
// Invariant: decode(encode(bytes)) == bytes for all bytes; text that is UTF-8 stays as it is, unless it holds the disguise
// itself. Idea: the surrogateescape of Python's PEP 383, with private characters, for a Swift string has no surrogates.

enum ArgumentText {
    /// A byte that is not text becomes this plus its value: private characters of plane 16, which stand for nothing.
    private static let disguise: UInt32 = 0x10_FE00

    /// What this process was called with, without the program's name.
    static func ofThisProcess() -> [String] {
        let count = Int(CommandLine.argc)
        guard count > 1 else { return [] }
        // argv holds argc strings that end in NUL.
        return (1..<count).compactMap { index in
            guard let pointer = CommandLine.unsafeArgv[index] else { return nil }
            var length = 0
            while pointer[length] != 0 { length += 1 }
            return encode(UnsafeBufferPointer(start: pointer, count: length).map { UInt8(bitPattern: $0) })
        }
    }

    static func encode(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self), isText(text) { return text }
        var result = String.UnicodeScalarView()
        var parser = UTF8.ForwardParser()
        var rest = bytes.makeIterator()
        var index = 0
        while true {
            let length: Int
            switch parser.parseScalar(from: &rest) {
            case .emptyInput: return String(result)
            case .error(let count): length = count
            case .valid(let encoded):
                let scalar = UTF8.decode(encoded)
                length = encoded.count
                if byte(of: scalar) == nil {
                    result.append(scalar)
                    index += length
                    continue
                }
            }
            for byte in bytes[index..<index + length] {
                if let scalar = Unicode.Scalar(disguise + UInt32(byte)) { result.append(scalar) }
            }
            index += length
        }
    }

    static func decode(_ text: String) -> [UInt8] {
        var result: [UInt8] = []
        for scalar in text.unicodeScalars {
            if let byte = byte(of: scalar) { result.append(byte) } else { result += UTF8.encode(scalar) ?? .init() }
        }
        return result
    }

    /// True for what is text indeed, without a byte in disguise.
    static func isText(_ text: String) -> Bool { text.unicodeScalars.allSatisfy { byte(of: $0) == nil } }

    private static func byte(of scalar: Unicode.Scalar) -> UInt8? {
        (disguise...disguise + 0xFF).contains(scalar.value) ? UInt8(scalar.value - disguise) : nil
    }
}
