// The entries of an open directory with the kind that the directory itself records, without a stat of each.
// Source: readdir(3), "d_type".

internal import CLinux
internal import Glibc

public struct DirectoryListing: ~Copyable {
    private let stream: OpaquePointer

    /// One entry. `name` is valid until the next one is read, and a NUL follows it.
    public struct Entry {
        public let name: UnsafeRawBufferPointer
        /// Nil where the file system does not tell.
        public let kind: FileKind?

        /// The same name as the system calls take it.
        public var terminatedName: UnsafePointer<CChar>? {
            UnsafePointer(name.baseAddress?.assumingMemoryBound(to: CChar.self))
        }
    }

    /// Opens the directory at `path`, of any length; a symlink as its last component is not followed.
    public init(at path: Path) throws(Errno) {
        let descriptor: Descriptor
        if path.bytes.count < 4000 {
            let place = path.terminated
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
            descriptor = Descriptor(owning: try system { Glibc.openat(AT_FDCWD, place, flags) })
        } else {
            descriptor = try Descriptor.open(path, [.read, .directory, .noFollow])
        }
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

    /// The next entry, or nil at the end. "." and ".." are left out.
    ///
    /// - Throws: The errno of getdents64(2), for example EIO; entries already given stay valid.
    public mutating func next() throws(Errno) -> Entry? {
        while true {
            guard let entry = try nextEntry(stream) else { return nil }
            guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return nil }
            // d_name ends with a NUL inside the record that the kernel gave.
            let first = UnsafeRawPointer(entry) + offset
            let count = strlen(first.assumingMemoryBound(to: CChar.self))
            let name = UnsafeRawBufferPointer(start: first, count: count)
            if count <= 2, name[0] == UInt8(ascii: "."), count == 1 || name[1] == UInt8(ascii: ".") { continue }
            return Entry(name: name, kind: DirectoryListing.kind(entry.pointee.d_type))
        }
    }

    /// Opens the subdirectory of this name as a place only. Source: openat(2), O_PATH.
    ///
    /// - Throws: ENOTDIR when it is something else (also a symlink), ENOENT when it is gone.
    public borrowing func openSubdirectory(_ name: UnsafePointer<CChar>) throws(Errno) -> Descriptor {
        let parent = dirfd(stream)
        let flags = pathOnlyFlag | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        return Descriptor(owning: try system { Glibc.openat(parent, name, flags) })
    }

    /// Status of the directory that is read.
    public borrowing func status() throws(Errno) -> FileStatus {
        try FileStatus(dirfd(stream), "", 0x1000 /* AT_EMPTY_PATH */)
    }

    private static func kind(_ type: UInt8) -> FileKind? {
        switch Int(type) {
        case Int(DT_REG): .file
        case Int(DT_DIR): .directory
        case Int(DT_LNK): .symlink
        case Int(DT_FIFO): .fifo
        case Int(DT_SOCK): .socket
        case Int(DT_CHR): .characterDevice
        case Int(DT_BLK): .blockDevice
        default: nil
        }
    }
}
