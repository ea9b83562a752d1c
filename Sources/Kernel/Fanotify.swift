// The kernel's queue of the events of whole file systems, or of directories, and the bytes it gives.
// In: file systems and directories to mark.  Out: FanotifyEvent, in the order in which things happened; what happens to one
// name again before it is read is added to the event that waits already.
// Invariant: no byte sequence makes the decoder trap or read outside its buffer; a damaged rest is left out.
// Source: fanotify(7), Linux 5.9; without CAP_SYS_ADMIN 5.13, and directories only.

internal import CLinux
internal import Glibc

/// A fanotify group; closing it removes its marks.
public struct Fanotify: ~Copyable, Sendable {
    private let descriptor: Descriptor

    /// The kernel gives both mechanisms the same numbers.
    public typealias Events = Inotify.Events

    /// A group that names each event by the handle of a directory and a name in it.
    ///
    /// - Throws: EMFILE when the user has `max_user_groups` of them, EPERM where only root may (before Linux 5.13, or by a
    ///   filter of system calls), EINVAL before Linux 5.9.
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
        try mark(directory, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, events.union(.isDirectory))
    }

    /// Reports events of one directory and of the names in it. Marking again adds events. Of itself it reports only its own
    /// attributes, move and end; those of a directory in it come by the handle of that one, marked or not.
    ///
    /// - Throws: ENOSPC at `max_user_marks`, EACCES without permission to read, EXDEV where a part of a file system has an id
    ///   of its own and the kernel is older than 6.8 or the group marks others too, else as `markFileSystem`.
    public borrowing func markDirectory(_ directory: borrowing Descriptor, for events: Events) throws(Errno) {
        try mark(directory, FAN_MARK_ADD | FAN_MARK_ONLYDIR, events.union([.isDirectory, .ofNames]))
    }

    /// Ends the reports of one directory; `events` are all that were asked for.
    ///
    /// - Throws: ENOENT when it is not marked.
    public borrowing func unmarkDirectory(_ directory: borrowing Descriptor, for events: Events) throws(Errno) {
        try mark(directory, FAN_MARK_REMOVE | FAN_MARK_ONLYDIR, events.union([.isDirectory, .ofNames]))
    }

    /// Whether this directory is marked. A mark ends without a word when its file system is unmounted.
    public borrowing func isMarked(_ directory: borrowing Descriptor) throws(Errno) -> Bool {
        do throws(Errno) {
            // Nobody asks for this event, so that nothing is taken away.
            try mark(directory, FAN_MARK_REMOVE | FAN_MARK_ONLYDIR, Events(rawValue: UInt32(FAN_OPEN)))
            return true
        } catch .noSuchFileOrDirectory { return false }
    }

    /// Whether `Events.renamed` can be asked for. The kernel looks at the events first, and then finds no such place.
    public borrowing func hasRenames() -> Bool {
        let group = descriptor.rawValue
        do throws(Errno) {
            _ = try system { fanotify_mark(group, UInt32(FAN_MARK_ADD), UInt64(CLINUX_FAN_RENAME), AT_FDCWD, "") }
            return true
        } catch { return error == .noSuchFileOrDirectory }
    }

    private borrowing func mark(_ directory: borrowing Descriptor, _ flags: CInt, _ events: Events) throws(Errno) {
        let group = descriptor.rawValue
        _ = try withPath(of: directory) { path throws(Errno) in
            try system { fanotify_mark(group, UInt32(flags), UInt64(events.rawValue), AT_FDCWD, path) }
        }
    }

    /// The handles of the directories that are marked, `FileHandle.fileSystem` left out. Source: proc_pid_fdinfo(5), "f_handle".
    ///
    /// - Complexity: O(marks); the text is about 150 bytes for each.
    public borrowing func markedDirectories() throws(Errno) -> Set<FileHandle> {
        guard let path = Path("/proc/self/fdinfo/\(descriptor.rawValue)") else { return [] }
        return Fanotify.markedDirectories(in: try path.readFile(limit: 1 << 30))
    }

    static func markedDirectories(in text: [UInt8]) -> Set<FileHandle> {
        var result: Set<FileHandle> = []
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: "fanotify ino:".utf8) {
            var type: Int32?
            var bytes: [UInt8] = []
            for field in line.split(separator: UInt8(ascii: " ")) {
                let value = field.drop { $0 != UInt8(ascii: ":") }.dropFirst()
                if field.starts(with: "fhandle-type:".utf8) {
                    type = Int32(String(decoding: value, as: UTF8.self), radix: 16)
                } else if field.starts(with: "f_handle:".utf8) {
                    bytes = hexadecimal(value)
                }
            }
            guard let type, let handle = bytes.withUnsafeBytes({ FileHandle(fileSystem: 0, type: type, bytes: $0) }) else { continue }
            result.insert(handle)
        }
        return result
    }

    /// What pairs of digits stand for; it ends before what is none.
    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = digits
        while rest.count >= 2, let byte = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
            result.append(byte)
            rest = rest.dropFirst(2)
        }
        return result
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

