// Owner, mode, times, attributes and flags of an open file, and the entries of an open directory.

internal import CLinux
internal import Glibc

extension Descriptor {
    /// Source: fchown(2).
    public borrowing func setOwner(uid: UInt32, gid: UInt32) throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.fchown(raw, uid, gid) }
    }

    /// Source: fchmod(2).
    public borrowing func setMode(_ mode: UInt16) throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.fchmod(raw, mode_t(mode)) }
    }

    /// Sets the modification time; the access time becomes the same. Source: futimens(3).
    public borrowing func setModified(_ time: Timestamp) throws(Errno) {
        let raw = rawValue
        let value = timespec(tv_sec: time_t(time.seconds), tv_nsec: Int(time.nanoseconds))
        let times = [value, value]
        _ = try system { Glibc.futimens(raw, times) }
    }

    /// The flags that chattr(1) shows; 0 where the file system has none. Source: ioctl_iflags(2).
    public borrowing func inodeFlags() throws(Errno) -> UInt32 {
        let raw = rawValue
        var flags: UInt32 = 0
        do throws(Errno) {
            _ = try system { clinux_get_inode_flags(raw, &flags) }
            return flags
        } catch .inappropriateIOCTLForDevice, .notSupported, .invalidArgument, .noFunction {
            return 0
        }
    }

    public borrowing func setInodeFlags(_ flags: UInt32) throws(Errno) {
        let raw = rawValue
        _ = try system { clinux_set_inode_flags(raw, flags) }
    }

    /// The extended attributes of the open file, in the kernel's order. Empty where the file system has none.
    ///
    /// POSIX ACLs and capabilities are among them (`system.posix_acl_access`, `security.capability`).
    /// Source: flistxattr(2), fgetxattr(2).
    public borrowing func extendedAttributes() throws(Errno) -> [ExtendedAttribute] {
        let raw = rawValue
        return try ExtendedAttribute.read(
            list: { flistxattr(raw, $0, $1) }, get: { fgetxattr(raw, $0, $1, $2) })
    }

    /// Source: fsetxattr(2).
    public borrowing func setExtendedAttribute(_ attribute: ExtendedAttribute) throws(Errno) {
        let raw = rawValue
        let name = attribute.name.map { CChar(bitPattern: $0) } + [0]
        _ = try system { fsetxattr(raw, name, attribute.value, attribute.value.count, 0) }
    }

    /// The names alone of the extended attributes, in the kernel's order. Source: flistxattr(2).
    public borrowing func extendedAttributeNames() throws(Errno) -> [[UInt8]] {
        let raw = rawValue
        return try ExtendedAttribute.listed { flistxattr(raw, $0, $1) }.map { $0.map { UInt8(bitPattern: $0) } }
    }

    /// - Throws: ENODATA when there is none of that name. Source: fremovexattr(2).
    public borrowing func removeExtendedAttribute(_ name: [UInt8]) throws(Errno) {
        let raw = rawValue
        let terminated = name.map { CChar(bitPattern: $0) } + [0]
        _ = try system { fremovexattr(raw, terminated) }
    }
}

/// One extended attribute. Source: xattr(7).
public struct ExtendedAttribute: Hashable, Sendable {
    /// With its namespace, 1...255 bytes without NUL.
    public var name: [UInt8]
    /// 0...65,536 bytes.
    public var value: [UInt8]

    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// Of a file that is not opened (a symlink, a FIFO, a device). `path` is absolute; a last symlink is not followed.
    public static func all(ofUnopened path: Path) throws(Errno) -> [ExtendedAttribute] {
        let parent = try Descriptor.ofParent(of: path)
        return try all(of: path.name.map { CChar(bitPattern: $0) } + [0], in: parent)
    }

    /// As above, for `name` in `directory`: through /proc/self/fd, for there is no flistxattrat before Linux 6.13.
    public static func all(
        of name: UnsafePointer<CChar>, in directory: borrowing Descriptor
    ) throws(Errno) -> [ExtendedAttribute] {
        let place = procPath(name, in: directory)
        return try read(list: { llistxattr(place, $0, $1) }, get: { lgetxattr(place, $0, $1, $2) })
    }

    /// Sets it on `name` in `directory`; a symlink is not followed. Source: lsetxattr(2).
    public func set(on name: UnsafePointer<CChar>, in directory: borrowing Descriptor) throws(Errno) {
        let place = ExtendedAttribute.procPath(name, in: directory)
        let attribute = self.name.map { CChar(bitPattern: $0) } + [0]
        _ = try system { lsetxattr(place, attribute, value, value.count, 0) }
    }

    /// The names alone of those of `name` in `directory`. Source: llistxattr(2).
    public static func names(of name: UnsafePointer<CChar>, in directory: borrowing Descriptor) throws(Errno) -> [[UInt8]] {
        let place = procPath(name, in: directory)
        return try listed { llistxattr(place, $0, $1) }.map { $0.map { UInt8(bitPattern: $0) } }
    }

    /// Removes one of `name` in `directory`; a symlink is not followed. Source: lremovexattr(2).
    public static func remove(_ attribute: [UInt8], of name: UnsafePointer<CChar>, in directory: borrowing Descriptor) throws(Errno) {
        let place = procPath(name, in: directory)
        let terminated = attribute.map { CChar(bitPattern: $0) } + [0]
        _ = try system { lremovexattr(place, terminated) }
    }

    private static func procPath(_ name: UnsafePointer<CChar>, in directory: borrowing Descriptor) -> [CChar] {
        var place = "/proc/self/fd/\(directory.rawValue)/".utf8.map { CChar(bitPattern: $0) }
        place += UnsafeBufferPointer(start: name, count: strlen(name) + 1)
        return place
    }

