// Keys, content and directories of the tests.

import Encrypting
import Foundation
import Kernel

enum Scratch {
    static let keyText = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="

    static func key() throws -> SecretKey {
        guard let key = SecretKey(text: keyText) else { throw EncryptionError(.malformed, "the test's own key") }
        return key
    }

    /// Bytes without a pattern that a cipher's block size could hide.
    static func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    /// The code of the error that `body` throws; nil when it throws none.
    static func code(_ body: () throws -> Void) -> EncryptionError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? EncryptionError)?.code
        }
    }
}

extension FernetCipher {
    func open(_ token: [UInt8]) throws -> [UInt8] {
        var plaintext: [UInt8] = [1, 2, 3]
        do {
            try token.withUnsafeBytes { _ = try open($0, into: &plaintext) }
        } catch {
            if !plaintext.isEmpty { throw EncryptionError(.cryptography, "plaintext was left behind") }
            throw error
        }
        return plaintext
    }
}

/// A directory that lives as long as this.
struct ScratchDirectory: ~Copyable {
    let path: Path

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("encrypting-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = Path(url.path) ?? .root
    }

    deinit { try? FileManager.default.removeItem(atPath: path.text) }

    func file(_ name: String) -> Path { path.appending(Array(name.utf8)) }

    /// Runs a Python script in this directory and gives its exit status.
    func python(_ script: String) throws -> Int32 {
        try file("script.py").replaceFile(with: Array("import os\nos.chdir('\(path.text)')\n\(script)\n".utf8), mode: 0o600)
        return try ProcessIdentity.run("python3", [file("script.py").text])
    }
}
