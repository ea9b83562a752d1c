// Unix sockets: a stream to the daemon, a datagram to the service manager. Source: unix(7).

internal import CLinux
internal import Glibc

extension Descriptor {
    /// Connects to the stream socket at `path`.
    ///
    /// - Parameter patience: After so long without the other end's doing, connecting, reading and writing fail with EAGAIN; nil: never.
    /// - Throws: ENOENT or ECONNREFUSED when nobody listens; ENAMETOOLONG above 107 bytes. Source: SO_RCVTIMEO in socket(7).
    public static func connectToUnixSocket(_ path: Path, patience: Duration? = nil) throws(Errno) -> Descriptor {
        let socket = Descriptor(
            owning: try system { Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) })
        if let patience {
            var limit = timeval(tv_sec: Int(patience.components.seconds), tv_usec: Int(patience.components.attoseconds / 1_000_000_000_000))
            let raw = socket.rawValue
            for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
                _ = try system { setsockopt(raw, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size)) }
            }
        }
        try socket.withAddress(Array(path.terminated.dropLast())) { raw, address, length in connect(raw, address, length) }
        return socket
    }

    /// Sends one datagram to the socket at `address`: a path, or `@name` in the abstract namespace.
    public static func sendDatagram(_ message: String, to address: String) throws(Errno) {
        let socket = Descriptor(
            owning: try system { Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0) })
        var name = address.utf8.map { CChar(bitPattern: $0) }
        if name.first == CChar(bitPattern: UInt8(ascii: "@")) { name[0] = 0 }
        let bytes = Array(message.utf8)
        try socket.withAddress(name) { raw, address, length in
            Int32(truncatingIfNeeded: sendto(raw, bytes, bytes.count, 0x4000 /* MSG_NOSIGNAL */, address, length))
        }
    }

    private borrowing func withAddress(
        _ name: [CChar], _ call: (CInt, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(Errno) {
        var address = sockaddr_un()
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { throw .fileNameTooLong }
        address.sun_family = sa_family_t(AF_UNIX)
        // sun_path is zeroed and longer than the name.
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name.map { UInt8(bitPattern: $0) }) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count + (name.first == 0 ? 0 : 1))
        let raw = rawValue
        _ = try system {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(raw, $0, length) }
            }
        }
    }
}
