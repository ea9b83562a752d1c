// An open file, owned by exactly one variable: it is closed when that variable ends.
// In: system calls on descriptors.  Out: their values, or a typed Errno; EINTR is retried.
// Invariant: rawValue is open for as long as this lives.

internal import CLinux
internal import Glibc

public struct Descriptor: ~Copyable, Sendable {
    public let rawValue: CInt

    /// Takes over an open descriptor.
    package init(owning rawValue: CInt) {
        self.rawValue = rawValue
    }

    deinit {
        // The errors of close(2) that matter (a late EIO) are those of written files: they are fsynced first.
        _ = Glibc.close(rawValue)
    }

    /// Closes now and tells what close(2) says; without it, the end of the variable closes silently.
    public consuming func close() throws(Errno) {
        let raw = rawValue
        discard self
        // close is not retried: after EINTR the descriptor is gone on Linux.
        if Glibc.close(raw) != 0, errno != EINTR { throw Errno(rawValue: errno) }
    }

    /// Gives the descriptor away; the caller closes it.
    package consuming func release() -> CInt {
        let raw = rawValue
        discard self
        return raw
    }

    /// How a file is opened. O_CLOEXEC and O_NOCTTY are always set.
    public struct Options: OptionSet, Sendable {
        public let rawValue: CInt
        public init(rawValue: CInt) { self.rawValue = rawValue }

        public static let read = Options([])
        public static let write = Options(rawValue: O_WRONLY)
        public static let readWrite = Options(rawValue: O_RDWR)
        public static let create = Options(rawValue: O_CREAT)
        public static let exclusive = Options(rawValue: O_EXCL)
        public static let truncate = Options(rawValue: O_TRUNC)
        public static let append = Options(rawValue: O_APPEND)
        public static let directory = Options(rawValue: O_DIRECTORY)
        /// Fails with ELOOP on a symlink as the last component.
        public static let noFollow = Options(rawValue: O_NOFOLLOW)
        /// Never waits for the other end of a FIFO.
        public static let nonBlocking = Options(rawValue: O_NONBLOCK)
        /// Only a place: no permission on the file itself is needed.
        public static let path = Options(rawValue: pathOnlyFlag)
        /// Leaves the access time alone; EPERM for files of others.
        public static let noAccessTime = Options(rawValue: noAccessTimeFlag)
    }

    /// Opens `name`, relative to `directory` unless it is absolute. Source: openat(2).
    public static func open(
        _ name: UnsafePointer<CChar>, in directory: borrowing Descriptor, _ options: Options, mode: UInt16 = 0
    ) throws(Errno) -> Descriptor {
        let parent = directory.rawValue
        let flags = options.rawValue | O_CLOEXEC | O_NOCTTY
        return Descriptor(owning: try system { Glibc.openat(parent, name, flags, mode_t(mode)) })
    }

    /// Opens a path of any length. Symlinks in its directories are followed. Source: openat(2).
    public static func open(_ path: Path, _ options: Options, mode: UInt16 = 0) throws(Errno) -> Descriptor {
        let parent = try ofParent(of: path)
        if path.isRoot { return try open(".", in: parent, options, mode: mode) }
        return try open(path.name.map { CChar(bitPattern: $0) } + [0], in: parent, options, mode: mode)
    }

    /// The directory that holds `path` (the root directory for itself), opened as a place only.
    ///
    /// A path longer than PATH_MAX is walked in pieces, for one call takes at most 4,095 bytes.
    public static func ofParent(of path: Path) throws(Errno) -> Descriptor {
        let flags = pathOnlyFlag | O_DIRECTORY | O_CLOEXEC
        let bytes = path.parent?.bytes ?? []
        if bytes.count < 4000 {
            let terminated = Path(unchecked: bytes).terminated
            return Descriptor(owning: try system { Glibc.openat(AT_FDCWD, terminated, flags) })
        }
        var place = Descriptor(owning: try system { Glibc.openat(AT_FDCWD, "/", flags) })
        for component in bytes.split(separator: UInt8(ascii: "/")) {
            let name = component.map { CChar(bitPattern: $0) } + [0]
            let next = Descriptor(owning: try system { Glibc.openat(place.rawValue, name, flags) })
            place = next
        }
        return place
    }

