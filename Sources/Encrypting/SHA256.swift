// Bytes in, digest out. Source: FIPS 180-4, by way of OpenSSL's EVP_Digest(3).
// The algorithm is looked up once per process: a lookup per call would cost more than hashing a small file.

internal import COpenSSL

package enum SHA256 {
    // Never freed and never changed after it is fetched.
    nonisolated(unsafe) fileprivate static let algorithm: OpaquePointer = {
        guard let algorithm = EVP_MD_fetch(nil, "SHA256", nil) else { preconditionFailure("OpenSSL offers no SHA-256") }
        return algorithm
    }()

    /// The digest of `bytes`, 0 or more of them. Cost: 0.2 µs and about 0.5 ns a byte where the processor has SHA instructions.
    package static func digest(of bytes: UnsafeRawBufferPointer) -> Digest {
        Digest { room in
            // EVP_Digest writes the 32 bytes of SHA-256.
            let target = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
            precondition(EVP_Digest(bytes.baseAddress, bytes.count, target, nil, algorithm, nil) == 1, "no memory for a digest")
        }
    }

    package static func digest(of bytes: [UInt8]) -> Digest {
        bytes.withUnsafeBytes { digest(of: $0) }
    }
}

/// A digest over pieces. Kept by a loop and used again, it allocates nothing.
package struct SHA256Hasher: ~Copyable {
    private let context: OpaquePointer

    package init() {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("no memory for a digest") }
        self.context = context
        restart()
    }

    deinit {
        EVP_MD_CTX_free(context)
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "SHA-256 failed")
    }

    package mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The digest of all pieces since the beginning or the last `finish`; the next piece begins a new one.
    package mutating func finish() -> Digest {
        let context = context
        let digest = Digest { room in
            // EVP_DigestFinal_ex writes the 32 bytes of SHA-256.
            let target = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
            precondition(EVP_DigestFinal_ex(context, target, nil) == 1, "SHA-256 failed")
        }
        restart()
        return digest
    }

    private mutating func restart() {
        precondition(EVP_DigestInit_ex2(context, SHA256.algorithm, nil) == 1, "no memory for a digest")
    }
}
