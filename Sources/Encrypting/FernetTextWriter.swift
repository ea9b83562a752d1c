// Writes one Fernet token of any length as base64url text, piece by piece.
// In: plaintext.  Out: text, given to a sink as it is made; without `finish` it is no token.
// Invariant: memory is bounded, whatever the length: the HMAC is computed along the way.

/// Python's `Fernet(key).decrypt(text)` opens what it writes. After an error or its end it only throws `.misuse`.
package struct FernetTextWriter: ~Copyable {
    // A multiple of 3, so that all text but the last piece ends with a whole group.
    private static let pieceCount = 48 << 10

    private var cipher: BlockCipher
    private var authenticator: MessageAuthenticator
    /// Token bytes that are not yet text: up to 2 left over, a piece, the rest of a block and the tag.
    private var binary: ByteRoom
    private var text: ByteRoom
    private var filled: Int
    private var usable = true

    /// - Parameters:
    ///   - timeSeconds: Seconds since 1970; everyone can read it in the token.
    ///   - vector: 16 bytes, or nil for random ones, which is the only safe choice outside tests.
    /// - Throws: `.cryptography`.
    package init(key: SecretKey, timeSeconds: UInt64, vector: [UInt8]? = nil) throws(EncryptionError) {
        var cipher = try BlockCipher(.encrypting, key: key)
        var authenticator = try MessageAuthenticator()
        let capacity = 2 + Fernet.headCount + FernetTextWriter.pieceCount + BlockCipher.blockCount + MessageAuthenticator.tagCount
        let binary = ByteRoom(capacity)
        try Fernet.writeHead(timeSeconds: timeSeconds, vector: vector, into: binary.bytes)
        try cipher.start(vector: UnsafeRawBufferPointer(rebasing: binary.bytes[Fernet.vectorOffset..<Fernet.headCount]))
        try authenticator.start(key)
        try authenticator.update(UnsafeRawBufferPointer(rebasing: binary.bytes[..<Fernet.headCount]))
        self.cipher = cipher
        self.authenticator = authenticator
        self.binary = binary
        text = ByteRoom(Base64URL.encodedCount(capacity))
        filled = Fernet.headCount
    }

    /// Takes the next piece of plaintext.
    ///
    /// - Parameter sink: Receives 0 or more pieces of text, valid during the call.
    /// - Throws: What `sink` throws; `.cryptography`.
    package mutating func write(_ input: UnsafeRawBufferPointer, to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard usable else { throw EncryptionError(.misuse, "the token has ended") }
        usable = false
        var done = 0
        while done < input.count {
            let count = min(input.count - done, FernetTextWriter.pieceCount)
            let piece = UnsafeRawBufferPointer(rebasing: input[done..<(done + count)])
            let added = try cipher.update(piece, into: UnsafeMutableRawBufferPointer(rebasing: binary.bytes[filled...]))
            try authenticate(added)
            try giveWholeGroups(to: sink)
            done += count
        }
        usable = true
    }

    /// Ends the token: the last block, the tag, the padding of the text. No line end is written.
    package mutating func finish(to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard usable else { throw EncryptionError(.misuse, "the token has ended") }
        usable = false
        let added = try cipher.finish(into: UnsafeMutableRawBufferPointer(rebasing: binary.bytes[filled...]))
        try authenticate(added)
        try authenticator.finish(into: UnsafeMutableRawBufferPointer(rebasing: binary.bytes[filled...]))
        filled += MessageAuthenticator.tagCount
        try give(filled, to: sink)
    }

    private mutating func authenticate(_ added: Int) throws(EncryptionError) {
        try authenticator.update(UnsafeRawBufferPointer(rebasing: binary.bytes[filled..<(filled + added)]))
        filled += added
    }

    private mutating func giveWholeGroups(to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        let whole = filled / 3 * 3
        try give(whole, to: sink)
        let rest = filled - whole
        // At most two bytes move to the front.
        for index in 0..<rest { binary.bytes[index] = binary.bytes[whole + index] }
        filled = rest
    }

    private func give(_ count: Int, to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        let characters = Base64URL.encode(UnsafeRawBufferPointer(rebasing: binary.bytes[..<count]), into: text.bytes)
        if characters > 0 { try sink(UnsafeRawBufferPointer(rebasing: text.bytes[..<characters])) }
    }
}