    /// The working directory, opened as a place only.
    public static func workingDirectory() throws(Errno) -> Descriptor {
        Descriptor(owning: try system { Glibc.openat(AT_FDCWD, ".", pathOnlyFlag | O_DIRECTORY | O_CLOEXEC) })
    }

    /// A file in `directory` for reading and writing that no path leads to; it is gone with its last descriptor.
    ///
    /// Source: open(2), O_TMPFILE; a file system without it gets a file whose name is removed at once.
    public static func unnamedFile(in directory: Path) throws(Errno) -> Descriptor {
        do throws(Errno) {
            return try open(directory, Options(rawValue: O_RDWR | unnamedFlag), mode: 0o600)
        } catch .notSupported, .isDirectory, .noSuchFileOrDirectory {
            let path = directory.appending(".\(UInt64.random(in: .min ... .max)).tmp".utf8)
            let file = try open(path, [.readWrite, .create, .exclusive, .noFollow], mode: 0o600)
            try path.removeFile()
            return file
        }
    }

    /// Opens `path`, relative to this directory, without leaving it and without following any symlink.
    ///
    /// - Throws: EXDEV for an attempt to leave, ELOOP for a symlink on the way. Source: openat2(2).
    public borrowing func openBeneath(
        _ path: UnsafePointer<CChar>, _ options: Options, mode: UInt16 = 0
    ) throws(Errno) -> Descriptor {
        let directory = rawValue
        let flags = UInt64(UInt32(bitPattern: options.rawValue | O_CLOEXEC | O_NOCTTY))
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_NO_SYMLINKS)
        return Descriptor(owning: try system { clinux_openat2(directory, path, flags, UInt64(mode), resolve) })
    }

    /// A second descriptor of the same open file. Source: fcntl(2), F_DUPFD_CLOEXEC.
    public borrowing func duplicate() throws(Errno) -> Descriptor {
        let raw = rawValue
        return Descriptor(owning: try system { Glibc.fcntl(raw, F_DUPFD_CLOEXEC, 0) })
    }
}

// Not exported to Swift by Glibc, for their definitions are behind _GNU_SOURCE. Source: asm-generic/fcntl.h.
let pathOnlyFlag: CInt = 0o10000000
let noAccessTimeFlag: CInt = 0o1000000
private let unnamedFlag: CInt = 0o20000000 | O_DIRECTORY

// MARK: Content

