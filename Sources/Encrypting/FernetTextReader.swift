// Reads one Fernet token of any length from base64url text, in two passes over its source.
// In: text, twice.  Out: plaintext, given to a sink in the second pass.
// Invariant: no byte is decrypted that the first pass did not authenticate, even when the source changes in between:
// the first pass keeps a digest of each piece. That is all that grows, by 32 bytes for each MiB of text.

/// A token whose HMAC was found right.
package struct FernetTextReader: Sendable {
    /// Writes up to the buffer's size of text to its start and returns how much; 0 at the end.
    package typealias Source = (UnsafeMutableRawBufferPointer) throws -> Int

    /// When the token was made, in seconds since 1970.
    package let timeSeconds: UInt64

    private let key: SecretKey
    private let vector: [UInt8]
    private let tokenCount: Int
    private let digests: [Digest]

    /// The first pass: reads all of the text and authenticates it. One line end after it is allowed.
    ///
    /// - Throws: `.malformed` for what is not a token, `.authentication` for a token that was not made with `key` or was
    ///   changed since; what `source` throws.
    package init(key: SecretKey, reading source: Source) throws {
        var pieces = TokenPieces()
        var hasher = SHA256Hasher()
        var authenticator = try MessageAuthenticator()
        try authenticator.start(key)
        var digests: [Digest] = []
        var head: [UInt8] = []
        // The last 32 bytes so far, which are the tag if nothing follows, and otherwise are covered by it.
        var tail: [UInt8] = []
        var count = 0
        while let piece = try pieces.next(from: source) {
            hasher.update(piece)
            digests.append(hasher.finish())
            if count == 0 { head = Array(piece.prefix(Fernet.headCount)) }
            count += piece.count
            try FernetTextReader.authenticate(piece, &tail, &authenticator)
        }
        guard count >= Fernet.overhead + BlockCipher.blockCount, (count - Fernet.overhead) % BlockCipher.blockCount == 0,
            head.first == Fernet.version
        else { throw EncryptionError(.malformed, "not a Fernet token") }
        guard try tail.withUnsafeBytes({ try authenticator.finish(matches: $0) }) else {
            throw EncryptionError(.authentication, "the token was not made with this key, or is damaged")
        }
        timeSeconds = head.withUnsafeBytes { Fernet.readTime($0) }
        vector = Array(head[Fernet.vectorOffset...])
        tokenCount = count
        self.key = key
        self.digests = digests
    }

    /// Authenticates all but the last 32 bytes, which become the new `tail`.
    private static func authenticate(
        _ piece: UnsafeRawBufferPointer, _ tail: inout [UInt8], _ authenticator: inout MessageAuthenticator
    ) throws {
        let kept = max(0, MessageAuthenticator.tagCount - piece.count)
        let covered = max(0, tail.count - kept)
        try tail.withUnsafeBytes { try authenticator.update(UnsafeRawBufferPointer(rebasing: $0[..<covered])) }
        tail.removeFirst(covered)
        let end = max(0, piece.count - MessageAuthenticator.tagCount)
        try authenticator.update(UnsafeRawBufferPointer(rebasing: piece[..<end]))
        tail.append(contentsOf: piece[end...])
    }

    /// The second pass: reads the same text from its beginning and decrypts it.
    ///
    /// - Parameter sink: Receives 0 or more pieces of plaintext, valid during the call.
    /// - Throws: `.authentication` when the source gives other text than in the first pass, before anything of the changed
    ///   piece is decrypted; `.malformed` for wrong padding; what `source` and `sink` throw.
    package func decrypt(reading source: Source, to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        var pieces = TokenPieces()
        var hasher = SHA256Hasher()
        var cipher = try BlockCipher(.decrypting, key: key)
        try vector.withUnsafeBytes { try cipher.start(vector: $0) }
        let plaintext = ByteRoom(TokenPieces.byteCount + BlockCipher.blockCount)
        let ciphertext = Fernet.headCount..<(tokenCount - MessageAuthenticator.tagCount)
        var index = 0
        var offset = 0
        while let piece = try pieces.next(from: source) {
            hasher.update(piece)
            guard index < digests.count, hasher.finish() == digests[index] else { throw changed }
            // The part of this piece that is ciphertext: without the head and the tag of the token.
            let part = ciphertext.clamped(to: offset..<(offset + piece.count))
            let encrypted = UnsafeRawBufferPointer(rebasing: piece[(part.lowerBound - offset)..<(part.upperBound - offset)])
            let count = try cipher.update(encrypted, into: plaintext.bytes)
            if count > 0 { try sink(UnsafeRawBufferPointer(rebasing: plaintext.bytes[..<count])) }
            offset += piece.count
            index += 1
        }
        guard index == digests.count else { throw changed }
        let count = try cipher.finish(into: plaintext.bytes)
        if count > 0 { try sink(UnsafeRawBufferPointer(rebasing: plaintext.bytes[..<count])) }
    }

    private var changed: EncryptionError {
        EncryptionError(.authentication, "the token has changed while it was read")
    }
}

/// The binary form of a text, in pieces of the same size on every reading.
private struct TokenPieces: ~Copyable {
    static let textCount = 1 << 20
    static let byteCount = textCount / 4 * 3

    private let text = ByteRoom(textCount)
    private let binary = ByteRoom(byteCount)
    private var ended = false

    /// The next 1...786,432 bytes, all but the last as many as possible; nil at the end.
    mutating func next(from source: FernetTextReader.Source) throws -> UnsafeRawBufferPointer? {
        if ended { return nil }
        var filled = 0
        while filled < text.bytes.count {
            let count = try source(UnsafeMutableRawBufferPointer(rebasing: text.bytes[filled...]))
            if count <= 0 {
                ended = true
                break
            }
            filled += min(count, text.bytes.count - filled)
        }
        if ended, filled > 0, text.bytes[filled - 1] == UInt8(ascii: "\n") { filled -= 1 }
        if ended, filled > 0, text.bytes[filled - 1] == UInt8(ascii: "\r") { filled -= 1 }
        if filled == 0 { return nil }
        let piece = UnsafeRawBufferPointer(rebasing: text.bytes[..<filled])
        // A full piece cannot end the text of a token, whose length is 9 more than whole blocks: padding there is an error.
        guard let count = Base64URL.decode(piece, into: binary.bytes), ended || count == TokenPieces.byteCount else {
            throw EncryptionError(.malformed, "the token is not base64url")
        }
        return UnsafeRawBufferPointer(rebasing: binary.bytes[..<count])
    }
}
