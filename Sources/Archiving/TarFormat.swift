// Where the fields of a tar header stand, and the keys of pax records that writer and reader share.
// Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar, "Basic Tar Format".

enum TarField {
    static let name = 0..<100
    static let mode = 100..<108
    static let uid = 108..<116
    static let gid = 116..<124
    static let size = 124..<136
    static let modified = 136..<148
    static let checksum = 148..<156
    static let type = 156
    static let target = 157..<257
    /// Magic (6) and version (2).
    static let magic = 257..<265
    static let userName = 265..<297
    static let groupName = 297..<329
    static let major = 329..<337
    static let minor = 337..<345
    static let prefix = 345..<500

    /// "ustar", NUL, "00"
    static let ustar: [UInt8] = [0x75, 0x73, 0x74, 0x61, 0x72, 0, 0x30, 0x30]
    /// "ustar", two spaces, NUL
    static let gnu: [UInt8] = [0x75, 0x73, 0x74, 0x61, 0x72, 0x20, 0x20, 0]
}

enum PaxKey {
    static let attribute = "SCHILY.xattr."

    /// An attribute's name without what would end the key: `=` is `%3D`, `%` is `%25`, as GNU tar writes it.
    static func escaped(_ name: [UInt8]) -> [UInt8] {
        name.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "="): Array("%3D".utf8)
            case UInt8(ascii: "%"): Array("%25".utf8)
            default: [byte]
            }
        }
    }

    static func unescaped(_ name: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = name
        while let byte = rest.first {
            if rest.starts(with: "%3D".utf8) {
                result.append(UInt8(ascii: "="))
                rest = rest.dropFirst(3)
            } else if rest.starts(with: "%25".utf8) {
                result.append(UInt8(ascii: "%"))
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
                rest = rest.dropFirst()
            }
        }
        return result
    }
}
