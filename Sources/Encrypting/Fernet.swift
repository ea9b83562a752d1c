// The shape of a Fernet token, and tokens as text.
//
//     0x80 | time: 8 bytes, big-endian seconds since 1970 | IV: 16 | AES-128-CBC ciphertext: 16... | HMAC-SHA256: 32
//
// The HMAC covers everything before it. Source: the Fernet specification, "Token Format".

package enum Fernet {
    static let version: UInt8 = 0x80
    static let vectorOffset = 1 + 8
    /// Version, time, initialization vector.
    static let headCount = 1 + 8 + 16
    static let overhead = headCount + MessageAuthenticator.tagCount
    /// How far ahead of ours another clock may be, in seconds. Source: the specification, "Verifying".
    package static let maximumClockSkewSeconds: UInt64 = 60

    /// Bytes of the token that holds `count` bytes: the plaintext is padded by 1...16 bytes to whole blocks.
    package static func tokenCount(forPlaintext count: Int) -> Int {
        overhead + (count / BlockCipher.blockCount + 1) * BlockCipher.blockCount
    }

    /// When the token says it was made, in seconds since 1970; nil for what has not the shape of a token. Not authenticated.
    package static func timeSeconds(of token: UnsafeRawBufferPointer) -> UInt64? {
        guard hasShape(token) else { return nil }
        return readTime(token)
    }

    static func hasShape(_ token: UnsafeRawBufferPointer) -> Bool {
        token.count >= overhead + BlockCipher.blockCount && (token.count - overhead) % BlockCipher.blockCount == 0
            && token[0] == version
    }

    /// Of at least 9 bytes.
    static func readTime(_ token: UnsafeRawBufferPointer) -> UInt64 {
        UInt64(bigEndian: token.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
    }

    /// Writes the first 25 bytes of a token.
    ///
    /// - Parameter vector: 16 bytes, or nil for random ones. Only tests and vectors give them.
    static func writeHead(
        timeSeconds: UInt64, vector: [UInt8]?, into room: UnsafeMutableRawBufferPointer
    ) throws(EncryptionError) {
        precondition(room.count >= headCount)
        room[0] = version
        room.storeBytes(of: timeSeconds.bigEndian, toByteOffset: 1, as: UInt64.self)
        let place = UnsafeMutableRawBufferPointer(rebasing: room[vectorOffset..<headCount])
        if let vector {
            precondition(vector.count == place.count)
            place.copyBytes(from: vector)
        } else {
            try RandomBytes.fill(place)
        }
    }

    /// How old a token may be.
    package struct Lifetime: Hashable, Sendable {
        package var seconds: UInt64
        /// Seconds since 1970.
        package var now: UInt64

        package init(seconds: UInt64, now: UInt64) {
            self.seconds = seconds
            self.now = now
        }

        /// - Throws: `.expired` for a token made too long ago, or more than 60 s from now.
        func check(timeSeconds: UInt64) throws(EncryptionError) {
            let (end, endless) = timeSeconds.addingReportingOverflow(seconds)
            if !endless, end < now { throw EncryptionError(.expired, "the token has expired") }
            let (latest, unlimited) = now.addingReportingOverflow(maximumClockSkewSeconds)
            if !unlimited, latest < timeSeconds { throw EncryptionError(.expired, "the token is from the future") }
        }
    }

    /// `plaintext` as a token in base64url.
    package static func seal(
        _ plaintext: [UInt8], key: SecretKey, timeSeconds: UInt64, vector: [UInt8]? = nil
    ) throws(EncryptionError) -> String {
        var token: [UInt8] = []
        try FernetCipher(key: key).seal(plaintext, timeSeconds: timeSeconds, vector: vector, into: &token)
        return String(decoding: Base64URL.encode(token), as: UTF8.self)
    }

    /// The plaintext of a token in base64url.
    ///
    /// - Throws: `.malformed`, `.authentication`, `.expired`.
    package static func open(
        _ text: String, key: SecretKey, lifetime: Lifetime? = nil
    ) throws(EncryptionError) -> [UInt8] {
        guard let token = Base64URL.decode(Array(text.utf8)) else { throw EncryptionError(.malformed, "the token is not base64url") }
        var plaintext: [UInt8] = []
        let cipher = try FernetCipher(key: key)
        let timeSeconds = try token.withBytes { token throws(EncryptionError) in try cipher.open(token, into: &plaintext) }
        do throws(EncryptionError) {
            try lifetime?.check(timeSeconds: timeSeconds)
        } catch {
            plaintext.wipe()
            throw error
        }
        return plaintext
    }
}
