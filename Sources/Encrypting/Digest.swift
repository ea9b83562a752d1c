// A SHA-256 digest: the name of a chunk, of an archive, of a snapshot.
// 32 bytes inline, so that millions of them cost no allocation.

package struct Digest: Hashable, Sendable {
    package static let byteCount = 32

    // The bytes in their order in memory, whatever the processor's is.
    @usableFromInline let words: (UInt64, UInt64, UInt64, UInt64)

    /// Takes what `fill` writes to 32 zero bytes.
    @inlinable package init<Failure: Error>(_ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        try Swift.withUnsafeMutableBytes(of: &words) { bytes throws(Failure) in try fill(bytes) }
        self.words = words
    }

    /// Nil unless there are 32 bytes.
    @inlinable package init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Digest.byteCount else { return nil }
        self.init { $0.copyMemory(from: bytes) }
    }

    /// Nil unless there are 32 bytes.
    @inlinable package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Digest.byteCount else { return nil }
        self.init { $0.copyBytes(from: bytes) }
    }

    /// Nil unless there are 64 digits, in lower case.
    package init?(hex: some Collection<UInt8>) {
        guard hex.count == 2 * Digest.byteCount, let bytes = Hex.decode(hex) else { return nil }
        self.init(bytes: bytes)
    }

    package init?(hex: String) {
        self.init(hex: Array(hex.utf8))
    }

    /// The 32 bytes, valid during the call.
    @inlinable package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try Swift.withUnsafeBytes(of: words, body)
    }

    package var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    /// 64 digits in lower case.
    package var hex: String { withUnsafeBytes { Hex.encode($0) } }

    @inlinable package static func == (left: Digest, right: Digest) -> Bool {
        left.words == right.words
    }

    /// All bits of a digest are equally good: the first 64 are enough for a hash table.
    @inlinable package func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
    }
}

extension Digest: Comparable {
    /// The order of the bytes, and so of the hexadecimal texts.
    @inlinable package static func < (left: Digest, right: Digest) -> Bool {
        let a = left.words
        let b = right.words
        return (a.0.bigEndian, a.1.bigEndian, a.2.bigEndian, a.3.bigEndian)
            < (b.0.bigEndian, b.1.bigEndian, b.2.bigEndian, b.3.bigEndian)
    }
}

extension Digest: CustomStringConvertible {
    package var description: String { hex }
}
