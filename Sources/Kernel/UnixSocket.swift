// Unix sockets: a stream to the daemon, a datagram to the service manager. Source: unix(7).

internal import CLinux
internal import Glibc

extension Descriptor {
    /// Connects to the stream socket at `path`.
    ///
    /// - Throws: ENOENT or ECONNREFUSED when nobody listens; ENAMETOOLONG above 107 bytes.
    public static func connectToUnixSocket(_ path: Path) throws(Errno) -> Descriptor {
        let socket = Descriptor(
            owning: try system { Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) })
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
