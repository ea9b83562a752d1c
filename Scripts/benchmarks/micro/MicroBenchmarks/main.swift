// The innermost loops of a backup and of a restore, one after the other, each on what it meets in practice.
// Usage: MicroBenchmarks [ROUNDS]; a line of JSON for each.

internal import Archiving
internal import Compressing
internal import Encrypting
internal import Kernel

/// Seeded, so that every run has the same bytes.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 32) } }

    /// Words of a small vocabulary, as source code and prose have them.
    mutating func text(_ count: Int) -> [UInt8] {
        let words = (0..<2000).map { _ in (0..<Int(2 + next() % 8)).map { _ in UInt8(ascii: "a") + UInt8(next() % 26) } }
        var result: [UInt8] = []
        result.reserveCapacity(count + 16)
        while result.count < count { result += words[Int(next() % UInt64(words.count))] + [UInt8(ascii: " ")] }
        return Array(result.prefix(count))
    }
}

func entries(_ count: Int) -> [Entry] {
    (0..<count).map { number in
        var entry = Entry(path: Path(unchecked: Array("home/me/Projects/area-\(100 + number / 1000)/module-\(100 + number / 100 % 10)/file-\(100 + number % 100).swift".utf8)), kind: .file, mode: 0o644)
        entry.uid = 1000
        entry.gid = 1000
        entry.userName = Array("me".utf8)
        entry.groupName = Array("me".utf8)
        entry.modified = Timestamp(seconds: 1_795_000_000 + Int64(number), nanoseconds: 123_456_789)
        entry.changed = entry.modified
        entry.device = 0xFE00
        entry.inode = UInt64(1_000_000 + number)
        entry.size = 5000
        entry.content = Content(chunks: [Chunk(digest: SHA256.digest(of: Array("\(number)".utf8)), length: 5000)])
        return entry
    }
}

/// What read(2) gives: names of 16 bytes, NULs included.
func inotifyBuffer(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    for number in 0..<count {
        for value in [UInt32(number % 1000 + 1), 0x0000_0002, 0, 16] { withUnsafeBytes(of: value) { bytes += $0 } }
        let name = Array("file-\(number % 10000)".utf8)
        bytes += name + [UInt8](repeating: 0, count: 16 - name.count)
    }
    return bytes
}

func measurements() throws -> [Measurement] {
    var random = SplitMix(state: 1)
    let size = 4 << 20
    let noise = random.bytes(size)
    let text = random.text(size)
    let megabytes = Double(size) / 1e6
    var result: [Measurement] = []

    let chunker = Chunker()
    result.append(Measurement(name: "chunker", amount: megabytes, unit: "MB") {
        noise.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty { rest = rest.dropFirst(chunker.chunkLength(in: UnsafeRawBufferPointer(rebasing: rest))) }
        }
    })
    result.append(Measurement(name: "SHA-256", amount: megabytes, unit: "MB") { consume(SHA256.digest(of: noise)) })

    let cipher = try FernetCipher(key: try SecretKey.generate())
    var token: [UInt8] = []
    var opened: [UInt8] = []
    result.append(Measurement(name: "Fernet, sealing", amount: megabytes, unit: "MB") {
        token.removeAll(keepingCapacity: true)
        try cipher.seal(noise, timeSeconds: 1_795_000_000, into: &token)
    })
    result.append(Measurement(name: "Fernet, opening", amount: megabytes, unit: "MB") {
        try token.withUnsafeBytes { _ = try cipher.open($0, into: &opened) }
    })

    let compressor = try Compressor()
    func level(_ text: String) -> CompressionLevel { CompressionLevel(text) ?? .stored }
    for (name, input, level) in [
        ("zstd:3, text", text, level("zstd:3")), ("zstd:3, noise", noise, level("zstd:3")),
        ("xz:6, noise", noise, level("xz:6")),
    ] {
        var output: [UInt8] = []
        result.append(Measurement(name: name, amount: megabytes, unit: "MB") {
            output.removeAll(keepingCapacity: true)
            try input.withUnsafeBytes { _ = try compressor.compress($0, level, into: &output) }
        })
    }

    let all = entries(10_000)
    func manifest() -> [UInt8] {
        var writer = ManifestWriter()
        for entry in all { writer.add(upsert: entry) }
        return writer.takeFrame()
    }
    let payload = manifest()
    result.append(Measurement(name: "manifest, writing", amount: Double(all.count), unit: "entries") { consume(manifest()) })
    result.append(Measurement(name: "manifest, reading", amount: Double(all.count), unit: "entries") {
        var reader = ManifestReader(payload)
        while let record = try reader.next(previousChunks: { _ in [] }) { consume(record) }
    })

    var member = TarEntry(path: Array("home/me/Projects/module/file.swift".utf8), kind: .file, mode: 0o644, uid: 1000, gid: 1000)
    member.size = 5000
    member.modified = Timestamp(seconds: 1_795_000_000, nanoseconds: 123_456_789)
    let content = random.bytes(5000)
    func tar() -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<1000 {
            TarWriter.append(header: member, to: &bytes)
            bytes += content
            TarWriter.append(paddingAfter: member.size, to: &bytes)
        }
        return bytes + [UInt8](repeating: 0, count: TarWriter.endCount)
    }
    let archive = tar()
    result.append(Measurement(name: "tar, writing", amount: 1000, unit: "entries") { consume(tar()) })
    result.append(Measurement(name: "tar, reading", amount: 1000, unit: "entries") {
        var reader = TarReader()
        var position = 0
        try archive.withUnsafeBytes { bytes in
            while let event = try reader.next(in: bytes, at: &position), event != .end { consume(event) }
        }
    })

    let events = inotifyBuffer(2000)
    result.append(Measurement(name: "inotify decoder", amount: 2000, unit: "events") {
        events.withUnsafeBytes { bytes in
            var decoder = InotifyDecoder(bytes)
            while let event = decoder.next() { consume(event.cookie) }
        }
    })
    return result
}

let rounds = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 5
for measurement in try measurements() { print(try measurement.run(rounds: max(1, rounds))) }
