// What extended headers say of the entries behind them.
// In: pax records that may be hostile.  Out: the fields that take the place of the header's.
// Source: POSIX.1-2017, pax, "pax Extended Header"; star and GNU tar for SCHILY and GNU keys.

internal import Kernel

struct TarExtension: Sendable {
    var path: [UInt8]?
    var target: [UInt8]?
    private(set) var userName: [UInt8]?
    private(set) var groupName: [UInt8]?
    private(set) var size: UInt64?
    private(set) var uid: UInt32?
    private(set) var gid: UInt32?
    private(set) var modified: Timestamp?
    private(set) var major: UInt32?
    private(set) var minor: UInt32?
    /// Each name once: of several the last is valid.
    private var attributes: [ExtendedAttribute] = []
    private var attributePlaces: [[UInt8]: Int] = [:]
    /// Bytes of the names, each with the NUL of listxattr(2), and of the values.
    private var attributeNameCount = 0
    private var attributeValueCount = 0
    /// Content of such entries is not what it looks like.
    private(set) var isSparse = false

    /// This, with what it does not say taken from `global`.
    func falling(backTo global: TarExtension) -> TarExtension {
        var result = self
        result.path = path ?? global.path
        result.target = target ?? global.target
        result.userName = userName ?? global.userName
        result.groupName = groupName ?? global.groupName
        result.size = size ?? global.size
        result.uid = uid ?? global.uid
        result.gid = gid ?? global.gid
        result.modified = modified ?? global.modified
        result.major = major ?? global.major
        result.minor = minor ?? global.minor
        result.isSparse = isSparse || global.isSparse
        return result
    }

    /// The attributes of an entry, with those that only `global` has.
    func attributes(with global: TarExtension) -> [ExtendedAttribute] {
        if attributes.isEmpty { return global.attributes }
        return global.attributes.filter { attributePlaces[$0.name] == nil } + attributes
    }

    /// Headers may follow one another without end, and all of their attributes are those of one entry.
    private mutating func add(_ attribute: ExtendedAttribute) -> Bool {
        if let place = attributePlaces[attribute.name] {
            attributeValueCount -= attributes[place].value.count
            attributes[place] = attribute
        } else {
            attributePlaces[attribute.name] = attributes.count
            attributes.append(attribute)
            attributeNameCount += attribute.name.count + 1
        }
        attributeValueCount += attribute.value.count
        return attributeNameCount <= TarExtension.longestNames && attributeValueCount <= PayloadLimit.payload
    }

    /// The names of a file's attributes together, beyond which the kernel does not list them. Source: xattr(7), XATTR_LIST_MAX.
    private static let longestNames = 64 << 10

    /// Adds `<length> <key>=<value>\n`, one after the other. False when one is damaged; the rest is then not added.
    mutating func add(paxRecords bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while let first = rest.first {
            // Some programs fill up with NULs.
            if first == 0 { return rest.allSatisfy { $0 == 0 } }
            guard let space = rest.prefix(20).firstIndex(of: UInt8(ascii: " ")), let count = decimal(rest[..<space]),
                count <= UInt64(rest.count), Int(count) > space - rest.startIndex + 1
            else { return false }
            let record = rest[(space + 1)..<rest.startIndex + Int(count)]
            guard record.last == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "=")) else { return false }
            guard add(key: record[..<equals], value: record[(equals + 1)..<(record.endIndex - 1)]) else { return false }
            rest = rest[record.endIndex...]
        }
        return true
    }

    private mutating func add(key: ArraySlice<UInt8>, value: ArraySlice<UInt8>) -> Bool {
        if key.starts(with: PaxKey.attribute.utf8) {
            let name = PaxKey.unescaped(key.dropFirst(PaxKey.attribute.utf8.count))
            guard (1...PayloadLimit.attributeName).contains(name.count), !name.contains(0), value.count <= PayloadLimit.attributeValue
            else { return false }
            return add(ExtendedAttribute(name: name, value: Array(value)))
        }
        // No value takes back what was said before.
        let isEmpty = value.isEmpty
        switch String(decoding: key, as: UTF8.self) {
        case "path": path = isEmpty ? nil : Array(value)
        case "linkpath": target = isEmpty ? nil : Array(value)
        case "uname": userName = isEmpty ? nil : Array(value)
        case "gname": groupName = isEmpty ? nil : Array(value)
        case "size": return set(\.size, value)
        case "uid": return set(\.uid, value)
        case "gid": return set(\.gid, value)
        case "SCHILY.devmajor": return set(\.major, value)
        case "SCHILY.devminor": return set(\.minor, value)
        case "mtime":
            modified = isEmpty ? nil : time(value)
            return isEmpty || modified != nil
        case let key where key.hasPrefix("GNU.sparse."): isSparse = true
        default: break
        }
        return true
    }

    private mutating func set<Number: FixedWidthInteger>(
        _ field: WritableKeyPath<TarExtension, Number?>, _ value: ArraySlice<UInt8>
    ) -> Bool {
        if value.isEmpty {
            self[keyPath: field] = nil
            return true
        }
        guard let number = decimal(value).flatMap(Number.init(exactly:)) else { return false }
        self[keyPath: field] = number
        return true
    }
}

/// Decimal digits and nothing else; nil above 2^64 - 1.
private func decimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
    guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    return UInt64(String(decoding: digits, as: UTF8.self))
}

/// Seconds with a sign and decimals; of decimals beyond the ninth nothing is kept.
private func time(_ value: ArraySlice<UInt8>) -> Timestamp? {
    let isNegative = value.first == UInt8(ascii: "-")
    let parts = value.dropFirst(isNegative ? 1 : 0).split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let whole = decimal(first).flatMap(Int64.init(exactly:)) else { return nil }
    var nanoseconds: UInt32 = 0
    if parts.count == 2, !parts[1].isEmpty {
        let digits = Array(parts[1].prefix(9))
        guard let fraction = decimal(digits[...]), decimal(parts[1].prefix(19)) != nil else { return nil }
        nanoseconds = UInt32(fraction)
        for _ in digits.count..<9 { nanoseconds *= 10 }
    }
    if !isNegative { return Timestamp(seconds: whole, nanoseconds: nanoseconds) }
    if nanoseconds == 0 { return Timestamp(seconds: -whole) }
    return Timestamp(seconds: -whole - 1, nanoseconds: 1_000_000_000 - nanoseconds)
}
