// Writes the headers of tar entries.
// In: an entry.  Out: its ustar header, and before it a pax header where a field does not fit; the content passes by.
// Invariant: what is appended is a whole number of 512-byte blocks.
// Source: POSIX.1-2017, pax, "ustar Interchange Format", "pax Extended Header"; GNU tar and star for SCHILY.xattr.

internal import Kernel

package enum TarWriter {
    package static let blockSize = 512
    /// What closes a tar file: two blocks of zeros.
    package static let endCount = 2 * blockSize

    /// Bytes that follow content of `size` bytes up to the next block: 0...511.
    package static func paddingCount(after size: UInt64) -> Int { Int((512 - size % 512) % 512) }

    /// Appends the header of `entry`: 512 bytes, or with a pax header some more blocks.
    package static func append(header entry: TarEntry, to bytes: inout [UInt8]) {
        let records = paxRecords(of: entry)
        if !records.isEmpty {
            var header = TarEntry(path: Array("PaxHeaders/".utf8) + shortName(of: entry.path), kind: .file, mode: 0o644)
            header.size = UInt64(records.count)
            append(block: header, type: UInt8(ascii: "x"), to: &bytes)
            bytes += records
            bytes += repeatElement(0, count: paddingCount(after: header.size))
        }
        append(block: entry, type: typeFlag(of: entry.kind), to: &bytes)
    }

    /// Appends the zeros behind content of `size` bytes.
    package static func append(paddingAfter size: UInt64, to bytes: inout [UInt8]) {
        bytes += repeatElement(0, count: paddingCount(after: size))
    }

    private static func append(block entry: TarEntry, type: UInt8, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes += repeatElement(0, count: blockSize)
        // A directory's name ends in a slash.
        var name = entry.path
        if entry.kind == .directory { name.append(UInt8(ascii: "/")) }
        let (prefix, rest) = split(name) ?? ([], name[...])
        put(rest.prefix(TarField.name.count), TarField.name, &bytes, start)
        put(octal: UInt64(entry.mode), TarField.mode, &bytes, start)
        put(octal: UInt64(entry.uid), TarField.uid, &bytes, start)
        put(octal: UInt64(entry.gid), TarField.gid, &bytes, start)
        put(octal: entry.size, TarField.size, &bytes, start)
        put(octal: UInt64(clamping: entry.modified.seconds), TarField.modified, &bytes, start)
        bytes[start + TarField.type] = type
        put(entry.target.prefix(TarField.target.count), TarField.target, &bytes, start)
        // "ustar", NUL, "00"
        put(TarField.ustar[...], TarField.magic, &bytes, start)
        // These two and the numbers leave a byte for the closing NUL.
        put(entry.userName.prefix(TarField.userName.count - 1), TarField.userName, &bytes, start)
        put(entry.groupName.prefix(TarField.groupName.count - 1), TarField.groupName, &bytes, start)
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            put(octal: UInt64(entry.special.major), TarField.major, &bytes, start)
            put(octal: UInt64(entry.special.minor), TarField.minor, &bytes, start)
        }
        put(prefix, TarField.prefix, &bytes, start)
        // The sum is taken with spaces in its own place; six digits, NUL, space.
        let sum = bytes[start...].reduce(UInt64(8) * 0x20) { $0 + UInt64($1) }
        let digits = TarField.checksum.lowerBound..<TarField.checksum.upperBound - 1
        put(octal: sum, digits, &bytes, start)
        bytes[start + TarField.checksum.upperBound - 1] = 0x20
    }

    private static func put(_ value: ArraySlice<UInt8>, _ field: Range<Int>, _ bytes: inout [UInt8], _ start: Int) {
        let place = start + field.lowerBound
        bytes.replaceSubrange(place..<place + value.count, with: value)
    }

    /// Octal digits and a NUL; a value that does not fit is written as zero, for its pax record says it.
    private static func put(octal value: UInt64, _ field: Range<Int>, _ bytes: inout [UInt8], _ start: Int) {
        var rest = value <= limit(of: field) ? value : 0
        for index in (field.lowerBound..<field.upperBound - 1).reversed() {
            bytes[start + index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest & 7)
            rest >>= 3
        }
    }

    private static func limit(of field: Range<Int>) -> UInt64 { (1 << (3 * UInt64(field.count - 1))) - 1 }

    /// Prefix and name, when the whole fits into the two fields: cut at a slash that belongs to neither.
    private static func split(_ name: [UInt8]) -> (ArraySlice<UInt8>, ArraySlice<UInt8>)? {
        if name.count <= TarField.name.count { return ([], name[...]) }
        if name.count > TarField.name.count + 1 + TarField.prefix.count { return nil }
        // A directory's closing slash is not a place to cut.
        let last = min(TarField.prefix.count, name.count - 2)
        guard let slash = name[...last].lastIndex(of: UInt8(ascii: "/")), slash > 0, name.count - slash - 1 <= TarField.name.count
        else { return nil }
        return (name[..<slash], name[(slash + 1)...])
    }

    /// Something of the path that fits the name field, for readers that do not know pax.
    private static func shortName(of path: [UInt8]) -> [UInt8] {
        Array(path.suffix(80).split(separator: UInt8(ascii: "/")).last ?? [])
    }

    private static func typeFlag(of kind: TarEntry.Kind) -> UInt8 {
        switch kind {
        case .file: UInt8(ascii: "0")
        case .hardLink: UInt8(ascii: "1")
        case .symlink: UInt8(ascii: "2")
        case .characterDevice: UInt8(ascii: "3")
        case .blockDevice: UInt8(ascii: "4")
        case .directory: UInt8(ascii: "5")
        case .fifo: UInt8(ascii: "6")
        }
    }

    // MARK: pax records

    private static func paxRecords(of entry: TarEntry) -> [UInt8] {
        var records: [UInt8] = []
        var name = entry.path
        if entry.kind == .directory { name.append(UInt8(ascii: "/")) }
        if split(name) == nil || !isASCII(name) { append("path", name, &records) }
        if entry.target.count > TarField.target.count || !isASCII(entry.target) { append("linkpath", entry.target, &records) }
        if entry.userName.count >= TarField.userName.count || !isASCII(entry.userName) { append("uname", entry.userName, &records) }
        if entry.groupName.count >= TarField.groupName.count || !isASCII(entry.groupName) { append("gname", entry.groupName, &records) }
        // Text is UTF-8 by default; what is not must say so, before all the others.
        if !isUTF8(records) {
            var charset: [UInt8] = []
            append("hdrcharset", Array("BINARY".utf8), &charset)
            records = charset + records
        }
        if entry.size > limit(of: TarField.size) { append("size", Array(String(entry.size).utf8), &records) }
        if UInt64(entry.uid) > limit(of: TarField.uid) { append("uid", Array(String(entry.uid).utf8), &records) }
        if UInt64(entry.gid) > limit(of: TarField.gid) { append("gid", Array(String(entry.gid).utf8), &records) }
        let seconds = entry.modified.seconds
        if entry.modified.nanoseconds != 0 || seconds < 0 || UInt64(seconds) > limit(of: TarField.modified) {
            append("mtime", Array(decimal(entry.modified).utf8), &records)
        }
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            for (key, value) in [("SCHILY.devmajor", entry.special.major), ("SCHILY.devminor", entry.special.minor)]
            where UInt64(value) > limit(of: TarField.major) {
                append(key, Array(String(value).utf8), &records)
            }
        }
        for attribute in entry.attributes {
            append(Array(PaxKey.attribute.utf8) + PaxKey.escaped(attribute.name), attribute.value, &records)
        }
        return records
    }

    private static func append(_ key: String, _ value: [UInt8], _ records: inout [UInt8]) {
        append(Array(key.utf8), value, &records)
    }

    /// `<length> <key>=<value>\n`, where the length counts itself.
    private static func append(_ key: [UInt8], _ value: [UInt8], _ records: inout [UInt8]) {
        // Space, equals sign, line end.
        let fixed = key.count + value.count + 3
        var length = fixed + String(fixed).utf8.count
        // Its own digits can make it one digit longer.
        if fixed + String(length).utf8.count != length { length = fixed + String(length).utf8.count }
        records += Array("\(length) ".utf8) + key + [UInt8(ascii: "=")]
        records += value
        records.append(UInt8(ascii: "\n"))
    }

    /// Seconds with as many decimals as there are; of a negative time the magnitude, for pax has no borrowed fractions.
    static func decimal(_ time: Timestamp) -> String {
        let isNegative = time.seconds < 0
        var whole = time.seconds.magnitude
        var fraction = UInt64(time.nanoseconds)
        if isNegative, fraction > 0 {
            whole -= 1
            fraction = 1_000_000_000 - fraction
        }
        var text = (isNegative ? "-" : "") + String(whole)
        if fraction > 0 {
            var digits = Array(padded(fraction, 9))
            while digits.last == "0" { digits.removeLast() }
            text += "." + String(digits)
        }
        return text
    }

    private static func isASCII(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 < 0x80 } }

    private static func isUTF8(_ bytes: [UInt8]) -> Bool { String(validating: bytes, as: UTF8.self) != nil }
}
