// The names in a directory, one after the other, in the kernel's order. Source: readdir(3).

internal import CLinux
internal import Glibc

public struct DirectoryStream: ~Copyable {
    private let stream: OpaquePointer

    /// Reads the directory that `descriptor` has opened for reading.
    public init(_ descriptor: consuming Descriptor) throws(Errno) {
        let raw = descriptor.release()
        guard let stream = fdopendir(raw) else {
            let code = errno
            _ = Glibc.close(raw)
            throw Errno(rawValue: code)
        }
        self.stream = stream
    }

    deinit {
        closedir(stream)
    }

    /// The next name, or nil at the end. "." and ".." are left out.
    ///
    /// - Throws: The errno of getdents64(2), for example EIO; names already given stay valid.
    public mutating func next() throws(Errno) -> [UInt8]? { try next { _ in true } }

    /// The next name that is wanted, or nil at the end. Other names cost no memory.
    public mutating func next(where isWanted: (UnsafeRawBufferPointer) -> Bool) throws(Errno) -> [UInt8]? {
        while true {
            guard let entry = try nextEntry(stream) else { return nil }
            // d_name ends with a NUL inside the record that the kernel gave.
            let name: [UInt8]? = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    // Valid for this call, up to the NUL.
                    let name = UnsafeRawBufferPointer(start: text, count: strlen(text))
                    return isWanted(name) ? Array(name) : nil
                }
            }
            guard let name else { continue }
            if name == [UInt8(ascii: ".")] || name == [UInt8(ascii: "."), UInt8(ascii: ".")] { continue }
            return name
        }
    }

    /// All names of the directory at `path`.
    public static func names(in path: Path) throws(Errno) -> [[UInt8]] {
        var stream = try DirectoryStream(Descriptor.open(path, [.read, .directory]))
        var result: [[UInt8]] = []
        while let name = try stream.next() { result.append(name) }
        return result
    }
}
