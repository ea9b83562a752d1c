// HMAC-SHA256 over pieces, with one context for many messages. Source: RFC 2104, by way of OpenSSL's EVP_MAC(3).

internal import COpenSSL

struct MessageAuthenticator: ~Copyable {
    static let tagCount = 32

    private let context: OpaquePointer

    init() throws(EncryptionError) {
        guard let algorithm = EVP_MAC_fetch(nil, "HMAC", nil) else { throw .openSSL("looking up HMAC") }
        // The context holds a reference of its own.
        defer { EVP_MAC_free(algorithm) }
        guard let context = EVP_MAC_CTX_new(algorithm) else { throw .openSSL("preparing HMAC") }
        // A parameter keeps the pointers to its key and its value: both must live until it was used.
        let key = Array(OSSL_MAC_PARAM_DIGEST.utf8CString)
        var name = Array("SHA256".utf8CString)
        let done = key.withUnsafeBufferPointer { key in
            name.withUnsafeMutableBufferPointer { name in
                let parameters = [OSSL_PARAM_construct_utf8_string(key.baseAddress, name.baseAddress, 0), OSSL_PARAM_construct_end()]
                return EVP_MAC_CTX_set_params(context, parameters)
            }
        }
        guard done == 1 else {
            EVP_MAC_CTX_free(context)
            throw .openSSL("preparing HMAC-SHA256")
        }
        self.context = context
    }

    deinit {
        EVP_MAC_CTX_free(context)
    }

    /// Begins a message, signed with the first half of `key`.
    mutating func start(_ key: SecretKey) throws(EncryptionError) {
        let context = context
        let done = key.withUnsafeBytes { bytes in
            // The signing key is the first 16 of the 32 bytes.
            EVP_MAC_init(context, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), 16, nil)
        }
        if done != 1 { throw .openSSL("starting HMAC-SHA256") }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) throws(EncryptionError) {
        if bytes.isEmpty { return }
        if EVP_MAC_update(context, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count) != 1 {
            throw .openSSL("computing HMAC-SHA256")
        }
    }

    /// Writes the 32 bytes of the tag to the start of `room`.
    mutating func finish(into room: UnsafeMutableRawBufferPointer) throws(EncryptionError) {
        var count = 0
        if EVP_MAC_final(context, room.baseAddress?.assumingMemoryBound(to: UInt8.self), &count, room.count) != 1 || count != 32 {
            throw .openSSL("finishing HMAC-SHA256")
        }
    }

    /// Ends the message: true when its tag is `tag`, found in a time that does not depend on where they differ.
    mutating func finish(matches tag: UnsafeRawBufferPointer) throws(EncryptionError) -> Bool {
        guard tag.count == MessageAuthenticator.tagCount else { return false }
        return try withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { own throws(EncryptionError) in
            try finish(into: own)
            return CRYPTO_memcmp(own.baseAddress, tag.baseAddress, 32) == 0
        }
    }
}