    /// Empty where the file system has none.
    fileprivate static func listed(_ list: (UnsafeMutablePointer<CChar>?, Int) -> Int) throws(Errno) -> [ArraySlice<CChar>] {
        // Nearly every file has none: one call with a small buffer answers that.
        var names = [CChar](repeating: 0, count: 256)
        while true {
            do throws(Errno) {
                let length = try system { names.withUnsafeMutableBufferPointer { list($0.baseAddress, $0.count) } }
                return names[..<length].split(separator: 0)
            } catch .outOfRange {
                names = [CChar](repeating: 0, count: names.count * 4)
            } catch .notSupported {
                return []
            }
        }
    }

    static func read(
        list: (UnsafeMutablePointer<CChar>?, Int) -> Int,
        get: (UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int
    ) throws(Errno) -> [ExtendedAttribute] {
        var result: [ExtendedAttribute] = []
        for name in try listed(list) {
            let terminated = Array(name) + [0]
            do throws(Errno) {
                var value = [UInt8](repeating: 0, count: 256)
                while true {
                    do throws(Errno) {
                        let count = try system { value.withUnsafeMutableBytes { get(terminated, $0.baseAddress, $0.count) } }
                        value.removeLast(value.count - count)
                        break
                    } catch .outOfRange {
                        value = [UInt8](repeating: 0, count: value.count * 4)
                    }
                }
                result.append(ExtendedAttribute(name: name.map { UInt8(bitPattern: $0) }, value: value))
            } catch .noData {
                // Removed between the list and the reading: it is not there any more.
            } catch .notSupported {
                // Listed, yet not readable by anyone (some security modules).
            }
        }
        return result
    }
}

extension Descriptor {
    /// Makes a directory in this one. Source: mkdirat(2).
    public borrowing func makeDirectory(_ name: UnsafePointer<CChar>, mode: UInt16) throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.mkdirat(raw, name, mode_t(mode)) }
    }

    /// Source: symlinkat(2).
    public borrowing func makeSymlink(_ name: UnsafePointer<CChar>, target: [UInt8]) throws(Errno) {
        let raw = rawValue
        let terminated = target.map { CChar(bitPattern: $0) } + [0]
        _ = try system { Glibc.symlinkat(terminated, raw, name) }
    }

    /// Makes a FIFO, socket or device. Source: mknodat(2).
    public borrowing func makeSpecial(
        _ name: UnsafePointer<CChar>, kind: FileKind, mode: UInt16, device: DeviceNumber
    ) throws(Errno) {
        let type: UInt32
        switch kind {
        case .fifo: type = S_IFIFO
        case .socket: type = S_IFSOCK
        case .characterDevice: type = S_IFCHR
        case .blockDevice: type = S_IFBLK
        case .file, .directory, .symlink: throw .invalidArgument
        }
        let raw = rawValue
        _ = try system { clinux_mknodat(raw, name, type | UInt32(mode), device.major, device.minor) }
    }

    /// A second name for `name` in this directory; a symlink is linked itself, not followed. Source: linkat(2).
    public borrowing func link(
        _ name: UnsafePointer<CChar>, as newName: UnsafePointer<CChar>, in directory: borrowing Descriptor
    ) throws(Errno) {
        let from = rawValue
        let to = directory.rawValue
        _ = try system { Glibc.linkat(from, name, to, newName, 0) }
    }

    public enum Removal: Sendable {
        case file, directory
    }

    /// Source: unlinkat(2).
    public borrowing func remove(_ name: UnsafePointer<CChar>, _ removal: Removal = .file) throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.unlinkat(raw, name, removal == .directory ? AT_REMOVEDIR : 0) }
    }

    /// Source: renameat(2).
    public borrowing func rename(
        _ name: UnsafePointer<CChar>, to newName: UnsafePointer<CChar>, in directory: borrowing Descriptor
    ) throws(Errno) {
        let from = rawValue
        let to = directory.rawValue
        _ = try system { Glibc.renameat(from, name, to, newName) }
    }

    /// The target of a symlink, 0...4,095 bytes. Source: readlinkat(2).
    public borrowing func readSymlink(_ name: UnsafePointer<CChar>) throws(Errno) -> [UInt8] {
        let raw = rawValue
        var target = [CChar](repeating: 0, count: 4096)
        let count = try system { Glibc.readlinkat(raw, name, &target, target.count) }
        target.removeLast(target.count - count)
        return target.map { UInt8(bitPattern: $0) }
    }

    /// Owner of `name`, not of what a symlink points to. Source: fchownat(2).
    public borrowing func setOwner(of name: UnsafePointer<CChar>, uid: UInt32, gid: UInt32) throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.fchownat(raw, name, uid, gid, AT_SYMLINK_NOFOLLOW) }
    }

    /// Mode of `name`, which must not be a symlink. Source: fchmodat(2).
    public borrowing func setMode(of name: UnsafePointer<CChar>, _ mode: UInt16) throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.fchmodat(raw, name, mode_t(mode), 0) }
    }

    /// Modification time of `name`, not of what a symlink points to. Source: utimensat(2).
    public borrowing func setModified(of name: UnsafePointer<CChar>, _ time: Timestamp) throws(Errno) {
        let raw = rawValue
        let value = timespec(tv_sec: time_t(time.seconds), tv_nsec: Int(time.nanoseconds))
        let times = [value, value]
        _ = try system { Glibc.utimensat(raw, name, times, AT_SYMLINK_NOFOLLOW) }
    }
}
