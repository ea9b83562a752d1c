// The rarer fields of an entry as one column: target, device, attributes, inode flags.
// In and out: Entry.  Empty for an entry that has none of them.
// Layout: (tag, value)*, the tags of the repository format's fields, in their order.

internal import Archiving
internal import Kernel

enum ExtraCode {
    private enum Tag {
        static let target: UInt64 = 3
        static let special: UInt64 = 4
        static let attribute: UInt64 = 5
        static let inodeFlags: UInt64 = 6
    }

    static func encode(_ entry: Entry) -> [UInt8] {
        let hasSpecial = entry.special.major != 0 || entry.special.minor != 0
        if entry.target.isEmpty && !hasSpecial && entry.attributes.isEmpty && entry.inodeFlags == 0 { return [] }
        var writer = CompactWriter()
        if !entry.target.isEmpty {
            writer.add(Tag.target)
            writer.add(entry.target)
        }
        if hasSpecial {
            writer.add(Tag.special)
            writer.add(entry.special.combined)
        }
        for attribute in entry.attributes {
            writer.add(Tag.attribute)
            writer.add(attribute.name)
            writer.add(attribute.value)
        }
        if entry.inodeFlags != 0 {
            writer.add(Tag.inodeFlags)
            writer.add(UInt64(entry.inodeFlags))
        }
        return writer.bytes
    }

    /// False at bytes that were not written here.
    static func decode(_ bytes: UnsafeRawBufferPointer, into entry: inout Entry) -> Bool {
        var reader = CompactReader(bytes)
        while !reader.isAtEnd {
            switch reader.number() {
            case Tag.target:
                guard let target = reader.text() else { return false }
                entry.target = target
            case Tag.special:
                guard let value = reader.number() else { return false }
                entry.special = DeviceNumber(
                    major: UInt32(value >> 32), minor: UInt32(truncatingIfNeeded: value))
            case Tag.attribute:
                guard let name = reader.text(), let value = reader.text() else { return false }
                entry.attributes.append(ExtendedAttribute(name: name, value: value))
            case Tag.inodeFlags:
                guard let value = reader.number(), let flags = UInt32(exactly: value) else { return false }
                entry.inodeFlags = flags
            default:
                return false
            }
        }
        return true
    }
}
