// Bytes that nobody can guess: for keys, initialization vectors, salts and ids. Source: RAND_bytes(3).

internal import COpenSSL

package enum RandomBytes {
    /// Fills all of `room`.
    ///
    /// - Throws: `.cryptography` when the system gives no randomness; `room` is then not to be used.
    package static func fill(_ room: UnsafeMutableRawBufferPointer) throws(EncryptionError) {
        guard RAND_bytes(room.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(clamping: room.count)) == 1 else {
            throw .openSSL("making random bytes")
        }
    }

    /// - Parameter count: 0...65,536.
    package static func make(_ count: Int) throws(EncryptionError) -> [UInt8] {
        var bytes: [UInt8] = []
        try bytes.append(addingCapacity: count) { span throws(EncryptionError) in
            try span.withUnsafeMutableBufferPointer { room, filled throws(EncryptionError) in
                try fill(UnsafeMutableRawBufferPointer(room))
                filled = count
            }
        }
        return bytes
    }
}
