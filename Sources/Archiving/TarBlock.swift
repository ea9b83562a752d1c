// One header block of a tar file, decoded.
// In: 512 bytes that may be hostile, and what extended headers said before.  Out: the entry.
// Invariant: no number traps, whatever its digits. Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar, "Extensions".

internal import Kernel

struct TarBlock {
    private let bytes: [UInt8]

    /// `bytes` are 512.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var type: UInt8 { bytes[TarField.type] }

    /// The sum of all bytes with spaces in the place of the sum; some old programs summed signed bytes.
    var hasValidChecksum: Bool {
        guard let stored = number(TarField.checksum) else { return false }
        var unsigned: Int64 = 0
        var signed: Int64 = 0
        for index in bytes.indices {
            let byte = TarField.checksum.contains(index) ? 0x20 : bytes[index]
            unsigned += Int64(byte)
            signed += Int64(Int8(bitPattern: byte))
        }
        return stored == unsigned || stored == signed
    }

    /// A number in octal digits between blanks, or in GNU's base 256; nil when it is neither or too large. Blank is 0.
    func number(_ field: Range<Int>) -> Int64? {
        let digits = bytes[field]
        guard let first = digits.first else { return nil }
        if first & 0x80 != 0 { return base256(digits) }
        var value: Int64 = 0
        var hasEnded = false
        for byte in digits.drop(while: { $0 == 0x20 || $0 == 0 }) {
            switch byte {
            case 0x20, 0: hasEnded = true
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                // Twelve digits at most: 36 bits.
                if hasEnded { return nil }
                value = value << 3 | Int64(byte & 7)
            default: return nil
            }
        }
        return value
    }

    /// Big-endian in two's complement; the first byte's top bit only says that this form is meant.
    private func base256(_ digits: ArraySlice<UInt8>) -> Int64? {
        var value: Int64 = 0
        for (place, byte) in digits.enumerated() {
            if place == 0 {
                value = (byte & 0x40 != 0 ? -64 : 0) | Int64(byte & 0x3F)
                continue
            }
            let (product, overflow) = value.multipliedReportingOverflow(by: 256)
            if overflow { return nil }
            value = product | Int64(byte)
        }
        return value
    }

    private func text(_ field: Range<Int>) -> [UInt8] { Array(bytes[field].prefix { $0 != 0 }) }

    private var isPOSIX: Bool { bytes[TarField.magic].starts(with: TarField.ustar[..<6]) }
    private var isGNU: Bool { bytes[TarField.magic].elementsEqual(TarField.gnu) }

    private var name: [UInt8] {
        let prefix = isPOSIX ? text(TarField.prefix) : []
        return prefix.isEmpty ? text(TarField.name) : prefix + [UInt8(ascii: "/")] + text(TarField.name)
    }

    /// The entry without its attributes, and how many bytes of content follow; nil for fields that mean nothing and for types that
    /// are not read: sparse files, parts of files on other volumes.
    func entry(_ extended: TarExtension) -> (TarEntry, UInt64)? {
        guard !extended.isSparse, let mode = number(TarField.mode),
            let uid = extended.uid ?? number(TarField.uid).flatMap(UInt32.init(exactly:)),
            let gid = extended.gid ?? number(TarField.gid).flatMap(UInt32.init(exactly:)),
            let size = extended.size ?? number(TarField.size).flatMap(UInt64.init(exactly:)), size <= UInt64(Int64.max),
            let modified = extended.modified ?? number(TarField.modified).map({ Timestamp(seconds: $0) })
        else { return nil }
        var path = extended.path ?? name
        guard let kind = kind(path) else { return nil }
        if kind == .directory { while path.count > 1, path.last == UInt8(ascii: "/") { path.removeLast() } }
        var entry = TarEntry(
            path: path, kind: kind, mode: UInt16(truncatingIfNeeded: mode & 0o7777), uid: uid, gid: gid, modified: modified)
        // Only files have content; a hard link's size is that of its file, which stands elsewhere.
        if kind == .file { entry.size = size }
        if isPOSIX || isGNU {
            entry.userName = text(TarField.userName)
            entry.groupName = text(TarField.groupName)
        }
        if let name = extended.userName { entry.userName = name }
        if let name = extended.groupName { entry.groupName = name }
        if kind == .symlink || kind == .hardLink { entry.target = extended.target ?? text(TarField.target) }
        if kind == .characterDevice || kind == .blockDevice {
            guard let major = extended.major ?? number(TarField.major).flatMap(UInt32.init(exactly:)),
                let minor = extended.minor ?? number(TarField.minor).flatMap(UInt32.init(exactly:))
            else { return nil }
            entry.special = DeviceNumber(major: major, minor: minor)
        }
        return (entry, entry.size)
    }

    private func kind(_ path: [UInt8]) -> TarEntry.Kind? {
        switch type {
        // Old programs knew directories by their closing slash.
        case 0, UInt8(ascii: "0"): path.last == UInt8(ascii: "/") ? .directory : .file
        case UInt8(ascii: "7"): .file
        case UInt8(ascii: "1"): .hardLink
        case UInt8(ascii: "2"): .symlink
        case UInt8(ascii: "3"): .characterDevice
        case UInt8(ascii: "4"): .blockDevice
        case UInt8(ascii: "5"): .directory
        case UInt8(ascii: "6"): .fifo
        default: nil
        }
    }
}
