// Seals and opens binary Fernet tokens, one after the other, with contexts that are made once.
// In: plaintext in two pieces.  Out: a token without its base64 armour, and back.
// Invariant: the HMAC is verified, in constant time, before a byte is decrypted.
// Source: the Fernet specification, "Generating" and "Verifying".

internal import COpenSSL

/// One per thread and key.
package final class FernetCipher {
    private let key: SecretKey
    private var encryptor: BlockCipher
    private var decryptor: BlockCipher
    private var authenticator: MessageAuthenticator
    /// What is decrypted at once where nothing is kept; it stays in the cache of the processor.
    private static let pieceCount = 64 << 10

    /// - Throws: `.cryptography`.
    package init(key: SecretKey) throws(EncryptionError) {
        self.key = key
        encryptor = try BlockCipher(.encrypting, key: key)
        decryptor = try BlockCipher(.decrypting, key: key)
        authenticator = try MessageAuthenticator()
    }

    /// Appends a token of `header` and `payload`, as one plaintext, to `output`.
    ///
    /// - Parameters:
    ///   - timeSeconds: Seconds since 1970; everyone can read it in the token.
    ///   - vector: 16 bytes, or nil for random ones, which is the only safe choice outside tests.
    /// - Throws: `.cryptography`; `output` is as it was.
    /// - Complexity: `Fernet.tokenCount(forPlaintext:)` bytes are appended; neither piece is copied.
    package func seal(
        _ header: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, timeSeconds: UInt64, vector: [UInt8]? = nil,
        into output: inout [UInt8]
    ) throws(EncryptionError) {
        let size = Fernet.tokenCount(forPlaintext: header.count + payload.count)
        try output.append(addingCapacity: size) { span throws(EncryptionError) in
            try span.withUnsafeMutableBufferPointer { buffer, count throws(EncryptionError) in
                let token = UnsafeMutableRawBufferPointer(buffer)
                try Fernet.writeHead(timeSeconds: timeSeconds, vector: vector, into: token)
                try self.encryptor.start(vector: UnsafeRawBufferPointer(rebasing: token[Fernet.vectorOffset..<Fernet.headCount]))
                var filled = Fernet.headCount
                // Both pieces and the padding fill the token up to its tag exactly.
                filled += try self.encryptor.update(header, into: UnsafeMutableRawBufferPointer(rebasing: token[filled...]))
                filled += try self.encryptor.update(payload, into: UnsafeMutableRawBufferPointer(rebasing: token[filled...]))
                filled += try self.encryptor.finish(into: UnsafeMutableRawBufferPointer(rebasing: token[filled...]))
                try self.authenticator.start(self.key)
                try self.authenticator.update(UnsafeRawBufferPointer(rebasing: token[..<filled]))
                try self.authenticator.finish(into: UnsafeMutableRawBufferPointer(rebasing: token[filled...]))
                count = size
            }
        }
    }

    /// As above, with a plaintext in one piece.
    package func seal(
        _ plaintext: [UInt8], timeSeconds: UInt64, vector: [UInt8]? = nil, into output: inout [UInt8]
    ) throws(EncryptionError) {
        try plaintext.withBytes { bytes throws(EncryptionError) in
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            try seal(none, bytes, timeSeconds: timeSeconds, vector: vector, into: &output)
        }
    }

    /// Replaces `plaintext` with what `token` holds.
    ///
    /// - Returns: When the token was made, in seconds since 1970.
    /// - Throws: `.malformed` for what has not the shape of a token, `.authentication` for what was not made with this key
    ///   or was changed since; `plaintext` is empty.
    @discardableResult
    package func open(_ token: UnsafeRawBufferPointer, into plaintext: inout [UInt8]) throws(EncryptionError) -> UInt64 {
        plaintext.removeAll(keepingCapacity: true)
        let ciphertext = try authenticated(token)
        plaintext.reserveCapacity(ciphertext.count)
        try plaintext.append(addingCapacity: ciphertext.count) { span throws(EncryptionError) in
            try span.withUnsafeMutableBufferPointer { buffer, count throws(EncryptionError) in
                // The plaintext is shorter than the ciphertext, for at least one byte of it is padding.
                let room = UnsafeMutableRawBufferPointer(buffer)
                let filled = try self.decryptor.update(ciphertext, into: room)
                let last = try self.decryptor.finish(into: UnsafeMutableRawBufferPointer(rebasing: room[filled...]))
                count = filled + last
            }
        }
        return Fernet.readTime(token)
    }

    /// Whether `token` opens to `header` and `payload`, one after the other: decrypted piece by piece, and kept nowhere.
    ///
    /// - Throws: As `open`.
    package func opens(
        _ token: UnsafeRawBufferPointer, to header: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer
    ) throws(EncryptionError) -> Bool {
        let ciphertext = try authenticated(token)
        let room = ByteRoom(FernetCipher.pieceCount + BlockCipher.blockCount)
        var opened = 0
        var isSame = true
        func compare(_ plaintext: UnsafeMutableRawBufferPointer.SubSequence) {
            for (expected, start) in [(header, 0), (payload, header.count)] {
                let part = (start..<start + expected.count).clamped(to: opened..<opened + plaintext.count)
                if part.isEmpty { continue }
                let left = UnsafeRawBufferPointer(rebasing: expected[part.lowerBound - start..<part.upperBound - start])
                let right = UnsafeRawBufferPointer(rebasing: plaintext[part.lowerBound - opened..<part.upperBound - opened])
                if !areEqual(left, right) { isSame = false }
            }
            opened += plaintext.count
        }
        var place = 0
        while place < ciphertext.count {
            let end = min(place + FernetCipher.pieceCount, ciphertext.count)
            let count = try decryptor.update(UnsafeRawBufferPointer(rebasing: ciphertext[place..<end]), into: room.bytes)
            compare(room.bytes[..<count])
            place = end
        }
        let count = try decryptor.finish(into: room.bytes)
        compare(room.bytes[..<count])
        return isSame && opened == header.count + payload.count
    }

    /// The ciphertext of a token that this key made; the decryptor is at its start.
    private func authenticated(_ token: UnsafeRawBufferPointer) throws(EncryptionError) -> UnsafeRawBufferPointer {
        guard Fernet.hasShape(token) else { throw EncryptionError(.malformed, "not a Fernet token") }
        let end = token.count - MessageAuthenticator.tagCount
        try authenticator.start(key)
        try authenticator.update(UnsafeRawBufferPointer(rebasing: token[..<end]))
        guard try authenticator.finish(matches: UnsafeRawBufferPointer(rebasing: token[end...])) else {
            throw EncryptionError(.authentication, "the token was not made with this key, or is damaged")
        }
        try decryptor.start(vector: UnsafeRawBufferPointer(rebasing: token[Fernet.vectorOffset..<Fernet.headCount]))
        return UnsafeRawBufferPointer(rebasing: token[Fernet.headCount..<end])
    }
}
