import Encrypting
import Kernel
import Testing

struct FernetCipherTests {
    @Test func plaintextOfEveryLengthComesBack() throws {
        let cipher = try FernetCipher(key: Scratch.key())
        for count in [0, 1, 15, 16, 17, 31, 32, 33, 1000, 65_535, 65_536] {
            var token: [UInt8] = []
            try cipher.seal(Scratch.bytes(count), timeSeconds: 5, into: &token)
            #expect(token.count == Fernet.tokenCount(forPlaintext: count))
            #expect(try cipher.open(token) == Scratch.bytes(count))
        }
    }

    /// Where the plaintext is cut into header and payload does not show in the token.
    @Test func bothPiecesAreOnePlaintext() throws {
        let cipher = try FernetCipher(key: Scratch.key())
        let plaintext = Scratch.bytes(100)
        var whole: [UInt8] = []
        try cipher.seal(plaintext, timeSeconds: 9, vector: Scratch.bytes(16), into: &whole)
        for cut in 0...plaintext.count {
            var token: [UInt8] = [0xAA]
            try plaintext.withUnsafeBytes { bytes in
                try cipher.seal(
                    UnsafeRawBufferPointer(rebasing: bytes[..<cut]), UnsafeRawBufferPointer(rebasing: bytes[cut...]),
                    timeSeconds: 9, vector: Scratch.bytes(16), into: &token)
            }
            #expect(token == [0xAA] + whole)
        }
    }

    /// Lengths around the pieces in which it is decrypted, and around the border of header and payload.
    @Test(arguments: [0, 1, 16, 40, 65_519, 65_520, 65_536, 65_537, 200_000])
    func aTokenOpensToWhatItHoldsAndToNothingElse(_ count: Int) throws {
        let cipher = try FernetCipher(key: Scratch.key())
        let header = Scratch.bytes(32)
        let payload = Scratch.bytes(count)
        var token: [UInt8] = []
        try cipher.seal(header + payload, timeSeconds: 9, into: &token)
        func opens(to header: [UInt8], _ payload: [UInt8]) throws -> Bool {
            try token.withUnsafeBytes { token in
                try header.withUnsafeBytes { header in try payload.withUnsafeBytes { try cipher.opens(token, to: header, $0) } }
            }
        }
        #expect(try opens(to: header, payload))
        #expect(try opens(to: [], header + payload))
        #expect(try opens(to: header + payload, []))
        #expect(try !opens(to: header, payload + [0]))
        #expect(try !opens(to: Array(header.dropLast()), payload))
        for index in Set([0, 15, 16, 31, 32, 33, 65_503, 65_504, 65_535, 65_536, 65_568, count + 31]) where index < count + 32 {
            var other = header + payload
            other[index] ^= 1
            #expect(try !opens(to: Array(other[..<32]), Array(other[32...])), "byte \(index)")
        }
        token[token.count - 1] ^= 1
        #expect(Scratch.code { _ = try opens(to: header, payload) } == .authentication)
    }

    @Test func timeIsInTheToken() throws {
        let cipher = try FernetCipher(key: Scratch.key())
        var token: [UInt8] = []
        try cipher.seal([1], timeSeconds: 0x0102_0304_0506_0708, into: &token)
        #expect(Array(token[..<9]) == [0x80, 1, 2, 3, 4, 5, 6, 7, 8])
        var plaintext: [UInt8] = []
        #expect(try token.withUnsafeBytes { try cipher.open($0, into: &plaintext) } == 0x0102_0304_0506_0708)
        #expect(token.withUnsafeBytes { Fernet.timeSeconds(of: $0) } == 0x0102_0304_0506_0708)
    }

    @Test func sealingTwiceGivesTwoTokens() throws {
        let cipher = try FernetCipher(key: Scratch.key())
        var first: [UInt8] = []
        var second: [UInt8] = []
        try cipher.seal([1, 2, 3], timeSeconds: 5, into: &first)
        try cipher.seal([1, 2, 3], timeSeconds: 5, into: &second)
        #expect(first != second)
    }

    @Test func everyDamagedBitIsFound() throws {
        let cipher = try FernetCipher(key: Scratch.key())
        var token: [UInt8] = []
        try cipher.seal(Scratch.bytes(40), timeSeconds: 5, into: &token)
        for index in token.indices {
            for bit in 0..<8 {
                var damaged = token
                damaged[index] ^= 1 << UInt8(bit)
                let code = Scratch.code { _ = try cipher.open(damaged) }
                #expect(code == (index == 0 ? .malformed : .authentication), "byte \(index), bit \(bit)")
            }
        }
        // The contexts are as good as new after all that.
        #expect(try cipher.open(token) == Scratch.bytes(40))
    }

    @Test func everyOtherLengthIsRefused() throws {
        let cipher = try FernetCipher(key: Scratch.key())
        var token: [UInt8] = []
        try cipher.seal(Scratch.bytes(40), timeSeconds: 5, into: &token)
        for count in 0..<token.count { #expect(Scratch.code { _ = try cipher.open(Array(token[..<count])) } != nil) }
        for count in 1...32 { #expect(Scratch.code { _ = try cipher.open(token + [UInt8](repeating: 0, count: count)) } != nil) }
    }

    @Test func anotherKeyDoesNotOpenIt() throws {
        var token: [UInt8] = []
        try FernetCipher(key: Scratch.key()).seal([1, 2, 3], timeSeconds: 5, into: &token)
        let other = try FernetCipher(key: SecretKey.generate())
        #expect(Scratch.code { _ = try other.open(token) } == .authentication)
    }

    @Test func pythonOpensOurTokensAndWeOpenIts() throws {
        let scratch = try ScratchDirectory()
        let key = try SecretKey.generate()
        let cipher = try FernetCipher(key: key)
        let plaintext = Scratch.bytes(100_000)
        var token: [UInt8] = []
        try cipher.seal(plaintext, timeSeconds: UInt64(Timestamp.now().seconds), into: &token)
        try scratch.file("token").replaceFile(with: token, mode: 0o600)
        try scratch.file("plain").replaceFile(with: plaintext, mode: 0o600)
        try KeyFile.write(key, to: scratch.file("key"))
        #expect(try scratch.python("""
            import base64
            from cryptography.fernet import Fernet
            f = Fernet(open('key').read().strip())
            assert f.decrypt(base64.urlsafe_b64encode(open('token', 'rb').read()), ttl=600) == open('plain', 'rb').read()
            open('theirs', 'wb').write(base64.urlsafe_b64decode(f.encrypt(open('plain', 'rb').read())))
            """) == 0)
        #expect(try cipher.open(scratch.file("theirs").readFile()) == plaintext)
    }
}
