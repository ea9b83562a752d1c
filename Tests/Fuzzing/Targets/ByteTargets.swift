// Tokens, keys, compressed payloads, names of archives, repository.json.

import Archiving
import Compressing
import Encrypting
import Kernel
import Storing

/// The input as the text of a token, and as the plaintext of one.
@Sendable func readFernet(_ input: UnsafeRawBufferPointer) throws {
    let bytes = Array(input)
    do throws(EncryptionError) {
        _ = try Fernet.open(String(decoding: bytes, as: UTF8.self), key: vectorKey)
    } catch {
        try require(!error.reason.isEmpty, "an error says why")
    }
    let streamed = try? stream(bytes, pieces: 100)
    var plaintext: [UInt8] = []
    if let token = Base64URL.decode(bytes) {
        try require(Base64URL.encode(token) == bytes, "a text has one form")
        _ = token.withUnsafeBytes { Fernet.timeSeconds(of: $0) }
        let opened = (try? token.withUnsafeBytes { try FernetCipher(key: vectorKey).open($0, into: &plaintext) }) != nil
        try require(opened ? streamed == plaintext : streamed == nil && plaintext.isEmpty, "both readers of tokens agree")
    }
    var text: [UInt8] = []
    var writer = try FernetTextWriter(key: vectorKey, timeSeconds: 1)
    try writer.write(input) { text += $0 }
    try writer.finish { text += $0 }
    try require(try stream(text, pieces: 1 + bytes.count % 7) == bytes, "a token that is written opens to the same bytes")
}

private func stream(_ text: [UInt8], pieces: Int) throws -> [UInt8] {
    func source() -> FernetTextReader.Source {
        var position = 0
        return { room in
            let part = text[position...].prefix(min(pieces, room.count))
            room.copyBytes(from: part)
            position += part.count
            return part.count
        }
    }
    var plaintext: [UInt8] = []
    try FernetTextReader(key: vectorKey, reading: source()).decrypt(reading: source()) { plaintext += $0 }
    return plaintext
}

@Sendable func readKey(_ input: UnsafeRawBufferPointer) throws {
    if let key = SecretKey(text: input) {
        try require(key.textBytes == Array(input.prefix(SecretKey.textCount)), "a key has one form")
    }
    let key: SecretKey
    do throws(EncryptionError) {
        key = try KeyText.parse(String(decoding: input, as: UTF8.self))
    } catch {
        return try require(error.code == .malformed || error.code == .mistyped, "a key that is refused was mistyped")
    }
    try require(try KeyText.parse(KeyText.export(key)) == key, "a key that is printed is read the same")
}

/// The first three bytes say which codec and how much content is promised.
@Sendable func readCompressed(_ input: UnsafeRawBufferPointer) throws {
    var parts = InputReader(input)
    guard let codec = Codec(rawValue: parts.byte() % 3) else { return }
    let count = parts.short()
    let bytes = parts.remaining()
    var content: [UInt8] = []
    var isWhole = false
    do {
        let decompressor = try Decompressor()
        try bytes.withUnsafeBytes { try decompressor.decompress(codec, $0, expectedCount: count, into: &content) }
        isWhole = true
    } catch let error as CompressionError {
        try require(!error.reason.isEmpty && content.isEmpty, "what is refused gives no content")
    }
    try require(!isWhole || content.count == count, "the content has the length that is promised")
    guard codec == .xz else { return }
    var streamed: [UInt8] = []
    do {
        var decoder = try XZDecoder()
        let limit = Broken(description: "")
        let sink = { (piece: UnsafeRawBufferPointer) in
            streamed += piece
            // A few bytes may stand for gigabytes, and who takes them decides how many.
            if streamed.count > 1 << 20 { throw limit }
        }
        for start in stride(from: 0, to: bytes.count, by: 50) {
            try bytes[start..<min(bytes.count, start + 50)].withUnsafeBytes { try decoder.write($0, to: sink) }
        }
        try decoder.finish(to: sink)
    } catch is CompressionError {
        try require(!isWhole, "both decoders of xz agree")
    } catch is Broken {
        return
    }
    try require(!isWhole || streamed == content, "both decoders of xz agree")
}

@Sendable func readArchiveName(_ input: UnsafeRawBufferPointer) throws {
    if let name = ArchiveName(bytes: Array(input)) {
        try require(name.text.utf8.elementsEqual(input), "a name has one form")
    }
    let text = String(decoding: input, as: UTF8.self)
    if let time = Timestamp(iso8601: text) { try require(time.iso8601 == text, "a time has one form") }
}

@Sendable func readRepositoryDescription(_ input: UnsafeRawBufferPointer) throws {
    let description: RepositoryDescription
    do throws(StorageError) {
        description = try RepositoryDescription(bytes: Array(input), at: .root)
    } catch {
        return try require(error.code == .malformed || error.code == .newerFormat, "a description that is refused is malformed")
    }
    for slot in description.keys.flatMap(\.slots) { _ = slot.slot?.cost.memory }
    guard let bytes = description.bytes else { return }
    try require(try RepositoryDescription(bytes: bytes, at: .root) == description, "a description that is written is read the same")
}