extension Descriptor {
    /// Reads up to `buffer.count` bytes at the file's position; 0 at its end. Source: read(2).
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        let raw = rawValue
        // The kernel writes at most buffer.count bytes.
        return try system { Glibc.read(raw, buffer.baseAddress, buffer.count) }
    }

    /// Reads up to `buffer.count` bytes at `offset`; 0 at the end. Source: pread(2).
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        let raw = rawValue
        return try system { Glibc.pread(raw, buffer.baseAddress, buffer.count, off_t(clamping: offset)) }
    }

    /// Exactly `count` bytes at `offset`, or what there is before the end of the file.
    public borrowing func bytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        var done = 0
        var failure: Errno?
        result.withUnsafeMutableBytes { buffer in
            do throws(Errno) {
                while done < count {
                    let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
                    let read = try self.read(into: part, at: offset + UInt64(done))
                    if read == 0 { break }
                    done += read
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        if done < count { result.removeLast(count - done) }
        return result
    }

    /// Everything from the position to the end.
    ///
    /// - Throws: EFBIG when there are more than `limit` bytes.
    public borrowing func readAll(limit: Int = 64 << 20) throws(Errno) -> [UInt8] {
        var result = [UInt8]()
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            var count = 0
            var failure: Errno?
            piece.withUnsafeMutableBytes { buffer in
                do throws(Errno) { count = try self.read(into: buffer) } catch { failure = error }
            }
            if let failure { throw failure }
            if count == 0 { return result }
            if result.count + count > limit { throw .fileTooLarge }
            result += piece[..<count]
        }
    }

    /// Writes all of `buffer` at the file's position. Source: write(2).
    ///
    /// - Throws: The errno of the piece that failed; earlier pieces are written.
    public borrowing func write(_ buffer: UnsafeRawBufferPointer) throws(Errno) {
        let raw = rawValue
        var done = 0
        while done < buffer.count {
            let part = UnsafeRawBufferPointer(rebasing: buffer[done...])
            done += try system { Glibc.write(raw, part.baseAddress, part.count) }
        }
    }

    public borrowing func write(_ bytes: [UInt8]) throws(Errno) {
        var failure: Errno?
        bytes.withUnsafeBytes { buffer in
            do throws(Errno) { try self.write(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes all of `buffer` at `offset`. Source: pwrite(2).
    public borrowing func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        let raw = rawValue
        var done = 0
        while done < buffer.count {
            let part = UnsafeRawBufferPointer(rebasing: buffer[done...])
            let place = off_t(clamping: offset + UInt64(done))
            done += try system { Glibc.pwrite(raw, part.baseAddress, part.count, place) }
        }
    }

    /// Source: ftruncate(2).
    public borrowing func truncate(to size: UInt64) throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.ftruncate(raw, off_t(clamping: size)) }
    }

    /// Moves the position. Source: lseek(2).
    public borrowing func seek(to offset: UInt64) throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.lseek(raw, off_t(clamping: offset), SEEK_SET) }
    }

    /// The next run of data at or after `offset`: its start and its end; nil when only a hole follows.
    ///
    /// A file system without holes reports one run. Source: lseek(2), SEEK_DATA and SEEK_HOLE.
    public borrowing func nextData(from offset: UInt64) throws(Errno) -> (start: UInt64, end: UInt64)? {
        let raw = rawValue
        do {
            let start = try system { Glibc.lseek(raw, off_t(clamping: offset), 3 /* SEEK_DATA */) }
            let end = try system { Glibc.lseek(raw, start, 4 /* SEEK_HOLE */) }
            return (UInt64(start), UInt64(end))
        } catch .noSuchAddressOrDevice {
            return nil
        }
    }

    /// Makes written bytes durable. Source: fsync(2).
    public borrowing func synchronize() throws(Errno) {
        let raw = rawValue
        _ = try system { Glibc.fsync(raw) }
    }

    /// Tells the kernel that the file is read once, from front to back. A hint: its failure changes nothing.
    public borrowing func adviseSequential() {
        _ = Glibc.posix_fadvise(rawValue, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    /// Status of the open file. Source: statx(2), AT_EMPTY_PATH.
    public borrowing func status() throws(Errno) -> FileStatus {
        try FileStatus(rawValue, "", 0x1000 /* AT_EMPTY_PATH */)
    }
}

// MARK: Locks

extension Descriptor {
    public enum Lock: Sendable {
        case shared, exclusive
    }

    /// Takes the lock if it is free. Source: flock(2).
    ///
    /// - Returns: False when another holds it. A lock ends with `unlock` or with the last descriptor of its open file, also after
    ///   kill -9; a child between fork(2) and execve(2) has one too.
    public borrowing func tryLock(_ lock: Lock) throws(Errno) -> Bool {
        let raw = rawValue
        let operation = (lock == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB
        do {
            _ = try system { clinux_flock(raw, operation) }
            return true
        } catch .wouldBlock {
            return false
        }
    }

    /// Waits until the lock is free.
    public borrowing func waitForLock(_ lock: Lock) throws(Errno) {
        let raw = rawValue
        _ = try system { clinux_flock(raw, lock == .shared ? LOCK_SH : LOCK_EX) }
    }

    /// Frees the lock at once, whoever else has a descriptor of the open file.
    public borrowing func unlock() throws(Errno) {
        let raw = rawValue
        _ = try system { clinux_flock(raw, LOCK_UN) }
    }
}
