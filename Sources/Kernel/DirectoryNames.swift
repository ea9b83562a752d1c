// All names of one directory at once, sorted by their bytes, in memory that serves the next directory too.
// In: an open directory.  Out: names with a NUL behind each, ready for a system call.
// Source: readdir(3), "d_type".

internal import CLinux
internal import Glibc

public final class DirectoryNames {
    private struct Entry {
        var start: Int
        var count: Int
        var kind: FileKind?
    }

    private var bytes: UnsafeMutablePointer<UInt8>
    private var capacity = 16 << 10
    private var used = 0
    private var entries: [Entry] = []

    public init() {
        bytes = .allocate(capacity: capacity)
    }

    deinit {
        bytes.deallocate()
    }

    public var count: Int { entries.count }

    /// Replaces what is here by the names in `directory`, without "." and "..", in ascending order.
    ///
    /// - Throws: The errno of getdents64(2), for example EIO; the names read until then are here, sorted.
    /// - Complexity: O(n log n), without an allocation for each name.
    public func read(_ directory: borrowing Descriptor) throws(Errno) {
        used = 0
        entries.removeAll(keepingCapacity: true)
        let raw = try directory.duplicate().release()
        guard let stream = fdopendir(raw) else {
            let code = errno
            _ = Glibc.close(raw)
            throw Errno(rawValue: code)
        }
        defer {
            closedir(stream)
            sort()
        }
        // The duplicate shares its position with `directory`, which may have been read before.
        rewinddir(stream)
        guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return }
        while let entry = try nextEntry(stream) {
            // d_name ends with a NUL inside the record that the kernel gave.
            let name = (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: UInt8.self)
            let count = strlen(UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
            if count <= 2, name[0] == UInt8(ascii: "."), count == 1 || name[1] == UInt8(ascii: ".") { continue }
            append(name, count, DirectoryNames.kind(entry.pointee.d_type))
        }
    }

    /// The name at `index`, 0..<count. Valid until the next `read`; a NUL follows it.
    public func name(at index: Int) -> UnsafeBufferPointer<UInt8> {
        let entry = entries[index]
        return UnsafeBufferPointer(start: bytes + entry.start, count: entry.count)
    }

    /// The same name as the system calls take it.
    public func terminatedName(at index: Int) -> UnsafePointer<CChar> {
        UnsafeRawPointer(bytes + entries[index].start).assumingMemoryBound(to: CChar.self)
    }

    /// What the directory says of it; nil where the file system does not tell.
    public func kind(at index: Int) -> FileKind? { entries[index].kind }

    /// Where `name` stands; nil when the directory has no such name.
    public func index(of name: [UInt8]) -> Int? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            let order = name.withUnsafeBufferPointer { DirectoryNames.order(self.name(at: middle), $0) }
            if order == 0 { return middle }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// Negative, zero or positive, as memcmp; a beginning comes before what it begins.
    public static func order(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        guard let a = left.baseAddress, let b = right.baseAddress else { return left.count - right.count }
        // Both hold at least as many bytes as the shorter one.
        let order = Int(memcmp(a, b, min(left.count, right.count)))
        return order != 0 ? order : left.count - right.count
    }

    private func append(_ name: UnsafePointer<UInt8>, _ count: Int, _ kind: FileKind?) {
        if used + count + 1 > capacity {
            // A name has at most 255 bytes: doubling always makes room for it.
            let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity * 2)
            larger.update(from: bytes, count: used)
            bytes.deallocate()
            bytes = larger
            capacity *= 2
        }
        // `count` bytes and the NUL behind them.
        (bytes + used).update(from: name, count: count + 1)
        entries.append(Entry(start: used, count: count, kind: kind))
        used += count + 1
    }

    private func sort() {
        let bytes = bytes
        entries.sort {
            let left = UnsafeBufferPointer(start: bytes + $0.start, count: $0.count)
            return DirectoryNames.order(left, UnsafeBufferPointer(start: bytes + $1.start, count: $1.count)) < 0
        }
    }

    private static func kind(_ type: UInt8) -> FileKind? {
        switch Int(type) {
        case Int(DT_REG): .file
        case Int(DT_DIR): .directory
        case Int(DT_LNK): .symlink
        case Int(DT_FIFO): .fifo
        case Int(DT_SOCK): .socket
        case Int(DT_CHR): .characterDevice
        case Int(DT_BLK): .blockDevice
        default: nil
        }
    }
}
