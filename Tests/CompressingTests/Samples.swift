// Content to compress, and a directory for the files that other programs read.

import Foundation
import Kernel

/// A generator that gives the same numbers for the same seed. Source: Vigna, SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

enum Samples {
    /// Lines that compress well and differ.
    static func text(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var line = 0
        while bytes.count < count {
            bytes += Array("line \(line) says \(line &* 2_654_435_761 % 1000) of \(line / 7)\n".utf8)
            line += 1
        }
        return Array(bytes[..<count])
    }

    /// Bytes that do not compress.
    static func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) } }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}

extension Samples {
    /// `stream`, an .xz stream whose block header is 12 bytes long, with 1 GiB as the size of its dictionary.
    static func withHugeDictionary(_ stream: [UInt8]) -> [UInt8] {
        var stream = stream
        // After the stream header of 12 bytes: size, flags, filter id, size of its properties, dictionary size.
        // 36 stands for 2 << 29. Source: The .xz File Format, "Block Header" and "LZMA2".
        stream[12 + 4] = 36
        var crc = UInt32.max
        for byte in stream[12..<20] {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        withUnsafeBytes(of: (~crc).littleEndian) { stream.replaceSubrange(20..<24, with: $0) }
        return stream
    }
}

/// A directory that lives as long as this.
struct ScratchDirectory: ~Copyable {
    let path: Path

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("compressing-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = Path(url.path) ?? .root
    }

    deinit { try? FileManager.default.removeItem(atPath: path.text) }

    func file(_ name: String) -> Path { path.appending(Array(name.utf8)) }

    /// Runs a shell command in this directory and gives its exit status.
    func shell(_ command: String) throws -> Int32 {
        try ProcessIdentity.run("sh", ["-c", "cd '\(path.text)' && \(command)"])
    }
}
