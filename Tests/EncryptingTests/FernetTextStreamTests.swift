import Encrypting
import Kernel
import Testing

struct FernetTextStreamTests {
    private func write(_ plaintext: [UInt8], pieces size: Int, vector: [UInt8]? = nil) throws -> [UInt8] {
        var text: [UInt8] = []
        var writer = try FernetTextWriter(key: Scratch.key(), timeSeconds: 77, vector: vector)
        try plaintext.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let end = min(start + size, bytes.count)
                try writer.write(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) { text.append(contentsOf: $0) }
                start = end
            }
        }
        try writer.finish { text.append(contentsOf: $0) }
        return text
    }

    /// Gives `text` in pieces of up to `size`.
    private struct TextSource {
        let text: [UInt8]
        let size: Int
        var position = 0

        init(_ text: [UInt8], _ size: Int = 10_000) {
            self.text = text
            self.size = size
        }

        mutating func read(into room: UnsafeMutableRawBufferPointer) -> Int {
            let count = min(size, room.count, text.count - position)
            room.copyBytes(from: text[position..<(position + count)])
            position += count
            return count
        }
    }

    private func read(_ text: [UInt8], size: Int = 10_000, second: [UInt8]? = nil) throws -> [UInt8] {
        var first = TextSource(text, size)
        let reader = try FernetTextReader(key: Scratch.key()) { first.read(into: $0) }
        #expect(reader.timeSeconds == 77)
        var again = TextSource(second ?? text, size)
        var plaintext: [UInt8] = []
        do {
            try reader.decrypt(reading: { again.read(into: $0) }) { plaintext.append(contentsOf: $0) }
        } catch {
            // What came out before a change was noticed is what was sealed.
            #expect(plaintext == Array(Scratch.bytes(3_000_000)[..<plaintext.count]))
            throw error
        }
        return plaintext
    }

    // The text has pieces of 1 MiB, 786,432 bytes of token: its head takes 25 and its tag 32 of them.
    @Test(arguments: [0, 1, 15, 16, 17, 49_152, 786_359, 786_360, 786_375, 786_376, 786_391, 1_700_000])
    func contentOfEveryLengthComesBack(count: Int) throws {
        let plaintext = Scratch.bytes(count)
        let text = try write(plaintext, pieces: 50_000)
        #expect(text.count == Base64URL.encodedCount(Fernet.tokenCount(forPlaintext: count)))
        #expect(try read(text) == plaintext)
        #expect(try read(text + Array((count % 2 == 0 ? "\n" : "\r\n").utf8)) == plaintext)
    }

    @Test func theTextIsThatOfAWholeToken() throws {
        let plaintext = Scratch.bytes(3000)
        let whole = try Fernet.seal(plaintext, key: Scratch.key(), timeSeconds: 77, vector: Scratch.bytes(16))
        for size in [1, 2, 3, 16, 100, 3000] {
            #expect(try write(plaintext, pieces: size, vector: Scratch.bytes(16)) == Array(whole.utf8))
        }
        for size in [1, 2, 3, 1000] { #expect(try read(Array(whole.utf8), size: size) == plaintext) }
    }

    @Test func everyDamagedCharacterIsFoundInTheFirstPass() throws {
        let text = try write(Scratch.bytes(20), pieces: 20)
        for index in text.indices {
            for character in ["A", "_", "=", "\n"] where text[index] != UInt8(ascii: character.unicodeScalars.first ?? "A") {
                var damaged = text
                damaged[index] = character.utf8.first ?? 0
                var source = TextSource(damaged)
                let code = Scratch.code { _ = try FernetTextReader(key: Scratch.key()) { source.read(into: $0) } }
                #expect(code != nil, "\(index) \(character)")
            }
        }
        for count in 0..<text.count {
            var source = TextSource(Array(text[..<count]))
            #expect(Scratch.code { _ = try FernetTextReader(key: Scratch.key()) { source.read(into: $0) } } != nil)
        }
        for rest in ["\n\n", " ", "A", "AAAA", "\nA"] {
            var source = TextSource(text + Array(rest.utf8))
            #expect(Scratch.code { _ = try FernetTextReader(key: Scratch.key()) { source.read(into: $0) } } != nil)
        }
    }

    @Test func nothingOfAChangedSourceIsDecrypted() throws {
        let text = try write(Scratch.bytes(1_700_000), pieces: 100_000)
        for index in [0, 1_000_000, 1 << 20, text.count - 10] {
            var changed = text
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(Scratch.code { _ = try read(text, second: changed) } == .authentication)
        }
        #expect(Scratch.code { _ = try read(text, second: Array(text[..<(1 << 20)])) } == .authentication)
        #expect(Scratch.code { _ = try read(text, second: []) } == .authentication)
        #expect(Scratch.code { _ = try read(text, second: text + text) } != nil)
    }

    @Test func anotherKeyDoesNotOpenIt() throws {
        var source = TextSource(try write([1, 2, 3], pieces: 3))
        #expect(Scratch.code { _ = try FernetTextReader(key: SecretKey.generate()) { source.read(into: $0) } } == .authentication)
    }

    private struct SourceFailed: Error {}

    @Test func errorsOfSourceAndSinkArePassedOn() throws {
        #expect(throws: SourceFailed.self) { _ = try FernetTextReader(key: Scratch.key()) { _ in throw SourceFailed() } }
        var writer = try FernetTextWriter(key: Scratch.key(), timeSeconds: 0)
        #expect(throws: SourceFailed.self) { try writer.finish { _ in throw SourceFailed() } }
        #expect(Scratch.code { try writer.finish { _ in } } == .misuse)
        var other = try FernetTextWriter(key: Scratch.key(), timeSeconds: 0)
        let piece = Scratch.bytes(49_152)
        #expect(throws: SourceFailed.self) { try piece.withUnsafeBytes { try other.write($0) { _ in throw SourceFailed() } } }
        #expect(Scratch.code { try piece.withUnsafeBytes { try other.write($0) { _ in } } } == .misuse)
    }

    @Test func pythonOpensOurTextAndWeOpenIts() throws {
        let scratch = try ScratchDirectory()
        let plaintext = Scratch.bytes(1_000_000)
        try scratch.file("ours").replaceFile(with: write(plaintext, pieces: 77_777), mode: 0o600)
        try scratch.file("plain").replaceFile(with: plaintext, mode: 0o600)
        #expect(try scratch.python("""
            from cryptography.fernet import Fernet
            f = Fernet('\(Scratch.keyText)')
            assert f.decrypt(open('ours', 'rb').read()) == open('plain', 'rb').read()
            open('theirs', 'wb').write(f.encrypt_at_time(open('plain', 'rb').read(), 77))
            """) == 0)
        #expect(try read(scratch.file("theirs").readFile()) == plaintext)
    }
}
