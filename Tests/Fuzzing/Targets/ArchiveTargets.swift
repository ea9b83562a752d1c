// Archives: their frames and what is in them. Behind the encryption the plaintext is the input.

import Archiving
import Compressing
import Encrypting
import Kernel
import Storing

/// The first key of Tests/Vectors, so that their archives open.
let vectorKey: SecretKey = {
    let bytes = SHA256.digest(of: Array("key 1 of the vectors".utf8)).bytes
    guard let key = SecretKey(text: Base64URL.encode(bytes)) else { fatalError("32 bytes are a key") }
    return key
}()

/// Bytes in memory as an archive.
struct MemorySource: ArchiveSource {
    let bytes: [UInt8]
    let path = Path.root
    var size: UInt64 { UInt64(bytes.count) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        guard offset < size else { return 0 }
        let part = bytes[Int(offset)...].prefix(buffer.count)
        buffer.copyBytes(from: part)
        return part.count
    }
}

/// As a thief would hand it over: nobody sealed it, or who sealed it had another key.
@Sendable func readArchive(_ input: UnsafeRawBufferPointer) throws {
    let bytes = Array(input)
    // The name of any archive does: what is in it is compared last.
    let name = ArchiveName(number: 1, time: 1_795_411_140_123, kind: .full, digest: SHA256.digest(of: bytes))
    try read(bytes, name)
}

/// As whoever has the key could make it: the input says what stands in the frames, and how the archive lies about it.
///
///     flags(1)  frame*  contents
///     frame = kind(1) codec(1) count(2) payload(count)
///
/// A kind above 2 ends the frames. Flag 1: the table of contents keeps its own list of frames; 2: trailer and header are
/// taken from the input's end; 4: the last frame is left out.
@Sendable func readSealedArchive(_ input: UnsafeRawBufferPointer) throws {
    var input = InputReader(input)
    let flags = input.byte()
    let sealer = try FrameSealer(key: vectorKey, verifies: false)
    guard let id = ArchiveID(bytes: [UInt8](repeating: 7, count: ArchiveID.count)) else { return }
    var bytes = ArchiveHeader(id: id).encode()
    var frames: [FrameRecord] = []
    func add(_ kind: FrameKind, _ codec: UInt8, _ payload: [UInt8], isLast: Bool) throws {
        let place = FramePlace(archive: id, number: UInt32(frames.count), kind: kind, isLast: isLast)
        let levels = [CompressionLevel.stored, CompressionLevel(codec: .xz, level: 0), CompressionLevel(codec: .zstd, level: 1)]
        let frame = try payload.withUnsafeBytes { payload in
            try sealer.seal(payload, at: place, level: levels[Int(codec % 3)] ?? .stored, time: 1_795_411_080)
        }
        frames.append(FrameRecord(kind: kind, tokenCount: UInt32(frame.count - FrameLimit.lengthField)))
        bytes += frame
    }
    while !input.isAtEnd, frames.count < 8, let kind = FrameKind(rawValue: input.byte()), kind != .contents {
        let codec = input.byte()
        try add(kind, codec, input.bytes(input.short()), isLast: false)
    }
    var payload = input.remaining()
    var name = ArchiveName(number: 1, time: 0, kind: .full, digest: SHA256.digest(of: payload))
    if var contents = try? ArchiveContents(decoding: payload) {
        name = ArchiveName(number: contents.number, time: contents.time, kind: contents.kind, digest: name.digest)
        if flags & 1 == 0 {
            contents.frames = frames
            payload = contents.encode()
        }
    }
    let offset = bytes.count
    if flags & 4 == 0 { try add(.contents, flags >> 3, payload, isLast: true) }
    let tokenCount = UInt32(max(0, bytes.count - offset - FrameLimit.lengthField))
    bytes += ArchiveTrailer(offset: UInt64(offset), tokenCount: tokenCount).encode()
    if flags & 2 != 0, payload.count >= 8 { bytes.replaceSubrange((bytes.count - 24)..<(bytes.count - 16), with: payload.suffix(8)) }
    try read(bytes, name)
}

private func read(_ bytes: [UInt8], _ name: ArchiveName) throws {
    let source = MemorySource(bytes: bytes)
    do {
        let reader = try ArchiveReader(source, name: name, keys: [vectorKey], repository: nil)
        let opener = try FrameOpener(keys: [vectorKey])
        for number in reader.contents.frames.indices {
            var payload: [UInt8] = []
            do {
                try reader.frame(number, into: &payload, opener: opener)
                if reader.contents.frames[number].kind == .data { _ = try DataPayload.chunks(ofPayload: payload) }
            } catch let error as ArchiveError {
                try require(!error.reason.isEmpty, "an error says why")
            }
        }
    } catch let error as ArchiveError {
        try require(error.archive == name.text, "an error names its archive")
    }
    var salvage = try ArchiveSalvage(source, name: name, keys: [vectorKey])
    var numbers: Set<UInt32> = []
    while let frame = try salvage.next() {
        try require(numbers.insert(frame.number).inserted, "a salvage gives each frame once")
        try require(frame.offset < source.size, "a frame stands within its archive")
    }
    try require(salvage.report.bytesPassedOver <= source.size, "no more is passed over than there is")
}

/// The input as it is, and as the plaintext of a token: header, then the compressed payload.
@Sendable func readFrame(_ input: UnsafeRawBufferPointer) throws {
    let opener = try FrameOpener(keys: [vectorKey])
    try open(input, opener)
    var token: [UInt8] = []
    try FernetCipher(key: vectorKey).seal(Array(input), timeSeconds: 0, into: &token)
    try token.withUnsafeBytes { try open($0, opener) }
}

