// One element of `ls --json`: a contract with scripts.

internal import Archiving
internal import Cataloging
internal import Kernel

struct ListingElement: Encodable, Hashable {
    /// Absolute. Bytes that are not UTF-8 show as U+FFFD, and `pathBase64` has them all.
    var path: String
    /// Base64 of the path's bytes, with its leading slash; only where the path is not UTF-8.
    var pathBase64: String?
    /// file, directory, symlink, fifo, socket, character-device or block-device
    var type: String
    /// The permission bits with setuid, setgid and sticky as a number, 0...4095: 420 is 0644.
    var mode: UInt16
    var uid: UInt32
    var gid: UInt32
    /// Bytes; of what is no file, what stat(2) says.
    var size: UInt64
    /// ISO 8601 in UTC with milliseconds.
    var mtime: String
    var snapshot: UInt64
    /// True for a directory above the sources, of which the snapshot knows only the name; else missing.
    var implicit: Bool?

    init(_ listed: ListedEntry, snapshot: UInt64) {
        let entry = listed.entry
        path = entry.path.text
        pathBase64 = Base64.encode(unlessText: entry.path)
        type = EntryText.typeName(entry.kind)
        mode = entry.mode
        uid = entry.uid
        gid = entry.gid
        size = entry.size
        mtime = entry.modified.iso8601
        self.snapshot = snapshot
        implicit = listed.isImplicit ? true : nil
    }
}

/// RFC 4648, section 4, with padding.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Of a path that is not UTF-8, with its leading slash; nil for all others.
    static func encode(unlessText path: Path) -> String? {
        String(validating: path.bytes, as: UTF8.self) == nil ? encode([UInt8(ascii: "/")] + path.bytes) : nil
    }

    static func encode(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            // Three bytes, the missing ones as zeros.
            let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                let value = Int(bits >> UInt32(18 - 6 * place) & 63)
                result.append(place <= group.count ? alphabet[value] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
