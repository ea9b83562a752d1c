// A directory that is to be compared, and the source that it lies in.
// Directories are opened from the source's own descriptor, beneath it and without following symlinks; no path is too long
// and no more than two descriptors per thread are open, however deep the tree is.

internal import Cataloging
internal import Kernel

/// A source whose root is open.
final class OpenSource: Sendable {
    let path: Path
    let status: FileStatus
    private let descriptor: Descriptor

    /// - Throws: ENOENT and ENOTDIR when there is no directory; a symlink is none. EACCES and others as they come.
    init(_ path: Path) throws(Errno) {
        self.path = path
        descriptor = try Descriptor.open(path, [.path, .directory, .noFollow])
        status = try descriptor.status()
    }

    /// Opens a directory at or below the root, to be listed.
    ///
    /// - Throws: ENOENT, ENOTDIR, ELOOP when it is not there any more; EACCES.
    func open(_ directory: Path) throws(Errno) -> Descriptor {
        let rest = directory.suffix(below: path)
        if rest.isEmpty { return try descriptor.openBeneath(".", [.read, .directory]) }
        if rest.count < OpenSource.pieceLimit { return try descriptor.openBeneath(rest.terminated, [.read, .directory]) }
        let name = directory.name
        let place = try openPlace(rest.dropLast(name.count + 1))
        return try place.openBeneath(name.terminated, [.read, .directory])
    }

    /// Opens a directory at or below the root as a place only: it need not be readable.
    func openPlace(_ directory: Path) throws(Errno) -> Descriptor {
        try openPlace(directory.suffix(below: path))
    }

    private func openPlace(_ path: ArraySlice<UInt8>) throws(Errno) -> Descriptor {
        var rest = path
        if rest.isEmpty { return try descriptor.duplicate() }
        var place = try descriptor.duplicate()
        while rest.count >= OpenSource.pieceLimit {
            // A component has at most 255 bytes: there is a slash within every piece.
            guard let cut = rest.prefix(OpenSource.pieceLimit).lastIndex(of: slash) else { throw .fileNameTooLong }
            let next = try place.openDirectoryBeneath(rest[..<cut].terminated)
            place = next
            rest = rest[(cut + 1)...]
        }
        return try place.openDirectoryBeneath(rest.terminated)
    }

    /// Below PATH_MAX (4,096 with its NUL).
    private static let pieceLimit = 4000
}

extension ArraySlice<UInt8> {
    /// As the system calls take it.
    var terminated: [CChar] { map { CChar(bitPattern: $0) } + [0] }
}

struct DirectoryTask: Sendable {
    let path: Path
    let source: OpenSource
    let status: FileStatus
    /// Nil when it is new.
    let known: KnownStatus?
    /// Where its known children are. Also there for a new directory above an earlier source.
    let node: NodeID?
    /// The rules for the names in it, without its own ignore files.
    let scope: ExcludeScope

    var isSource: Bool { path == source.path }

    /// Nothing that is known of its content holds: it is new, or another directory under the same name.
    var isNew: Bool { known?.kind != .directory || known?.inode != status.inode }
}
