// The flags of chattr(1), and the group's rights in an ACL: bits and bytes that metadata is made of.
// In: what the kernel keeps of a file.  Out: which of it a person chose.
// Source: ioctl_iflags(2), chattr(1), linux/posix_acl_xattr.h.

internal import Kernel

enum InodeFlags {
    /// Immutable (i) and append-only (a): such a file gets no further name.
    static let sealing: UInt32 = 0x10 | 0x20
    /// Compressed (c), not compressed (m), no copy on write (C), data journalled (j): what one file system does in its own way.
    static let storage: UInt32 = 0x04 | 0x400 | 0x0080_0000 | 0x4000
    /// No dump (d), no access time (A), synchronous (S), directory synchronous (D), undeletable (u), secure deletion (s).
    private static let remarks: UInt32 = 0x40 | 0x80 | 0x08 | 0x0001_0000 | 0x02 | 0x01

    /// Those that a person sets; the others depend on how the file system laid the file out.
    static func settable(_ flags: UInt32) -> UInt32 { flags & (sealing | storage | remarks) }

    /// Each bit alone.
    static func each(_ flags: UInt32) -> [UInt32] { (0..<32).map { 1 << $0 }.filter { flags & $0 != 0 } }

    /// As lsattr(1) shows it.
    static func letter(_ flag: UInt32) -> String {
        switch flag {
        case 0x01: "s"
        case 0x02: "u"
        case 0x04: "c"
        case 0x08: "S"
        case 0x10: "i"
        case 0x20: "a"
        case 0x40: "d"
        case 0x80: "A"
        case 0x400: "m"
        case 0x4000: "j"
        case 0x0001_0000: "D"
        case 0x0080_0000: "C"
        default: "\(flag)"
        }
    }
}

enum AccessControlList {
    private static let accessName = Array("system.posix_acl_access".utf8)
    /// ACL_GROUP_OBJ
    private static let owningGroup: UInt16 = 0x04

    /// What the file's own group may do: 0...7. Nil for an attribute that is no access ACL of version 2.
    static func groupRights(_ attribute: ExtendedAttribute) -> UInt16? {
        // A version of four bytes, then for each entry its tag (2), rights (2) and id (4), little-endian.
        let value = attribute.value
        guard attribute.name == accessName, value.count >= 4, value[0] == 2 else { return nil }
        for start in stride(from: 4, through: value.count - 8, by: 8) {
            let tag = UInt16(value[start]) | UInt16(value[start + 1]) << 8
            if tag == owningGroup { return UInt16(value[start + 2]) & 7 }
        }
        return nil
    }
}
