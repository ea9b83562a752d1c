// A passphrase becomes a key, slowly on purpose. Source: RFC 7914 (scrypt), by way of OpenSSL's EVP_PBE_scrypt(3).

internal import COpenSSL

/// What one derivation costs: 128 · n · r bytes of memory, and as much work p times.
package struct DerivationCost: Hashable, Sendable {
    /// A power of two, 2...
    package var n: Int
    /// 1...
    package var r: Int
    /// 1...16
    package var p: Int

    /// 128 MiB and about half a second.
    package static let standard = DerivationCost(n: 1 << 17, r: 8, p: 1)

    /// Whoever can change a repository can ask for any cost: no more memory than this is used.
    package static let memoryLimit = 1 << 30

    package init(n: Int, r: Int, p: Int) {
        self.n = n
        self.r = r
        self.p = p
    }

    /// Bytes of memory; nil for values that scrypt does not have or that need more than the limit.
    package var memory: Int? {
        guard n >= 2, n & (n - 1) == 0, r >= 1, (1...16).contains(p) else { return nil }
        let (block, tooLarge) = r.multipliedReportingOverflow(by: 128)
        let (total, overflow) = block.multipliedReportingOverflow(by: n)
        // n is 2 or more, so that 16 blocks are at most 8 GiB: no overflow.
        if tooLarge || overflow || total > DerivationCost.memoryLimit { return nil }
        let all = total + block * p
        return all > DerivationCost.memoryLimit + (1 << 20) ? nil : all
    }

    /// The key that belongs to `passphrase` and `salt`.
    ///
    /// - Throws: `.refused` for parameters outside their range or above the limit, `.cryptography` without memory.
    func deriveKey(passphrase: [UInt8], salt: [UInt8]) throws(EncryptionError) -> SecretKey {
        guard let memory else {
            throw EncryptionError(.refused, "scrypt with n \(n), r \(r), p \(p) is not valid or needs more than 1 GiB of memory")
        }
        // OpenSSL counts a few blocks more than these.
        let limit = UInt64(memory) + (1 << 20)
        return try SecretKey { room throws(EncryptionError) in
            let done = passphrase.withBytes { passphrase in
                EVP_PBE_scrypt(
                    passphrase.baseAddress?.assumingMemoryBound(to: CChar.self), passphrase.count, salt, salt.count,
                    UInt64(n), UInt64(r), UInt64(p), limit, room.baseAddress?.assumingMemoryBound(to: UInt8.self), room.count)
            }
            if done != 1 { throw .openSSL("scrypt") }
        }
    }
}
