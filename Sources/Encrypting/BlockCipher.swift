// AES-128-CBC with PKCS #7 padding, over pieces, with one context for many messages. Source: OpenSSL's EVP_CIPHER(3).
// Nothing is decrypted with it that was not authenticated before.

internal import COpenSSL

struct BlockCipher: ~Copyable {
    enum Direction: Int32 {
        case decrypting = 0
        case encrypting = 1
    }

    static let blockCount = 16

    private let context: OpaquePointer

    /// Takes the second half of `key`.
    init(_ direction: Direction, key: SecretKey) throws(EncryptionError) {
        guard let algorithm = EVP_CIPHER_fetch(nil, "AES-128-CBC", nil) else { throw .openSSL("looking up AES-128-CBC") }
        // The context holds a reference of its own.
        defer { EVP_CIPHER_free(algorithm) }
        guard let context = EVP_CIPHER_CTX_new() else { throw .openSSL("preparing AES-128-CBC") }
        let done = key.withUnsafeBytes { bytes in
            // The encryption key is the last 16 of the 32 bytes.
            let encryptionKey = bytes.baseAddress?.advanced(by: 16).assumingMemoryBound(to: UInt8.self)
            return EVP_CipherInit_ex2(context, algorithm, encryptionKey, nil, direction.rawValue, nil)
        }
        guard done == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw .openSSL("preparing AES-128-CBC")
        }
        self.context = context
    }

    deinit {
        EVP_CIPHER_CTX_free(context)
    }

    /// Begins a message. `vector` is 16 bytes.
    mutating func start(vector: UnsafeRawBufferPointer) throws(EncryptionError) {
        precondition(vector.count == BlockCipher.blockCount)
        let start = vector.baseAddress?.assumingMemoryBound(to: UInt8.self)
        // -1 keeps the direction, nil the key.
        if EVP_CipherInit_ex2(context, nil, nil, start, -1, nil) != 1 { throw .openSSL("starting AES-128-CBC") }
    }

    /// Writes the blocks that `input` completes to the start of `room`, which has place for `input.count` rounded up to blocks.
    mutating func update(
        _ input: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
    ) throws(EncryptionError) -> Int {
        // Up to 15 bytes from before may complete one more block than `input` alone; OpenSSL does not check.
        precondition(room.count >= (input.count + 15) / 16 * 16)
        var read = 0
        var written = 0
        while read < input.count {
            // OpenSSL counts in 32 bits.
            let count = min(input.count - read, 1 << 30)
            var done: Int32 = 0
            let target = room.baseAddress?.advanced(by: written).assumingMemoryBound(to: UInt8.self)
            let source = input.baseAddress?.advanced(by: read).assumingMemoryBound(to: UInt8.self)
            if EVP_CipherUpdate(context, target, &done, source, Int32(count)) != 1 { throw .openSSL("AES-128-CBC") }
            read += count
            written += Int(done)
        }
        return written
    }

    /// Writes the last block to the start of `room`: 16 bytes with the padding, or 0...15 without it.
    ///
    /// - Throws: `.malformed` when the decrypted padding is wrong.
    mutating func finish(into room: UnsafeMutableRawBufferPointer) throws(EncryptionError) -> Int {
        precondition(room.count >= BlockCipher.blockCount)
        var done: Int32 = 0
        if EVP_CipherFinal_ex(context, room.baseAddress?.assumingMemoryBound(to: UInt8.self), &done) != 1 {
            ERR_clear_error()
            throw EncryptionError(.malformed, "the padding of the token is wrong")
        }
        return Int(done)
    }
}
