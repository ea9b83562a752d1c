// What is mounted where, as this process sees it.
// In: the text of /proc/self/mountinfo.  Out: one MountRecord per line; a line that cannot be read is left out.
// Source: proc_pid_mountinfo(5).

/// One mount.
public struct MountRecord: Hashable, Sendable {
    /// Unique among the present mounts; used again after an unmount.
    public let id: UInt64
    public let device: DeviceNumber
    /// Where it is mounted.
    public let point: Path

    public init(id: UInt64, device: DeviceNumber, point: Path) {
        self.id = id
        self.device = device
        self.point = point
    }
}

public enum MountTable {
    public static let path = Path(unchecked: Array("proc/self/mountinfo".utf8))

    /// The mounts of this process, in the kernel's order.
    public static func read() throws(Errno) -> [MountRecord] {
        parse(try path.readFile())
    }

    /// Opens the table for `Poller.add(mountTable:)`.
    public static func open() throws(Errno) -> Descriptor {
        try Descriptor.open(path, [.read])
    }

    /// Takes the text apart: `36 35 98:0 /root /mount/point options …`. Spaces in a path are written as `\040`.
    public static func parse(_ bytes: [UInt8]) -> [MountRecord] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            guard fields.count >= 5, let id = number(fields[0]) else { return nil }
            let device = fields[2].split(separator: UInt8(ascii: ":"))
            guard device.count == 2, let major = number(device[0]), let minor = number(device[1]),
                let major = UInt32(exactly: major), let minor = UInt32(exactly: minor),
                fields[4].first == UInt8(ascii: "/"),
                let point = Path(validating: Array(unescaped(fields[4]).dropFirst()))
            else { return nil }
            return MountRecord(id: id, device: DeviceNumber(major: major, minor: minor), point: point)
        }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        UInt64(String(decoding: digits, as: UTF8.self))
    }

    /// Replaces `\` and three octal digits by the byte they stand for.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                result.append(value)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }
}
