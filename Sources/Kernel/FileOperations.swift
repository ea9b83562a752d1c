// What whole programs do with files: durable small files, directories, removal, by path.

internal import CLinux
internal import Glibc

extension Path {
    /// The bytes of a small file. Throws EFBIG above `limit`.
    public func readFile(limit: Int = 64 << 20) throws(Errno) -> [UInt8] {
        let file = try Descriptor.open(self, [.read])
        return try file.readAll(limit: limit)
    }

    public enum Durability: Sendable {
        /// It is on the disk when the call returns.
        case durable
        /// The old or the new content is there after a crash of the program; after a power cut either, or none.
        case atomic
    }

    /// Replaces the file in one step: written beside it, renamed over it. Durable, it is fsynced, and so is the directory.
    ///
    /// - Throws: The errno of the step that failed; the old file is still there, the new one is removed.
    public func replaceFile(with bytes: [UInt8], mode: UInt16, _ durability: Durability = .durable) throws(Errno) {
        let directory = try Descriptor.ofParent(of: self)
        // Two threads may replace one file at the same time: each has its own name for the new one.
        let unique = String(UInt64.random(in: 0 ... .max), radix: 36)
        let temporary = Array(".".utf8) + name + Array(".\(unique).tmp".utf8)
        let temporaryName = temporary.map { CChar(bitPattern: $0) } + [0]
        do throws(Errno) {
            let file = try Descriptor.open(temporaryName, in: directory, [.write, .create, .truncate, .noFollow], mode: mode)
            // The umask took bits away; a file that was there keeps none of its own.
            try file.setMode(mode)
            try file.write(bytes)
            if durability == .durable { try file.synchronize() }
            try directory.rename(temporaryName, to: name.map { CChar(bitPattern: $0) } + [0], in: directory)
        } catch {
            try? directory.remove(temporaryName)
            throw error
        }
        if durability == .durable { try (parent ?? .root).synchronizeDirectory() }
    }

    /// Removes from this directory the files that `isUnfinished` names, if they are older than a minute: younger ones may belong to
    /// somebody at work. What cannot be removed stays.
    public func removeUnfinished(_ isUnfinished: ([UInt8]) -> Bool) {
        guard let names = try? DirectoryStream.names(in: self) else { return }
        for name in names where isUnfinished(name) {
            let file = appending(name)
            guard let status = try? FileStatus(of: file), Timestamp.now().duration(since: status.modified) > .seconds(60) else { continue }
            try? file.removeFile()
        }
    }

    /// True for a name under which `replaceFile` writes what this file is to hold.
    public func isTemporaryName(_ other: [UInt8]) -> Bool {
        let start = Array(".".utf8) + name + Array(".".utf8)
        return other.count > start.count + 4 && other.starts(with: start) && other.suffix(4).elementsEqual(".tmp".utf8)
    }

    /// Makes the names in a directory durable. Source: fsync(2).
    public func synchronizeDirectory() throws(Errno) {
        let directory = try Descriptor.open(self, [.read, .directory])
        try directory.synchronize()
    }

    /// Makes this directory and those above it that are missing, with `mode`. One that exists stays as it is.
    ///
    /// Durable, its name is fsynced, whoever made it, and so is that of each one above it that was missing; but not in a directory
    /// that this user may not read.
    public func makeDirectories(mode: UInt16, _ durability: Durability = .atomic) throws(Errno) {
        guard let parent else { return }
        do throws(Errno) {
            try makeDirectory(mode: mode)
        } catch .noSuchFileOrDirectory {
            try parent.makeDirectories(mode: mode, durability)
            try makeDirectory(mode: mode)
        }
        if durability == .durable {
            do throws(Errno) { try parent.synchronizeDirectory() } catch .permissionDenied {}
        }
    }

    private func makeDirectory(mode: UInt16) throws(Errno) {
        let place = try Descriptor.ofParent(of: self)
        do throws(Errno) {
            try place.makeDirectory(name.map { CChar(bitPattern: $0) } + [0], mode: mode)
        } catch .fileExists {}
    }

    public func removeFile() throws(Errno) {
        let place = try Descriptor.ofParent(of: self)
        try place.remove(name.map { CChar(bitPattern: $0) } + [0])
    }

    /// True when something stands here, whatever it is.
    public var exists: Bool { (try? FileStatus(of: self)) != nil }

    /// True when this process may write what stands here. Source: faccessat(2).
    public var isWritable: Bool {
        let text = terminated
        return (try? system { Glibc.faccessat(AT_FDCWD, text, W_OK, AT_EACCESS) }) != nil
    }

    /// The same place with every symlink on the way resolved. Source: realpath(3). The path must exist.
    public func resolved() throws(Errno) -> Path {
        guard let pointer = realpath(terminated, nil) else { throw Errno(rawValue: errno) }
        defer { free(pointer) }
        let bytes = UnsafeBufferPointer(start: pointer, count: strlen(pointer)).map { UInt8(bitPattern: $0) }
        return Path(unchecked: Array(bytes.dropFirst()))
    }

    /// The working directory of this process.
    public static func workingDirectory() throws(Errno) -> Path {
        guard let pointer = getcwd(nil, 0) else { throw Errno(rawValue: errno) }
        defer { free(pointer) }
        let bytes = UnsafeBufferPointer(start: pointer, count: strlen(pointer)).map { UInt8(bitPattern: $0) }
        return Path(unchecked: Array(bytes.dropFirst()))
    }
}

/// Space and type of a file system. Source: statfs(2).
public struct FileSystemStatus: Sendable {
    /// What an ordinary user may still write.
    public let freeBytes: UInt64
    public let totalBytes: UInt64
    /// The magic number of linux/magic.h.
    public let type: UInt64
    public let isReadOnly: Bool

    public init(at path: Path) throws(Errno) {
        var raw = statfs()
        let terminated = path.terminated
        _ = try system { clinux_statfs(terminated, &raw) }
        let unit = UInt64(clamping: raw.f_frsize)
        freeBytes = UInt64(clamping: raw.f_bavail).multipliedReportingOverflow(by: unit).partialValue
        totalBytes = UInt64(clamping: raw.f_blocks).multipliedReportingOverflow(by: unit).partialValue
        type = UInt64(truncatingIfNeeded: raw.f_type) & 0xFFFF_FFFF
        isReadOnly = raw.f_flags & 1 != 0
    }

    /// True where parts of one file system have ids of their own: Btrfs, bcachefs.
    public var hasSubvolumes: Bool { [0x9123_683E, 0xCA45_1A4E].contains(type) }

    /// True where other machines or programs can change files without inotify seeing it: NFS, SMB, AFS, Coda, FUSE, 9p, Ceph.
    public var hidesForeignChanges: Bool {
        [0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x517B, 0x5346_414F, 0x7375_7245, 0x6573_5546, 0x0102_1997, 0x00C3_6400].contains(type)
    }
}
