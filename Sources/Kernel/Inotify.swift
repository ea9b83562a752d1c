// The kernel's queue of file system events, and the bytes it gives.
// In: directories to watch.  Out: InotifyEvent, one after the other, in the order in which things happened.
// Invariant: no byte sequence makes the decoder trap or read outside its buffer; a damaged rest is left out.
// Source: inotify(7).

internal import CLinux
internal import Glibc

/// An inotify instance; closing it removes its watches.
public struct Inotify: ~Copyable, Sendable {
    private let descriptor: Descriptor

    /// What is asked for, and what happened. Source: inotify(7), "inotify events".
    public struct Events: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let modified = Events(rawValue: UInt32(IN_MODIFY))
        /// Mode, owner, times, extended attributes, link count.
        public static let attributes = Events(rawValue: UInt32(IN_ATTRIB))
        /// A file that was open for writing is closed; also the end of a writable mapping.
        public static let closedAfterWriting = Events(rawValue: UInt32(IN_CLOSE_WRITE))
        public static let movedFrom = Events(rawValue: UInt32(IN_MOVED_FROM))
        public static let movedTo = Events(rawValue: UInt32(IN_MOVED_TO))
        public static let created = Events(rawValue: UInt32(IN_CREATE))
        public static let deleted = Events(rawValue: UInt32(IN_DELETE))
        /// The watched directory itself is gone, and no process holds it open any more.
        public static let selfDeleted = Events(rawValue: UInt32(IN_DELETE_SELF))
        public static let selfMoved = Events(rawValue: UInt32(IN_MOVE_SELF))

        // Only in events:

        public static let isDirectory = Events(rawValue: UInt32(IN_ISDIR))
        public static let unmounted = Events(rawValue: UInt32(IN_UNMOUNT))
        /// The queue was full and events are lost; the watch number is -1.
        public static let overflowed = Events(rawValue: UInt32(IN_Q_OVERFLOW))
        /// The watch is gone: removed, its directory deleted, or its file system unmounted.
        public static let ignored = Events(rawValue: UInt32(IN_IGNORED))
    }

    /// What to do when this instance already watches the same inode.
    public enum Existing: Sendable {
        /// EEXIST. Source: inotify(7), IN_MASK_CREATE (Linux 4.18).
        case refuse
        /// The same watch number, now with these events too. Source: inotify(7), IN_MASK_ADD.
        case extend
    }

    /// - Throws: EMFILE when the user has `max_user_instances` of them. Source: inotify_init1(2).
    public init() throws(Errno) {
        descriptor = Descriptor(owning: try system { inotify_init1(CInt(IN_NONBLOCK) | CInt(IN_CLOEXEC)) })
    }

    /// Watches exactly the directory that `directory` has opened, wherever its name is now. Files that are unlinked while open
    /// go on reporting, by the name that they had: one that got its name by linkat(2) is called `#` and its inode for as long
    /// as it stays open, and IN_EXCL_UNLINK would silence it.
    ///
    /// - Returns: The watch number. It is not given again before 2^31 others.
    /// - Throws: ENOSPC at the user's limit of watches, EACCES without permission to read, EEXIST (see `existing`).
    /// Source: inotify_add_watch(2), through /proc/self/fd, for there is no form that takes a descriptor.
    public borrowing func watch(
        _ directory: borrowing Descriptor, for events: Events, existing: Existing
    ) throws(Errno) -> Int32 {
        let mode = existing == .refuse ? UInt32(IN_MASK_CREATE) : UInt32(IN_MASK_ADD)
        let mask = events.rawValue | mode | UInt32(IN_ONLYDIR)
        let queue = descriptor.rawValue
        return try withPath(of: directory) { path throws(Errno) in try system { inotify_add_watch(queue, path, mask) } }
    }

    /// Ends a watch; an `ignored` event follows. Source: inotify_rm_watch(2).
    ///
    /// - Throws: EINVAL when it has already ended.
    public borrowing func unwatch(_ watch: Int32) throws(Errno) {
        let queue = descriptor.rawValue
        _ = try system { inotify_rm_watch(queue, watch) }
    }

    /// Takes events from the queue, as many as fit; at least 4,096 bytes of room are needed.
    ///
    /// - Returns: Bytes for `InotifyDecoder`; 0 when the queue is empty. Never waits.
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        do throws(Errno) { return try descriptor.read(into: buffer) } catch .wouldBlock { return 0 }
    }

    borrowing func pollable() -> CInt { descriptor.rawValue }

    /// The numbers of all watches, as the kernel itself lists them. Source: proc_pid_fdinfo(5), "inotify wd:".
    ///
    /// - Complexity: O(watches); the text is about 150 bytes for each.
    public borrowing func watches() throws(Errno) -> Set<Int32> {
        guard let file = Path("/proc/self/fdinfo/\(descriptor.rawValue)") else { return [] }
        let mark = Array("inotify wd:".utf8)
        var result: Set<Int32> = []
        for line in try file.readFile(limit: 1 << 30).split(separator: UInt8(ascii: "\n")) where line.starts(with: mark) {
            let digits = line.dropFirst(mark.count).prefix { $0 != UInt8(ascii: " ") }
            if let number = Int32(String(decoding: digits, as: UTF8.self), radix: 16) { result.insert(number) }
        }
        return result
    }
}

