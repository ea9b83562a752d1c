// Finds frames where nothing says any more where they stand.
// In: bytes of a damaged archive.  Out: where a frame may begin, to be authenticated.
// Invariant: every frame whose length field is whole is found; of random bytes one in 2^50 looks like one.
// Source: RepositoryFormat, "Frame".

internal import Encrypting

package enum FrameSearch {
    /// A place where a frame may begin.
    package struct Mark: Hashable, Sendable {
        /// Of the length field, in the bytes that were searched.
        package var position: Int
        /// What the length field says.
        package var tokenCount: Int
    }

    /// Bytes that tell a frame from others: length field, version, and the upper half of the time, zero until the year 2106.
    package static let markCount = FrameLimit.lengthField + 1 + 4

    /// The first mark; nil when there is none that lies within `bytes` as a whole.
    ///
    /// - Parameter rest: Bytes from the first one of `bytes` to where the last frame must have ended: no token reaches beyond.
    /// - Complexity: O(bytes).
    package static func firstMark(in bytes: UnsafeRawBufferPointer, rest: UInt64) -> Mark? {
        let version: UInt8 = 0x80
        var position = 0
        // Every load below is of the 9 bytes from `position` on.
        while position + markCount <= bytes.count {
            if bytes[position + FrameLimit.lengthField] == version,
                bytes.loadUnaligned(fromByteOffset: position + FrameLimit.lengthField + 1, as: UInt32.self) == 0
            {
                let count = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
                if isTokenCount(count), UInt64(position + FrameLimit.lengthField + count) <= rest {
                    return Mark(position: position, tokenCount: count)
                }
            }
            position += 1
        }
        return nil
    }

    /// True for a length that the token of a frame can have: that of a frame without payload, and any number of cipher blocks of
    /// 16 bytes more, up to the limit.
    package static func isTokenCount(_ count: Int) -> Bool {
        let least = Fernet.tokenCount(forPlaintext: FrameHeader.size)
        return count >= least && count <= FrameLimit.token && (count - least) % 16 == 0
    }
}
