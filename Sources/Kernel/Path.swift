// Where a file stands, as the bytes that the kernel uses.
// Linux names are not UTF-8, so a path is bytes from end to end; `String` appears only where a person reads it.
// Invariant: relative to the root directory, no leading slash, no empty, "." or ".." component, no NUL.
// The empty path is the root directory itself.

/// An absolute path without its leading slash: 0...1,048,576 bytes.
public struct Path: Hashable, Sendable {
    public let bytes: [UInt8]

    /// The root directory.
    public static let root = Path(unchecked: [])

    /// The longest path that is accepted. Longer than PATH_MAX, for a tree can be deeper than one call can name.
    public static let maximumLength = 1 << 20

    /// Takes bytes that already satisfy the invariant.
    package init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Takes the bytes of a path in a snapshot; nil when they break the invariant.
    ///
    /// - Complexity: O(length).
    public init?(validating bytes: [UInt8]) {
        guard bytes.count <= Path.maximumLength else { return nil }
        guard bytes.isEmpty || bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy(Path.isName)
        else { return nil }
        self.bytes = bytes
    }

    /// Takes what a person typed: absolute, or relative to `base`. "." and ".." are resolved by their letters, without
    /// asking the file system. Nil when it holds a NUL or is too long.
    public init?(_ text: String, relativeTo base: Path = .root) {
        var parts: [ArraySlice<UInt8>] = text.utf8.first == UInt8(ascii: "/") ? [] : base.components
        for part in Array(text.utf8).split(separator: UInt8(ascii: "/")) {
            if part.elementsEqual(".".utf8) { continue }
            if part.elementsEqual("..".utf8) {
                _ = parts.popLast()
            } else if Path.isName(part) {
                parts.append(part)
            } else {
                return nil
            }
        }
        bytes = Array(parts.joined(separator: [UInt8(ascii: "/")]))
        if bytes.count > Path.maximumLength { return nil }
    }

    /// True for 1...255 bytes that can be one component.
    public static func isName(_ name: ArraySlice<UInt8>) -> Bool {
        guard (1...255).contains(name.count), !name.contains(0), !name.contains(UInt8(ascii: "/")) else { return false }
        return !name.elementsEqual(".".utf8) && !name.elementsEqual("..".utf8)
    }

    public var isRoot: Bool { bytes.isEmpty }

    public var components: [ArraySlice<UInt8>] { bytes.split(separator: UInt8(ascii: "/")) }

    /// The last component; empty for the root directory.
    public var name: ArraySlice<UInt8> {
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes[...] }
        return bytes[(slash + 1)...]
    }

    /// The directory that holds it; nil for the root directory.
    public var parent: Path? {
        if bytes.isEmpty { return nil }
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return .root }
        return Path(unchecked: Array(bytes[..<slash]))
    }

    /// The path of `name` in this directory. `name` is one component.
    public func appending(_ name: some Collection<UInt8>) -> Path {
        var result = [UInt8]()
        result.reserveCapacity(bytes.count + 1 + name.count)
        result += bytes
        if !bytes.isEmpty { result.append(UInt8(ascii: "/")) }
        result += name
        return Path(unchecked: result)
    }

    /// True when this is `ancestor` or lies below it.
    public func isAtOrBelow(_ ancestor: Path) -> Bool {
        let length = ancestor.bytes.count
        if length == 0 { return true }
        guard bytes.count >= length, bytes.count == length || bytes[length] == UInt8(ascii: "/") else { return false }
        return bytes.starts(with: ancestor.bytes)
    }

    public func isBelow(_ ancestor: Path) -> Bool {
        bytes.count > ancestor.bytes.count && isAtOrBelow(ancestor)
    }

    /// The bytes of this path below `ancestor`, without a leading slash. Requires `isAtOrBelow(ancestor)`.
    public func suffix(below ancestor: Path) -> ArraySlice<UInt8> {
        if ancestor.bytes.isEmpty { return bytes[...] }
        return bytes.dropFirst(ancestor.bytes.count + 1)
    }

    /// The path with its leading slash and a closing NUL, as the kernel takes it.
    package var terminated: [CChar] {
        var result = [CChar]()
        result.reserveCapacity(bytes.count + 2)
        result.append(CChar(bitPattern: UInt8(ascii: "/")))
        for byte in bytes { result.append(CChar(bitPattern: byte)) }
        result.append(0)
        return result
    }

    /// With its leading slash; bytes that are not UTF-8 are lost. For programs that take only text; persons read `description`.
    public var text: String { "/" + String(decoding: bytes, as: UTF8.self) }
}

extension Path: Comparable {
    /// Tree order: a directory comes before what is in it, and all of a directory's content stands together.
    public static func < (left: Path, right: Path) -> Bool {
        treeOrder(left.bytes, right.bytes) < 0
    }

    /// Negative, zero or positive, as memcmp. The slash counts as the lowest byte.
    public static func treeOrder(_ left: [UInt8], _ right: [UInt8]) -> Int {
        left.withUnsafeBufferPointer { a in
            right.withUnsafeBufferPointer { b in
                // Both indices stay below the shorter count.
                var index = 0
                let shorter = min(a.count, b.count)
                while index < shorter, a[index] == b[index] { index += 1 }
                if index == shorter { return a.count - b.count }
                if a[index] == UInt8(ascii: "/") { return -1 }
                if b[index] == UInt8(ascii: "/") { return 1 }
                return Int(a[index]) - Int(b[index])
            }
        }
    }
}

extension Path: CustomStringConvertible {
    /// With its leading slash, and everything that could confuse a terminal escaped as `\xNN`.
    public var description: String { "/" + printable(bytes) }
}

/// Text that is safe on a terminal: control characters and bytes that are not UTF-8 become `\xNN`, a backslash `\\`.
public func printable(_ bytes: some Sequence<UInt8>) -> String {
    let bytes = Array(bytes)
    var result = ""
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        if byte == UInt8(ascii: "\\") {
            result += "\\\\"
            index += 1
        } else if (0x20...0x7E).contains(byte) {
            result.unicodeScalars.append(Unicode.Scalar(byte))
            index += 1
        } else if let (scalar, length) = scalar(in: bytes, at: index), !isConfusing(scalar) {
            result.unicodeScalars.append(scalar)
            index += length
        } else {
            let digits = String(byte, radix: 16)
            result += "\\x" + (digits.count == 1 ? "0" : "") + digits
            index += 1
        }
    }
    return result
}

/// The well-formed UTF-8 scalar of two to four bytes at `index`.
private func scalar(in bytes: [UInt8], at index: Int) -> (Unicode.Scalar, Int)? {
    let length: Int
    switch bytes[index] {
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF: length = 3
    case 0xF0...0xF4: length = 4
    default: return nil
    }
    guard index + length <= bytes.count, let text = String(validating: bytes[index..<index + length], as: UTF8.self),
        let scalar = text.unicodeScalars.first
    else { return nil }
    return (scalar, length)
}

/// Control characters, and those that change the direction or the place of what follows.
private func isConfusing(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
    default: false
    }
}
