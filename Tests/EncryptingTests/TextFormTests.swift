import Encrypting
import Testing

struct Base64URLTests {
    // RFC 4648, "Test Vectors", and one value with both characters that differ from plain base64.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"), ("??>", "Pz8-"), ("???", "Pz8_"),
    ])
    func vectors(plain: String, text: String) {
        #expect(String(decoding: Base64URL.encode(Array(plain.utf8)), as: UTF8.self) == text)
        #expect(Base64URL.decode(Array(text.utf8)) == Array(plain.utf8))
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v====", "=m9v", "Z===", "====", "Zm9v\n", "Zm9+", "Zm9/", "Zg==Zg==", "Zm 9", "Zm9é",
    ])
    func everyOtherFormIsRefused(text: String) {
        #expect(Base64URL.decode(Array(text.utf8)) == nil)
    }

    @Test func everyLengthComesBack() {
        for count in 0..<200 {
            let text = Base64URL.encode(Scratch.bytes(count))
            #expect(text.count == Base64URL.encodedCount(count))
            #expect(Base64URL.decode(text) == Scratch.bytes(count))
        }
    }
}

struct HexTests {
    @Test func everyByteComesBack() {
        let bytes = (0...255).map { UInt8($0) }
        #expect(Hex.decode(Hex.encode(bytes)) == bytes)
        #expect(Hex.encode([0x00, 0x0F, 0xA9]) == "000fa9")
        #expect(Hex.encode([]) == "" && Hex.decode("") == [])
    }

    @Test(arguments: ["0", "0g", "AB", " 0", "0x", "é"])
    func everyOtherFormIsRefused(text: String) {
        #expect(Hex.decode(text) == nil)
    }
}

struct DigestTests {
    // FIPS 180-4, examples.
    private let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    private let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    @Test func knownDigests() {
        #expect(SHA256.digest(of: []).hex == empty)
        #expect(SHA256.digest(of: Array("abc".utf8)).hex == abc)
    }

    @Test func piecesGiveTheDigestOfTheWhole() {
        var hasher = SHA256Hasher()
        #expect(hasher.finish().hex == empty)
        for character in "abc".utf8 { hasher.update([character]) }
        #expect(hasher.finish().hex == abc)
        let bytes = Scratch.bytes(100_000)
        for piece in [1000, 4096, 99_999] {
            for start in stride(from: 0, to: bytes.count, by: piece) {
                hasher.update(Array(bytes[start..<min(start + piece, bytes.count)]))
            }
            #expect(hasher.finish() == SHA256.digest(of: bytes))
        }
    }

    @Test func formsComeBack() throws {
        let digest = try #require(Digest(hex: abc))
        #expect(digest == SHA256.digest(of: Array("abc".utf8)))
        #expect(digest.hex == abc && "\(digest)" == abc)
        #expect(Digest(bytes: digest.bytes) == digest)
        #expect(digest.withUnsafeBytes { Digest(bytes: $0) } == digest)
        #expect(Digest(hex: abc.uppercased()) == nil && Digest(hex: abc + "00") == nil && Digest(hex: String(abc.dropLast())) == nil)
        #expect(Digest(bytes: [UInt8](repeating: 0, count: 31)) == nil)
    }

    @Test func orderIsThatOfTheTexts() {
        let digests = (0..<100).map { SHA256.digest(of: [UInt8($0)]) }
        #expect(digests.sorted().map(\.hex) == digests.map(\.hex).sorted())
        #expect(Set(digests).count == 100)
        var other = digests[0].bytes
        other[31] ^= 1
        #expect(Digest(bytes: other) != digests[0])
    }
}

struct RandomBytesTests {
    @Test func bytesAreNewEachTime() throws {
        #expect(try RandomBytes.make(0) == [])
        #expect(try RandomBytes.make(32).count == 32)
        #expect(try RandomBytes.make(32) != RandomBytes.make(32))
    }
}
