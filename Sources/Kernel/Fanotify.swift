// The kernel's queue of the events of whole file systems, and the bytes it gives.
// In: file systems and directories to mark.  Out: FanotifyEvent, in the order in which things happened; what happens to one
// name again before it is read is added to the event that waits already.
// Invariant: no byte sequence makes the decoder trap or read outside its buffer; a damaged rest is left out.
// Source: fanotify(7), Linux 5.9.

internal import CLinux
internal import Glibc

/// A fanotify group; closing it removes its marks.
public struct Fanotify: ~Copyable, Sendable {
    private let descriptor: Descriptor

    /// The kernel gives both mechanisms the same numbers.
    public typealias Events = Inotify.Events

    /// A group that names each event by the handle of a directory and a name in it.
    ///
    /// - Throws: EMFILE when the user has `max_user_groups` of them, EPERM where only root may, EINVAL before Linux 5.9.
    /// Source: fanotify_init(2).
    public init() throws(Errno) {
        let flags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_DIR_FID | FAN_REPORT_NAME
        descriptor = Descriptor(owning: try system { fanotify_init(UInt32(flags), UInt32(O_RDONLY | O_CLOEXEC)) })
    }

    /// Reports events everywhere in the file system that holds an open directory, through whatever mount they are made.
    /// The mark ends with the file system and does not keep it from being unmounted. Marking again changes nothing.
    ///
    /// - Throws: EPERM without CAP_SYS_ADMIN, EXDEV in a subvolume with an id of its own, ENODEV where the file system has no
    ///   id, EOPNOTSUPP where it has no handles. Source: fanotify_mark(2), FAN_MARK_FILESYSTEM (Linux 4.20).
    public borrowing func markFileSystem(of directory: borrowing Descriptor, for events: Events) throws(Errno) {
        try mark(directory, events, FAN_MARK_FILESYSTEM)
    }

    /// Reports events of the names in one directory.
    ///
    /// - Throws: ENOSPC at `max_user_marks`, else as `markFileSystem`.
    public borrowing func markDirectory(_ directory: borrowing Descriptor, for events: Events) throws(Errno) {
        try mark(directory, events, FAN_MARK_ONLYDIR)
    }

    private borrowing func mark(_ directory: borrowing Descriptor, _ events: Events, _ kind: CInt) throws(Errno) {
        let group = descriptor.rawValue
        let place = directory.rawValue
        let mask = UInt64(events.union(.isDirectory).rawValue)
        // Without a path it is the open directory itself.
        _ = try system { fanotify_mark(group, UInt32(FAN_MARK_ADD | kind), mask, place, nil) }
    }

    /// The devices of the file systems that are marked; one that was unmounted is not among them any more.
    /// Source: proc_pid_fdinfo(5), "sdev".
    public borrowing func markedFileSystems() throws(Errno) -> Set<DeviceNumber> {
        guard let path = Path("/proc/self/fdinfo/\(descriptor.rawValue)") else { return [] }
        return Fanotify.markedFileSystems(in: try path.readFile())
    }

    static func markedFileSystems(in text: [UInt8]) -> Set<DeviceNumber> {
        var result: Set<DeviceNumber> = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            for field in line.split(separator: UInt8(ascii: " ")) where field.starts(with: "sdev:".utf8) {
                guard let device = UInt32(String(decoding: field.dropFirst(5), as: UTF8.self), radix: 16) else { continue }
                // The kernel's own form: 12 bits and 20 bits.
                result.insert(DeviceNumber(major: device >> 20, minor: device & 0xF_FFFF))
            }
        }
        return result
    }

    /// Takes events from the queue, as many as fit; at least 4,096 bytes of room are needed.
    ///
    /// - Returns: Bytes for `FanotifyDecoder`; 0 when the queue is empty. Never waits.
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        do throws(Errno) { return try descriptor.read(into: buffer) } catch .wouldBlock { return 0 }
    }

    borrowing func pollable() -> CInt { descriptor.rawValue }

    /// How many events the queue of a group holds. Source: proc_sys_fs(5), fanotify.
    public static func queueLimit() -> Int {
        Inotify.number(in: "/proc/sys/fs/fanotify/max_queued_events") ?? 16384
    }
}

