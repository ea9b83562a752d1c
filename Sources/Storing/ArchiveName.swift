// The name of an archive: what can be known of it without a key.
// In: names of a listing.  Out: number, time, kind and digest, and the same name again.
// Invariant: a name has exactly one spelling; whatever is spelled otherwise is a foreign file.
// Source: RepositoryFormat, "The directory".

package import Archiving
package import Encrypting
internal import Kernel

package struct ArchiveName: Hashable, Sendable {
    /// From 1; counts archives, never used twice.
    package var number: UInt64
    /// Milliseconds since 1970.
    package var time: Int64
    package var kind: ArchiveKind
    /// SHA-256 of the file's bytes.
    package var digest: Digest

    package init(number: UInt64, time: Int64, kind: ArchiveKind, digest: Digest) {
        self.number = number
        self.time = time
        self.kind = kind
        self.digest = digest
    }

    /// Nil for what is not the name of an archive.
    package init?(_ text: String) {
        self.init(bytes: Array(text.utf8))
    }

    /// Nil for what is not the name of an archive.
    ///
    /// - Complexity: O(length), without making text: listings are long.
    package init?(bytes: [UInt8]) {
        let parts = bytes.split(separator: UInt8(ascii: "-"), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, parts[3].count == 64 + ArchiveName.suffix.count,
            parts[3].suffix(ArchiveName.suffix.count).elementsEqual(ArchiveName.suffix),
            let number = ArchiveName.number(parts[0]), let time = Timestamp(compact: parts[1])?.milliseconds,
            let kind = ArchiveKind.allCases.first(where: { parts[2].elementsEqual($0.text.utf8) }),
            let digest = Digest(hex: parts[3].prefix(64))
        else { return nil }
        self.init(number: number, time: time, kind: kind, digest: digest)
    }

    /// `000001042-20261123T051800.123Z-incremental-<64 digits>.enc`
    package var text: String {
        "\(padded(number, ArchiveName.digits))-\(Timestamp(milliseconds: time).compact)-\(kind.text)-\(digest).enc"
    }

    /// The fewest digits of a number.
    static let digits = 9
    private static let suffix = Array(".enc".utf8)

    /// A number of nine digits, or more without a leading zero. Also of temporary names.
    static func number(_ digits: some Collection<UInt8>) -> UInt64? {
        guard digits.count >= ArchiveName.digits, digits.count <= 20,
            digits.count == ArchiveName.digits || digits.first != UInt8(ascii: "0")
        else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            if tooLarge || overflow { return nil }
            value = sum
        }
        return value == 0 ? nil : value
    }

    /// What stands before the first hyphen, whatever follows it.
    static func leadingNumber(of name: UnsafeRawBufferPointer) -> UInt64? { number(name.prefix { $0 != UInt8(ascii: "-") }) }
}

extension ArchiveName: Comparable {
    /// By number; names of the same number by the parts that follow it.
    package static func < (left: ArchiveName, right: ArchiveName) -> Bool {
        (left.number, left.time, left.kind.rawValue, left.digest) < (right.number, right.time, right.kind.rawValue, right.digest)
    }
}

extension ArchiveName: CustomStringConvertible {
    package var description: String { text }
}
