// The key of everything: 16 bytes that sign, then 16 that encrypt.
// Kept in memory that is not swapped out and is wiped at its end; it leaves as text only for the key file and its owner.
// Source: the Fernet specification, "Key Format".

internal import COpenSSL
internal import Kernel

package final class SecretKey: Sendable {
    package static let byteCount = 16 + 16
    /// base64url of 32 bytes, with its one padding character.
    package static let textCount = 44

    private let memory: LockedMemory

    /// Takes what `fill` writes to 32 zero bytes.
    init(_ fill: (UnsafeMutableRawBufferPointer) throws(EncryptionError) -> Void) throws(EncryptionError) {
        memory = try LockedMemory(byteCount: SecretKey.byteCount, fill)
    }

    /// A new key from the system's randomness.
    ///
    /// - Throws: `.cryptography`.
    package static func generate() throws(EncryptionError) -> SecretKey {
        try SecretKey { room throws(EncryptionError) in try RandomBytes.fill(room) }
    }

    /// Takes the 44 characters of a Fernet key; one line end may follow. Nil for anything else.
    package convenience init?(text: UnsafeRawBufferPointer) {
        var text = text
        if text.last == UInt8(ascii: "\n") { text = UnsafeRawBufferPointer(rebasing: text.dropLast()) }
        if text.last == UInt8(ascii: "\r") { text = UnsafeRawBufferPointer(rebasing: text.dropLast()) }
        guard text.count == SecretKey.textCount, text.last == UInt8(ascii: "=") else { return nil }
        do {
            try self.init { room throws(EncryptionError) in
                // 44 characters with one padding are 32 bytes.
                guard Base64URL.decode(text, into: room) == SecretKey.byteCount else {
                    throw EncryptionError(.malformed, "not a Fernet key")
                }
            }
        } catch {
            return nil
        }
    }

    package convenience init?(text: [UInt8]) {
        guard let key = text.withUnsafeBytes({ SecretKey(text: $0) }) else { return nil }
        self.init(sharing: key)
    }

    package convenience init?(text: String) {
        self.init(text: Array(text.utf8))
    }

    private init(sharing key: SecretKey) {
        memory = key.memory
    }

    /// The 44 characters, for the key file and for display. The caller wipes them.
    package var textBytes: [UInt8] { memory.withUnsafeBytes { Base64URL.encode($0) } }

    /// The 44 characters as a `String`, which cannot be wiped: only for what is shown to its owner.
    package var text: String { String(decoding: textBytes, as: UTF8.self) }

    /// All 32 bytes, valid during the call.
    func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try memory.withUnsafeBytes(body)
    }
}

extension SecretKey: Equatable {
    /// In a time that does not depend on the keys.
    package static func == (left: SecretKey, right: SecretKey) -> Bool {
        left.memory.withUnsafeBytes { a in
            right.memory.withUnsafeBytes { b in CRYPTO_memcmp(a.baseAddress, b.baseAddress, byteCount) == 0 }
        }
    }
}

extension SecretKey: CustomStringConvertible {
    /// Says nothing of the key, so that no log does.
    package var description: String { "secret key" }
}
