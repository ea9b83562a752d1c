// What the kernel knows of a file without reading it. Source: statx(2), inode(7).

internal import CLinux
internal import Glibc

/// The types of inode(7). The raw values are those of the repository format.
public enum FileKind: UInt8, Sendable, CaseIterable {
    case file = 1
    case directory = 2
    case symlink = 3
    case fifo = 4
    case socket = 5
    case characterDevice = 6
    case blockDevice = 7
}

/// The number of a device, in the two parts that stat(1) shows.
public struct DeviceNumber: Hashable, Sendable {
    public var major: UInt32
    public var minor: UInt32

    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }

    /// Both parts in one number: major in the upper 32 bits.
    public var combined: UInt64 { UInt64(major) << 32 | UInt64(minor) }
}

public struct FileStatus: Hashable, Sendable {
    public var kind: FileKind
    /// The permission bits with setuid, setgid and sticky: 0...0o7777.
    public var mode: UInt16
    public var uid: UInt32
    public var gid: UInt32
    /// Bytes; of a symlink, the length of its target.
    public var size: UInt64
    /// Allocated space in units of 512 bytes.
    public var blocks: UInt64
    public var modified: Timestamp
    public var changed: Timestamp
    public var device: DeviceNumber
    public var inode: UInt64
    public var links: UInt32
    /// Of character and block devices.
    public var special: DeviceNumber
    /// The id of the mount that it was found through; 0 when the kernel does not tell.
    public var mount: UInt64
    /// Whether it has chattr(1)'s flag `d`; nil when the file system does not tell here.
    public var isNoDump: Bool?

    /// The status of `name` in `directory`, never of what a symlink points to. Source: statx(2).
    public init(of name: UnsafePointer<CChar>, in directory: borrowing Descriptor) throws(Errno) {
        try self.init(directory.rawValue, name, AT_SYMLINK_NOFOLLOW)
    }

    /// The status of `path`; a symlink as its last component is not followed.
    public init(of path: Path) throws(Errno) {
        if path.bytes.count < 4000 {
            // Without a descriptor: also where there is none left.
            try self.init(AT_FDCWD, path.terminated, AT_SYMLINK_NOFOLLOW)
            return
        }
        let directory = try Descriptor.ofParent(of: path)
        try self.init(of: path.name.map { CChar(bitPattern: $0) } + [0], in: directory)
    }

    init(_ directory: CInt, _ name: UnsafePointer<CChar>, _ flags: CInt) throws(Errno) {
        var raw = clinux_status()
        _ = try system { clinux_statx(directory, name, flags, &raw) }
        switch raw.mode & S_IFMT {
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .symlink
        case S_IFIFO: kind = .fifo
        case S_IFSOCK: kind = .socket
        case S_IFCHR: kind = .characterDevice
        case S_IFBLK: kind = .blockDevice
        default: kind = .file
        }
        mode = UInt16(raw.mode & 0o7777)
        uid = raw.uid
        gid = raw.gid
        size = raw.size
        blocks = raw.blocks
        modified = Timestamp(seconds: raw.mtime_seconds, nanoseconds: raw.mtime_nanoseconds)
        changed = Timestamp(seconds: raw.ctime_seconds, nanoseconds: raw.ctime_nanoseconds)
        device = DeviceNumber(major: raw.device_major, minor: raw.device_minor)
        inode = raw.inode
        links = raw.links
        special = DeviceNumber(major: raw.special_major, minor: raw.special_minor)
        mount = raw.mount
        isNoDump = raw.nodump < 0 ? nil : raw.nodump > 0
    }
}