/// One event. `name` points into the buffer that was decoded and is valid as long as that.
public struct FanotifyEvent {
    /// All that happened to this name since the queue was read last, in no order.
    public let kinds: Fanotify.Events
    /// Nil for an overflow, and for a handle that is too long to be held.
    public let directory: FileHandle?
    /// The name in the directory; empty when the event is of the directory itself.
    public let name: UnsafeRawBufferPointer

    public init(kinds: Fanotify.Events, directory: FileHandle?, name: UnsafeRawBufferPointer) {
        self.kinds = kinds
        self.directory = directory
        self.name = name
    }
}

/// Takes a buffer of read(2) apart.
public struct FanotifyDecoder {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    public init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next event; nil at the end, and before a record that is cut off or of another version.
    public mutating func next() -> FanotifyEvent? {
        // event_len + vers + reserved + metadata_len + mask + fd + pid
        let header = 4 + 1 + 1 + 2 + 8 + 4 + 4
        guard bytes.count - offset >= header else { return nil }
        let length = Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        let version = bytes[offset + 4]
        let metadata = Int(bytes.loadUnaligned(fromByteOffset: offset + 6, as: UInt16.self))
        let mask = bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
        guard version == FANOTIFY_METADATA_VERSION, length <= bytes.count - offset, metadata >= header, metadata <= length else {
            offset = bytes.count
            return nil
        }
        let records = UnsafeRawBufferPointer(rebasing: bytes[(offset + metadata)..<(offset + length)])
        offset += length
        let kinds = Fanotify.Events(rawValue: UInt32(truncatingIfNeeded: mask))
        return FanotifyDecoder.event(kinds, records)
    }

    /// Looks for the record that names directory and name. Source: fanotify(7), "fanotify_event_info_fid".
    private static func event(_ kinds: Fanotify.Events, _ records: UnsafeRawBufferPointer) -> FanotifyEvent {
        let none = FanotifyEvent(kinds: kinds, directory: nil, name: UnsafeRawBufferPointer(start: nil, count: 0))
        // info_type + pad + len, fsid, handle_bytes + handle_type
        let head = 4 + 8 + 8
        var start = 0
        while records.count - start >= head {
            let type = CInt(records[start])
            let length = Int(records.loadUnaligned(fromByteOffset: start + 2, as: UInt16.self))
            guard length >= head, length <= records.count - start else { return none }
            if type == FAN_EVENT_INFO_TYPE_DFID_NAME || type == FAN_EVENT_INFO_TYPE_DFID {
                let fileSystem = records.loadUnaligned(fromByteOffset: start + 4, as: UInt64.self)
                let count = Int(records.loadUnaligned(fromByteOffset: start + 12, as: UInt32.self))
                let handleType = records.loadUnaligned(fromByteOffset: start + 16, as: Int32.self)
                guard count <= length - head else { return none }
                let handle = UnsafeRawBufferPointer(rebasing: records[(start + head)..<(start + head + count)])
                // Padded with NULs: the name ends at the first. "." is the directory itself.
                let field = UnsafeRawBufferPointer(rebasing: records[(start + head + count)..<(start + length)])
                let end = field.firstIndex(of: 0) ?? field.count
                let isItself = end == 1 && field[0] == UInt8(ascii: ".")
                return FanotifyEvent(
                    kinds: kinds, directory: FileHandle(fileSystem: fileSystem, type: handleType, bytes: handle),
                    name: UnsafeRawBufferPointer(rebasing: field[..<(isItself ? 0 : end)]))
            }
            start += length
        }
        return none
    }
}
