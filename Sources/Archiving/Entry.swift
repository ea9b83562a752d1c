// One entry of a snapshot, with every field that restore needs.
// In: the scanner's reading of a file.  Out: manifest records (ManifestWriter), restored files, tar headers.
// Invariant: only files have content, only symlinks a target, only devices a special number.

package import Encrypting
package import Kernel

package struct Entry: Hashable, Sendable {
    package var path: Path
    package var kind: FileKind
    /// The permission bits with setuid, setgid and sticky: 0...0o7777.
    package var mode: UInt16
    package var uid: UInt32
    package var gid: UInt32
    /// As the machine's user database had it; empty when unknown.
    package var userName: [UInt8]
    package var groupName: [UInt8]
    package var modified: Timestamp
    package var changed: Timestamp
    /// `DeviceNumber.combined` of the file system that it stood on.
    package var device: UInt64
    package var inode: UInt64
    package var links: UInt32
    /// Of a file: the sum of its chunks and holes.
    package var size: UInt64
    /// Empty for all but files.
    package var content: Content
    /// Of a symlink, 0...1,048,576 bytes without NUL.
    package var target: [UInt8]
    /// Of character and block devices.
    package var special: DeviceNumber
    package var attributes: [ExtendedAttribute]
    /// Those of chattr(1).
    package var inodeFlags: UInt32
    package var marks: Marks

    /// What is remarkable about how it was read.
    package struct Marks: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let changedWhileRead = Marks(rawValue: 1)
        /// Its time was as new as its reading, so a later write may not show in it; or a part of its metadata could not be read.
        package static let racy = Marks(rawValue: 2)
    }

    package init(
        path: Path, kind: FileKind, mode: UInt16, uid: UInt32 = 0, gid: UInt32 = 0,
        userName: [UInt8] = [], groupName: [UInt8] = [],
        modified: Timestamp = Timestamp(seconds: 0), changed: Timestamp = Timestamp(seconds: 0),
        device: UInt64 = 0, inode: UInt64 = 0, links: UInt32 = 1, size: UInt64 = 0,
        content: Content = .empty, target: [UInt8] = [], special: DeviceNumber = DeviceNumber(major: 0, minor: 0),
        attributes: [ExtendedAttribute] = [], inodeFlags: UInt32 = 0, marks: Marks = []
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.userName = userName
        self.groupName = groupName
        self.modified = modified
        self.changed = changed
        self.device = device
        self.inode = inode
        self.links = links
        self.size = size
        self.content = content
        self.target = target
        self.special = special
        self.attributes = attributes
        self.inodeFlags = inodeFlags
        self.marks = marks
    }

    /// The entry of what the kernel told; content, target, attributes and names are added by whoever reads them.
    package init(path: Path, status: FileStatus) {
        self.init(
            path: path, kind: status.kind, mode: status.mode, uid: status.uid, gid: status.gid,
            modified: status.modified, changed: status.changed, device: status.device.combined,
            inode: status.inode, links: status.links, size: status.size, special: status.special)
    }
}

/// What a file holds: chunks in order, with holes between them.
package struct Content: Hashable, Sendable {
    /// In the file's order, without the holes.
    package var chunks: [Chunk]
    /// Ascending, neither overlapping nor touching the end of `UInt64`.
    package var holes: [Hole]

    package static let empty = Content(chunks: [], holes: [])

    package init(chunks: [Chunk], holes: [Hole] = []) {
        self.chunks = chunks
        self.holes = holes
    }
}

/// A run of file content, named by its SHA-256.
package struct Chunk: Hashable, Sendable {
    package var digest: Digest
    /// 1...4,194,304 bytes.
    package var length: UInt32

    /// The longest chunk that a reader accepts.
    package static let maximumLength: UInt32 = 4 << 20

    package init(digest: Digest, length: UInt32) {
        self.digest = digest
        self.length = length
    }
}

/// A run of zeros that the file system does not store.
package struct Hole: Hashable, Sendable {
    package var offset: UInt64
    /// At least 1.
    package var length: UInt64

    package init(offset: UInt64, length: UInt64) {
        self.offset = offset
        self.length = length
    }
}

/// One record of a manifest: what is there, or in an incremental one what is gone.
package enum ManifestRecord: Hashable, Sendable {
    case upsert(Entry)
    /// That one path, not what was below it.
    case deletion(Path)

    package var path: Path {
        switch self {
        case .upsert(let entry): entry.path
        case .deletion(let path): path
        }
    }
}
