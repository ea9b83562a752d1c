// One entry of a tar file, as its header says it.
// In: an entry of a snapshot, or a header that may be hostile.  Out: the header's bytes, or an entry to restore.
// Invariant: path and target are raw here; `snapshotPath` is the only way from them to the file system.
// Source: POSIX.1-2017, pax, "ustar Interchange Format".

package import Kernel

package struct TarEntry: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case file
        /// A second name of the file whose path is the target.
        case hardLink
        case symlink
        case directory
        case fifo
        case characterDevice
        case blockDevice
    }

    /// As it stands in the tar file, without a directory's closing slash.
    package var path: [UInt8]
    package var kind: Kind
    /// 0...0o7777.
    package var mode: UInt16
    package var uid: UInt32
    package var gid: UInt32
    /// Empty when unknown.
    package var userName: [UInt8]
    package var groupName: [UInt8]
    /// Bytes of content behind the header; 0 for all but files.
    package var size: UInt64
    package var modified: Timestamp
    /// Of a symlink, or the path of a hard link's file.
    package var target: [UInt8]
    package var special: DeviceNumber
    package var attributes: [ExtendedAttribute]

    package init(
        path: [UInt8], kind: Kind, mode: UInt16, uid: UInt32 = 0, gid: UInt32 = 0, userName: [UInt8] = [], groupName: [UInt8] = [],
        size: UInt64 = 0, modified: Timestamp = Timestamp(seconds: 0), target: [UInt8] = [],
        special: DeviceNumber = DeviceNumber(major: 0, minor: 0), attributes: [ExtendedAttribute] = []
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.userName = userName
        self.groupName = groupName
        self.size = size
        self.modified = modified
        self.target = target
        self.special = special
        self.attributes = attributes
    }

    /// The tar entry of a snapshot's; holes are zeros in its content. Nil for a socket, which tar does not know.
    ///
    /// - Parameter first: The path under which the same file was already written; makes this a hard link.
    package init?(_ entry: Entry, linkedTo first: Path? = nil) {
        let kind: Kind
        switch entry.kind {
        case .file: kind = .file
        case .directory: kind = .directory
        case .symlink: kind = .symlink
        case .fifo: kind = .fifo
        case .characterDevice: kind = .characterDevice
        case .blockDevice: kind = .blockDevice
        case .socket: return nil
        }
        self.init(
            path: TarEntry.name(of: entry.path), kind: first == nil ? kind : .hardLink, mode: entry.mode, uid: entry.uid, gid: entry.gid,
            userName: entry.userName, groupName: entry.groupName, size: kind == .file && first == nil ? entry.size : 0,
            modified: entry.modified, target: first.map { TarEntry.name(of: $0) } ?? entry.target, special: entry.special,
            attributes: first == nil ? entry.attributes : [])
    }

    /// The root directory stands as ".".
    static func name(of path: Path) -> [UInt8] { path.isRoot ? [UInt8(ascii: ".")] : path.bytes }

    /// The path, relative to wherever it is restored; a leading "./" is taken off.
    ///
    /// - Throws: `hostilePath` for an absolute path, an empty, ".." or overlong component, a NUL.
    package func snapshotPath() throws(ArchiveError) -> Path { try TarEntry.snapshotPath(path) }

    /// As `snapshotPath`, of a hard link's file.
    package func linkedPath() throws(ArchiveError) -> Path { try TarEntry.snapshotPath(target) }

    private static func snapshotPath(_ raw: [UInt8]) throws(ArchiveError) -> Path {
        let slash = UInt8(ascii: "/")
        // Before it is split: a name of 64 MiB of slashes would take a gigabyte of components.
        guard raw.count <= Path.maximumLength else { throw ArchiveError(.hostilePath, "a path of \(raw.count) bytes cannot be restored") }
        let components = raw.split(separator: slash, omittingEmptySubsequences: false).filter { !$0.elementsEqual(".".utf8) }
        guard !raw.isEmpty, let path = Path(validating: Array(components.joined(separator: [slash]))) else {
            throw ArchiveError(.hostilePath, "\(printable(raw.prefix(200))) is no path that can be restored")
        }
        return path
    }

    /// The entry of a snapshot, but for its content; nil for a hard link, which takes everything from its file.
    ///
    /// - Throws: `hostilePath`.
    package func snapshotEntry() throws(ArchiveError) -> Entry? {
        let path = try snapshotPath()
        let kind: FileKind
        switch self.kind {
        case .file: kind = .file
        case .directory: kind = .directory
        case .symlink: kind = .symlink
        case .fifo: kind = .fifo
        case .characterDevice: kind = .characterDevice
        case .blockDevice: kind = .blockDevice
        case .hardLink: return nil
        }
        if target.contains(0) { throw ArchiveError(.hostilePath, "\(path): the target holds a NUL") }
        return Entry(
            path: path, kind: kind, mode: mode, uid: uid, gid: gid, userName: userName, groupName: groupName, modified: modified,
            size: size, target: kind == .symlink ? target : [], special: special, attributes: attributes)
    }
}
