// What names a directory for as long as it exists, wherever it is moved.
// In: an open directory, or the bytes of an event.  Out: the same directory, opened again, and where it is now.
// Invariant: a handle is never given to another directory of its file system, for it holds the inode's generation.
// Source: open_by_handle_at(2).

internal import CLinux
internal import Glibc

/// A file system's id and its name for one file: 56 bytes, so that thousands fit into a dictionary.
public struct FileHandle: Hashable, Sendable {
    /// The longest handle that is held. ext4 needs 8 bytes, XFS and tmpfs 12, overlayfs 24 more than what is below it; only network
    /// file systems need more.
    public static let maximumLength = 40

    /// Source: statfs(2), f_fsid.
    public let fileSystem: UInt64
    /// The type in the upper half, the length in the lower.
    private let form: UInt64
    private let words: (UInt64, UInt64, UInt64, UInt64, UInt64)

    /// Nil for a handle that is too long to be held.
    public init?(fileSystem: UInt64, type: Int32, bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= FileHandle.maximumLength else { return nil }
        self.fileSystem = fileSystem
        form = UInt64(UInt32(bitPattern: type)) << 32 | UInt64(bytes.count)
        var words: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: bytes) }
        self.words = words
    }

    /// The same without the file system, as the list of a group's marks has it.
    public var anywhere: FileHandle { FileHandle(fileSystem: 0, form: form, words: words) }

    private init(fileSystem: UInt64, form: UInt64, words: (UInt64, UInt64, UInt64, UInt64, UInt64)) {
        self.fileSystem = fileSystem
        self.form = form
        self.words = words
    }

    fileprivate init?(fileSystem: UInt64, _ raw: clinux_handle) {
        let handle = withUnsafeBytes(of: raw.bytes) { bytes in
            // The kernel writes at most the 128 bytes that there are.
            FileHandle(fileSystem: fileSystem, type: raw.type, bytes: UnsafeRawBufferPointer(rebasing: bytes[..<Int(raw.count)]))
        }
        guard let handle else { return nil }
        self = handle
    }

    fileprivate var raw: clinux_handle {
        var raw = clinux_handle()
        raw.type = Int32(bitPattern: UInt32(truncatingIfNeeded: form >> 32))
        raw.count = UInt32(truncatingIfNeeded: form)
        withUnsafeMutableBytes(of: &raw.bytes) { target in
            withUnsafeBytes(of: words) { target.copyMemory(from: $0) }
        }
        return raw
    }

    public static func == (left: FileHandle, right: FileHandle) -> Bool {
        left.words == right.words && left.form == right.form && left.fileSystem == right.fileSystem
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(fileSystem)
        hasher.combine(form)
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
        hasher.combine(words.4)
    }
}

extension FileHandle {
    public enum Purpose: Sendable {
        /// `Descriptor.openDirectory`.
        case opening
        /// To be found again in events: overlayfs, ramfs and others have handles that cannot be opened (Linux 6.5).
        case comparing
    }
}

extension Descriptor {
    /// The handle of the open file, which may be open as a place only.
    ///
    /// - Throws: EOPNOTSUPP where the file system has none, EOVERFLOW when it is longer than `FileHandle.maximumLength`.
    /// Source: name_to_handle_at(2), AT_HANDLE_FID.
    public borrowing func handle(for purpose: FileHandle.Purpose) throws(Errno) -> FileHandle {
        let descriptor = rawValue
        var raw = clinux_handle()
        do throws(Errno) {
            _ = try system { clinux_handle_of(descriptor, purpose == .comparing ? CLINUX_HANDLE_FID : 0, &raw) }
        } catch .invalidArgument where purpose == .comparing {
            _ = try system { clinux_handle_of(descriptor, 0, &raw) }
        }
        guard let handle = FileHandle(fileSystem: try fileSystemID(), raw) else { throw .overflow }
        return handle
    }

    /// The id of the file system that holds the open file; 0 where it has none. Source: statfs(2), f_fsid.
    public borrowing func fileSystemID() throws(Errno) -> UInt64 {
        let descriptor = rawValue
        var id: UInt64 = 0
        _ = try system { clinux_file_system_id(descriptor, &id) }
        return id
    }

    /// Opens a directory as a place only, as it is seen through the mount of this open directory.
    ///
    /// - Throws: ESTALE when it does not exist any more, EPERM without CAP_DAC_READ_SEARCH. Source: open_by_handle_at(2).
    public borrowing func openDirectory(_ handle: FileHandle) throws(Errno) -> Descriptor {
        let mount = rawValue
        var raw = handle.raw
        return Descriptor(owning: try system { clinux_open_directory(mount, &raw) })
    }

    /// The path of the open directory, as the kernel knows it now; nil when it is removed.
    ///
    /// - Throws: ENAMETOOLONG when it is longer than PATH_MAX. Source: proc_pid_fd(5).
    public borrowing func place() throws(Errno) -> Path? {
        let descriptor = rawValue
        // One more than PATH_MAX, so that a full buffer shows.
        var target = [CChar](repeating: 0, count: 4097)
        let count = try system { readlink("/proc/self/fd/\(descriptor)", &target, target.count) }
        let bytes = target[..<count].map { UInt8(bitPattern: $0) }
        // A name may end so as well; only the removed have no link left.
        if bytes.suffix(10).elementsEqual(" (deleted)".utf8), try status().links == 0 { return nil }
        return Path(validating: Array(bytes.drop { $0 == UInt8(ascii: "/") }))
    }
}