private func open(_ token: UnsafeRawBufferPointer, _ opener: FrameOpener) throws {
    do {
        var payload: [UInt8] = []
        let place = try opener.openFound(token, into: &payload)
        var again: [UInt8] = []
        try opener.open(token, at: place, into: &again)
        try require(payload == again, "a frame opens to the same bytes wherever it was found")
        try require(try opener.openCompressed(token, at: place).count == payload.count, "a frame that moves keeps its length")
    } catch let error as ArchiveError {
        try require(!error.reason.isEmpty, "an error says why")
    }
}

/// Nil for what is refused; only this module's error may say so.
private func refusing<Value>(_ body: () throws -> Value) throws -> Value? {
    do {
        return try body()
    } catch let error as ArchiveError {
        try require(!error.reason.isEmpty, "an error says why")
        return nil
    }
}

// MARK: Payloads

@Sendable func readContents(_ input: UnsafeRawBufferPointer) throws {
    guard let contents = try refusing({ try ArchiveContents(decoding: Array(input)) }) else { return }
    let again = try refusing { try ArchiveContents(decoding: contents.encode()) }
    try require(again == contents, "contents that are written are read the same")
}

/// The first byte chooses a full manifest, and how many chunks the previous versions have.
@Sendable func readManifest(_ input: UnsafeRawBufferPointer) throws {
    var input = InputReader(input)
    let flags = input.byte()
    let recording = flags & 1 == 0 ? ManifestRecording.incremental : .full
    let digest = SHA256.digest(of: [flags])
    let previous = [Chunk](repeating: Chunk(digest: digest, length: 65_536), count: Int(flags >> 1))
    let (records, _) = readAll(input.remaining(), recording, previous)
    var writer = ManifestWriter()
    for record in records {
        switch record {
        case .upsert(let entry):
            try require(ManifestWriter.fits(entry), "what was read can be written")
            writer.add(upsert: entry, previous: recording == .full ? nil : previous)
        case .deletion(let path): writer.add(deletion: path)
        }
        try require(Path(validating: record.path.bytes) != nil, "a path keeps the rules")
    }
    let (again, error) = readAll(writer.takeFrame(), recording, previous)
    try require(error == nil && again == records, "records that are written are read the same")
}

private func readAll(
    _ payload: [UInt8], _ recording: ManifestRecording, _ previous: [Chunk]
) -> (records: [ManifestRecord], error: ArchiveError?) {
    var reader = ManifestReader(payload, of: recording)
    var records: [ManifestRecord] = []
    do throws(ArchiveError) {
        while let record = try reader.next(previousChunks: { _ in previous }) { records.append(record) }
        return (records, nil)
    } catch {
        return (records, error)
    }
}

/// The input as it is, and with right checksums, without which no header would be looked at; in one piece, and in small ones.
@Sendable func readTar(_ input: UnsafeRawBufferPointer) throws {
    let bytes = Array(input)
    for bytes in [bytes, withChecksums(bytes)] {
        let whole = try events(bytes, piece: max(1, bytes.count))
        try require(try events(bytes, piece: 300) == whole, "a tar file is read the same in pieces of any size")
        for case .entry(let entry) in whole.events { try readBack(entry) }
        for chunk in try refusing({ try DataPayload.chunks(ofPayload: bytes) }) ?? [] {
            try require(Int(chunk.offset) + Int(chunk.length) <= bytes.count, "a chunk lies within its payload")
        }
    }
}

private func withChecksums(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for block in stride(from: 0, through: bytes.count - TarWriter.blockSize, by: TarWriter.blockSize) {
        guard bytes[(block + 257)...].starts(with: "ustar".utf8) else { continue }
        bytes.replaceSubrange((block + 148)..<(block + 156), with: repeatElement(0x20, count: 8))
        let sum = bytes[block..<block + TarWriter.blockSize].reduce(0) { $0 + Int($1) }
        let digits = String(sum, radix: 8)
        bytes.replaceSubrange((block + 148)..<(block + 148 + digits.count), with: digits.utf8)
    }
    return bytes
}

private struct TarEvents: Equatable {
    /// Without content, whose pieces are those of the file.
    var events: [TarReader.Event] = []
    var contentCount = 0
    var error: ArchiveError?
}

private func events(_ bytes: [UInt8], piece: Int) throws -> TarEvents {
    var result = TarEvents()
    var reader = TarReader()
    do {
        for start in stride(from: 0, to: bytes.count, by: piece) {
            try bytes[start..<min(bytes.count, start + piece)].withUnsafeBytes { bytes in
                var position = 0
                while let event = try reader.next(in: bytes, at: &position) {
                    switch event {
                    case .entry: result.events.append(event)
                    case .content(let range): result.contentCount += range.count
                    case .end: return
                    }
                }
            }
        }
        try reader.finish()
    } catch let error as ArchiveError {
        result.error = error
    }
    return result
}

/// What an entry becomes in a snapshot, and what that becomes in a tar file.
private func readBack(_ entry: TarEntry) throws {
    if let path = try refusing({ try entry.snapshotPath() }) {
        try require(Path(validating: path.bytes) != nil, "a path keeps the rules")
    }
    _ = try refusing { try entry.linkedPath() }
    _ = try refusing { try entry.snapshotEntry() }
    var header: [UInt8] = []
    TarWriter.append(header: entry, to: &header)
    try require(header.count % TarWriter.blockSize == 0, "a header is whole blocks")
    // A name of slashes alone has no form that says what it is.
    guard let first = try events(header, piece: header.count).events.first, case .entry(let again) = first else { return }
    try require(again.kind == entry.kind || entry.kind == .file, "an entry that is written keeps its kind")
    try require(again.attributes == entry.attributes, "an entry that is written keeps its attributes")
    try require(again.size == entry.size || again.kind != entry.kind, "an entry that is written keeps its size")
}
