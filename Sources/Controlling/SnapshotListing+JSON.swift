// The JSON of a long list of snapshots, written row by row.
// In: listings.  Out: the bytes that ControlJSON gives for the same array.
// A general encoder takes 7 µs for a row, which makes a third of a second of 50,000 of them; this takes less than 1 µs.

extension SnapshotListing {
    /// The pretty form of an array of listings, members in ascending order, without a closing newline.
    package static func json(_ listings: [SnapshotListing]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(listings.count * 300)
        bytes.append(UInt8(ascii: "["))
        for (index, listing) in listings.enumerated() {
            bytes += (index == 0 ? "\n" : ",\n").utf8
            try listing.append(to: &bytes)
        }
        bytes += "\n]".utf8
        return bytes
    }

    private func append(to bytes: inout [UInt8]) throws {
        bytes += "  {\n    \"archives\" : ".utf8
        bytes += "\(archives)".utf8
        bytes += ",\n    \"bytes_added\" : ".utf8
        bytes.append(decimal: bytesAdded)
        bytes += ",\n    \"bytes_source\" : ".utf8
        bytes.append(decimal: bytesSource)
        bytes += ",\n    \"entries\" : ".utf8
        bytes.append(decimal: entries)
        bytes += ",\n    \"entries_changed\" : ".utf8
        bytes.append(decimal: entriesChanged)
        bytes += ",\n    \"kind\" : ".utf8
        bytes += try ControlJSON.text(kind)
        bytes += ",\n    \"number\" : ".utf8
        bytes.append(decimal: number)
        bytes += (pinned ? ",\n    \"pinned\" : true" : ",\n    \"pinned\" : false").utf8
        bytes += ",\n    \"tags\" : [".utf8
        for (index, tag) in tags.enumerated() {
            bytes += (index == 0 ? "\n      " : ",\n      ").utf8
            bytes += try ControlJSON.text(tag)
        }
        bytes += (tags.isEmpty ? "\n\n    ]" : "\n    ]").utf8
        bytes += ",\n    \"time\" : ".utf8
        bytes += try ControlJSON.text(time)
        bytes += "\n  }".utf8
    }
}

extension ControlJSON {
    /// A JSON string. What needs no escaping is only put between quotes.
    fileprivate static func text(_ value: String) throws -> [UInt8] {
        let isPlain = value.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        if isPlain { return [UInt8(ascii: "\"")] + value.utf8 + [UInt8(ascii: "\"")] }
        return try encode(value)
    }
}

extension [UInt8] {
    fileprivate mutating func append(decimal value: UInt64) {
        if value > 9 { append(decimal: value / 10) }
        append(UInt8(ascii: "0") + UInt8(value % 10))
    }
}