extension Fanotify.Events {
    /// Both halves of a rename in one event, in place of `movedFrom` and `movedTo`. Source: fanotify(7), FAN_RENAME (Linux 5.17).
    public static let renamed = Fanotify.Events(rawValue: UInt32(CLINUX_FAN_RENAME))
    /// For a mark: what happens to the names in the directory, too. Source: fanotify_mark(2), FAN_EVENT_ON_CHILD.
    static let ofNames = Fanotify.Events(rawValue: UInt32(FAN_EVENT_ON_CHILD))
}

/// One event. Names point into the buffer that was decoded and are valid as long as that.
public struct FanotifyEvent {
    /// A name in a directory; empty for the directory itself.
    public typealias Place = (directory: FileHandle, name: UnsafeRawBufferPointer)

    /// All that happened to this name since the queue was read last, in no order.
    public let kinds: Fanotify.Events
    /// Where it happened; for `renamed`, from where. Nil for an overflow, for a handle that is too long to be held, and for a
    /// rename out of a directory that is not marked.
    public let directory: FileHandle?
    /// The name in the directory; empty when the event is of the directory itself.
    public let name: UnsafeRawBufferPointer
    /// For `renamed`: where it is now; nil when that directory is not marked.
    public let target: Place?

    public init(kinds: Fanotify.Events, directory: FileHandle?, name: UnsafeRawBufferPointer, target: Place? = nil) {
        self.kinds = kinds
        self.directory = directory
        self.name = name
        self.target = target
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

    /// Looks for the records that name directory and name. Source: fanotify(7), "fanotify_event_info_fid".
    private static func event(_ kinds: Fanotify.Events, _ records: UnsafeRawBufferPointer) -> FanotifyEvent {
        var place: FanotifyEvent.Place?
        var target: FanotifyEvent.Place?
        // info_type + pad + len
        let head = 1 + 1 + 2
        var start = 0
        while records.count - start >= head {
            let length = Int(records.loadUnaligned(fromByteOffset: start + 2, as: UInt16.self))
            guard length >= head, length <= records.count - start else { break }
            let record = UnsafeRawBufferPointer(rebasing: records[(start + head)..<(start + length)])
            switch CInt(records[start]) {
            case FAN_EVENT_INFO_TYPE_DFID_NAME, FAN_EVENT_INFO_TYPE_DFID, CLINUX_FAN_OLD_DFID_NAME: place = place ?? self.place(record)
            case CLINUX_FAN_NEW_DFID_NAME: target = target ?? self.place(record)
            default: break
            }
            start += length
        }
        return FanotifyEvent(
            kinds: kinds, directory: place?.directory, name: place?.name ?? UnsafeRawBufferPointer(start: nil, count: 0), target: target)
    }

    private static func place(_ record: UnsafeRawBufferPointer) -> FanotifyEvent.Place? {
        // fsid + handle_bytes + handle_type
        let head = 8 + 4 + 4
        guard record.count >= head else { return nil }
        let fileSystem = record.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
        let count = Int(record.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let type = record.loadUnaligned(fromByteOffset: 12, as: Int32.self)
        guard count <= record.count - head else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: record[head..<(head + count)])
        guard let handle = FileHandle(fileSystem: fileSystem, type: type, bytes: bytes) else { return nil }
        // Padded with NULs: the name ends at the first. "." is the directory itself.
        let field = UnsafeRawBufferPointer(rebasing: record[(head + count)...])
        let end = field.firstIndex(of: 0) ?? field.count
        let isItself = end == 1 && field[0] == UInt8(ascii: ".")
        return (handle, UnsafeRawBufferPointer(rebasing: field[..<(isItself ? 0 : end)]))
    }
}
