// What an archive is called inside: its random id, its kind, and its frames' kinds.

internal import Encrypting
internal import Kernel

/// 16 random bytes: the id of an archive, or of a repository.
package struct ArchiveID: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    package static let count = 16

    /// Nil unless there are exactly 16 bytes.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == ArchiveID.count else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A new id from the system's source of randomness.
    package static func random() -> ArchiveID {
        var generator = SystemRandomNumberGenerator()
        return ArchiveID(high: generator.next(), low: generator.next())
    }

    /// The 16 bytes, in order.
    package var bytes: [UInt8] {
        [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) } }
    }
}

extension ArchiveID: CustomStringConvertible {
    /// 32 lower-case hexadecimal digits.
    package var description: String {
        bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}

package typealias RepositoryID = ArchiveID

/// What an archive holds. The raw values are those of the contents frame.
package enum ArchiveKind: UInt8, Hashable, Sendable, CaseIterable {
    case full = 1
    case incremental = 2
    case data = 3
    case record = 4

    /// As it stands in the archive's name.
    package var text: String {
        switch self {
        case .full: "full"
        case .incremental: "incremental"
        case .data: "data"
        case .record: "record"
        }
    }

    package init?(text: some StringProtocol) {
        guard let kind = ArchiveKind.allCases.first(where: { $0.text == text }) else { return nil }
        self = kind
    }

    /// True when it holds a snapshot's manifest.
    package var isCommit: Bool { self == .full || self == .incremental }
}

/// What a frame holds. The raw values are those of the frame header.
package enum FrameKind: UInt8, Hashable, Sendable, CaseIterable {
    case data = 1
    case manifest = 2
    case contents = 3
}

/// Where a frame stands; sealed into it, so that it opens nowhere else.
package struct FramePlace: Hashable, Sendable {
    package var archive: ArchiveID
    /// 0, 1, 2 … in the order of the file.
    package var number: UInt32
    package var kind: FrameKind
    package var isLast: Bool

    package init(archive: ArchiveID, number: UInt32, kind: FrameKind, isLast: Bool) {
        self.archive = archive
        self.number = number
        self.kind = kind
        self.isLast = isLast
    }
}
