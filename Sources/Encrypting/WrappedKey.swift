// A secret key as a token under another one: who has the newer key has the older one too.
// In: two keys.  Out: a Fernet token, safe to show to anyone who has neither.
// Its plaintext is the wrapped key's 44 characters: other programs can open it. Source: RepositoryFormat, "Keys".

package enum WrappedKey {
    /// `key` as a token in base64url that `newest` opens.
    ///
    /// - Throws: `.cryptography`.
    package static func seal(
        _ key: SecretKey, under newest: SecretKey, timeSeconds: UInt64
    ) throws(EncryptionError) -> String {
        var text = key.textBytes
        defer { text.wipe() }
        return try Fernet.seal(text, key: newest, timeSeconds: timeSeconds)
    }

    /// The key in a token.
    ///
    /// - Throws: `.authentication` when the token was not made with `newest`; `.malformed` when it holds no key; `.cryptography`.
    package static func open(_ token: String, with newest: SecretKey) throws(EncryptionError) -> SecretKey {
        var text = try Fernet.open(token, key: newest)
        defer { text.wipe() }
        guard let key = SecretKey(text: text) else { throw EncryptionError(.malformed, "the token holds no key") }
        return key
    }
}
