// How a payload is compressed, and how hard to try.
// In: what the configuration says ("zstd:3").  Out: the codec number that a frame carries.
// Invariant: raw values are the repository format's and never change their meaning.

/// The codecs of the repository format.
package enum Codec: UInt8, Hashable, Sendable, CaseIterable {
    /// The bytes as they are.
    case stored = 0
    /// One .xz stream.
    case xz = 1
    /// One Zstandard frame with its content size.
    case zstd = 2
}

/// A codec and its level: xz 0...9, zstd 1...19, stored 0.
package struct CompressionLevel: Hashable, Sendable {
    package let codec: Codec
    package let level: Int

    /// "none": nothing is compressed.
    package static let stored = CompressionLevel(unchecked: .stored, 0)
    /// "zstd:3", the default of the fast lane.
    package static let fast = CompressionLevel(unchecked: .zstd, 3)
    /// "xz:6", the default of the deep lane.
    package static let deep = CompressionLevel(unchecked: .xz, 6)

    private init(unchecked codec: Codec, _ level: Int) {
        self.codec = codec
        self.level = level
    }

    /// Nil when `level` is outside the codec's range.
    package init?(codec: Codec, level: Int) {
        guard CompressionLevel.levels(of: codec).contains(level) else { return nil }
        self.init(unchecked: codec, level)
    }

    /// Parses `xz:0`...`xz:9`, `zstd:1`...`zstd:19` and `none`, written exactly so; nil for anything else.
    package init?(_ text: String) {
        if text == "none" {
            self = .stored
            return
        }
        for codec in [Codec.xz, .zstd] {
            for level in CompressionLevel.levels(of: codec) {
                let candidate = CompressionLevel(unchecked: codec, level)
                if candidate.description == text {
                    self = candidate
                    return
                }
            }
        }
        return nil
    }

    private static func levels(of codec: Codec) -> ClosedRange<Int> {
        switch codec {
        case .stored: 0...0
        case .xz: 0...9
        case .zstd: 1...19
        }
    }
}

extension CompressionLevel: CustomStringConvertible {
    /// What `init?(_:)` parses.
    package var description: String {
        switch codec {
        case .stored: "none"
        case .xz: "xz:\(level)"
        case .zstd: "zstd:\(level)"
        }
    }
}
