// Whether two buffers are equal: the standard library compares byte by byte. Not for secrets, for its time tells where they differ.

internal import Glibc

/// True when both hold the same bytes. Source: memcmp(3).
package func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count, let leftStart = left.baseAddress, let rightStart = right.baseAddress else { return left.count == right.count }
    return memcmp(leftStart, rightStart, left.count) == 0
}