/// Names an open file, also one that is open as a place only, for a call that takes no descriptor of that kind.
func withPath<Value>(
    of file: borrowing Descriptor, _ body: (UnsafePointer<CChar>?) throws(Errno) -> Value
) throws(Errno) -> Value {
    // 14 + 10 digits + NUL bytes at most.
    var place: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    let number = file.rawValue
    return try withUnsafeMutableBytes(of: &place) { (buffer) throws(Errno) -> Value in
        try body(writeDescriptorPath(number, into: buffer))
    }
}

/// Writes "/proc/self/fd/N" and a NUL; `buffer` has 32 bytes that are zero.
private func writeDescriptorPath(_ number: CInt, into buffer: UnsafeMutableRawBufferPointer) -> UnsafePointer<CChar>? {
    var count = 0
    for byte in StaticString("/proc/self/fd/").bytes {
        buffer[count] = byte
        count += 1
    }
    var divisor: CInt = 1
    while number / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
        buffer[count] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10)
        count += 1
        divisor /= 10
    }
    return UnsafePointer(buffer.baseAddress?.assumingMemoryBound(to: CChar.self))
}

extension StaticString {
    fileprivate var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}

/// One event. `name` points into the buffer that was decoded and is valid as long as that.
public struct InotifyEvent {
    /// The watch that it belongs to; -1 for an overflow.
    public let watch: Int32
    public let kinds: Inotify.Events
    /// Joins the two halves of a rename; 0 for everything else.
    public let cookie: UInt32
    /// The name in the watched directory; empty when the event is of that directory itself.
    public let name: UnsafeRawBufferPointer

    public init(watch: Int32, kinds: Inotify.Events, cookie: UInt32 = 0, name: UnsafeRawBufferPointer) {
        self.watch = watch
        self.kinds = kinds
        self.cookie = cookie
        self.name = name
    }
}

/// Takes a buffer of read(2) apart.
public struct InotifyDecoder {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    public init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next event; nil at the end, and before a record that is cut off.
    public mutating func next() -> InotifyEvent? {
        // wd + mask + cookie + len
        let header = 4 + 4 + 4 + 4
        guard bytes.count - offset >= header else { return nil }
        let watch = bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)
        let mask = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
        let cookie = bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self)
        let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
        let start = offset + header
        guard length <= bytes.count - start else {
            offset = bytes.count
            return nil
        }
        offset = start + length
        // The field is padded with NULs: the name ends at the first.
        let field = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
        var count = length
        if let first = field.baseAddress, let end = memchr(first, 0, length) { count = UnsafeRawPointer(end) - first }
        return InotifyEvent(
            watch: watch, kinds: Inotify.Events(rawValue: mask), cookie: cookie,
            name: UnsafeRawBufferPointer(rebasing: field[..<count]))
    }
}
