// The vectors of the Fernet specification: Vectors/generate.json, verify.json, invalid.json.

import Encrypting
import Foundation
import Testing

struct FernetVectorTests {
    private struct Vector: Decodable {
        var desc: String?
        var token: String
        var now: String
        var ttl_sec: UInt64?
        var iv: [UInt8]?
        var src: String?
        var secret: String

        func key() throws -> SecretKey { try #require(SecretKey(text: secret)) }

        func nowSeconds() throws -> UInt64 {
            let date = try #require(ISO8601DateFormatter().date(from: now))
            return UInt64(date.timeIntervalSince1970)
        }

        func lifetime() throws -> Fernet.Lifetime { Fernet.Lifetime(seconds: try #require(ttl_sec), now: try nowSeconds()) }
    }

    private func vectors(_ name: String) throws -> [Vector] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Vectors")
        let vectors = try JSONDecoder().decode([Vector].self, from: Data(contentsOf: folder.appendingPathComponent(name)))
        #expect(!vectors.isEmpty)
        return vectors
    }

    @Test func generate() throws {
        for vector in try vectors("generate.json") {
            let token = try Fernet.seal(
                Array(try #require(vector.src).utf8), key: vector.key(), timeSeconds: vector.nowSeconds(), vector: vector.iv)
            #expect(token == vector.token)
        }
    }

    @Test func verify() throws {
        for vector in try vectors("verify.json") {
            let plaintext = try Fernet.open(vector.token, key: vector.key(), lifetime: vector.lifetime())
            #expect(String(decoding: plaintext, as: UTF8.self) == vector.src)
        }
    }

    @Test func invalid() throws {
        let codes: [String: EncryptionError.Code] = [
            "incorrect mac": .authentication,
            "too short": .malformed,
            "invalid base64": .malformed,
            "payload size not multiple of block size": .malformed,
            "payload padding error": .malformed,
            "far-future TS (unacceptable clock skew)": .expired,
            "expired TTL": .expired,
            "incorrect IV (causes padding error)": .malformed,
        ]
        for vector in try vectors("invalid.json") {
            let description = try #require(vector.desc)
            let code = Scratch.code { _ = try Fernet.open(vector.token, key: vector.key(), lifetime: vector.lifetime()) }
            #expect(code == codes[description], "\(description)")
            #expect(code != nil, "\(description)")
        }
    }

    @Test func aLifetimeEndsToTheSecond() throws {
        let key = try Scratch.key()
        let token = try Fernet.seal([7], key: key, timeSeconds: 1000)
        func code(_ seconds: UInt64, now: UInt64) -> EncryptionError.Code? {
            Scratch.code { _ = try Fernet.open(token, key: key, lifetime: Fernet.Lifetime(seconds: seconds, now: now)) }
        }
        #expect(code(60, now: 1060) == nil)
        #expect(code(60, now: 1061) == .expired)
        #expect(code(60, now: 940) == nil)
        #expect(code(60, now: 939) == .expired)
        #expect(code(.max, now: .max) == nil)
        #expect(try Fernet.open(token, key: key) == [7])
    }
}
