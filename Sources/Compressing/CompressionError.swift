// Why bytes could not be compressed or decompressed.
// Damaged and hostile input ends here, never in a trap. Callers add the path and the frame.

package struct CompressionError: Error, Hashable, Sendable {
    package enum Code: Sendable {
        /// Not a stream of this codec at all.
        case format
        /// The input contradicts itself or its checksums.
        case damaged
        /// The input ends too early.
        case truncated
        /// The content is longer or shorter than promised, or something follows the stream.
        case length
        /// A valid stream that uses what this program does not offer.
        case unsupported
        /// Decoding would need more memory than the limit.
        case memoryLimit
        /// The system has no memory left.
        case outOfMemory
        /// Used again after an error or after its end: a mistake of this program.
        case misuse
    }

    package let code: Code
    /// One sentence part for a person, without a full stop.
    package let reason: String

    package init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }
}

extension CompressionError: CustomStringConvertible {
    package var description: String { reason }
}
