// What metadata is set on: an open file or directory, or a name of what cannot be opened.
// In: owner, mode, attributes, a time.  Out: system calls, and what stands there afterwards.

internal import Kernel

/// Each call throws `Errno`, and has changed nothing then.
protocol MetadataHolder: ~Copyable {
    borrowing func setOwner(uid: UInt32, gid: UInt32) throws(Errno)
    borrowing func setMode(_ mode: UInt16) throws(Errno)
    borrowing func setModified(_ time: Timestamp) throws(Errno)
    borrowing func extendedAttributeNames() throws(Errno) -> [[UInt8]]
    borrowing func setExtendedAttribute(_ attribute: ExtendedAttribute) throws(Errno)
    borrowing func removeExtendedAttribute(_ name: [UInt8]) throws(Errno)
    borrowing func status() throws(Errno) -> FileStatus
}

extension Descriptor: MetadataHolder {}

/// A symlink, FIFO, socket or device: opening one would follow it, wait, or have effects.
struct NamedEntry: ~Copyable, MetadataHolder {
    private let directory: Descriptor
    private let name: [CChar]

    init(_ name: [CChar], in directory: consuming Descriptor) {
        self.directory = directory
        self.name = name
    }

    borrowing func setOwner(uid: UInt32, gid: UInt32) throws(Errno) { try directory.setOwner(of: name, uid: uid, gid: gid) }

    /// Not of a symlink, which has none of its own.
    borrowing func setMode(_ mode: UInt16) throws(Errno) { try directory.setMode(of: name, mode) }

    borrowing func setModified(_ time: Timestamp) throws(Errno) { try directory.setModified(of: name, time) }

    borrowing func extendedAttributeNames() throws(Errno) -> [[UInt8]] { try ExtendedAttribute.names(of: name, in: directory) }

    borrowing func setExtendedAttribute(_ attribute: ExtendedAttribute) throws(Errno) { try attribute.set(on: name, in: directory) }

    borrowing func removeExtendedAttribute(_ name: [UInt8]) throws(Errno) {
        try ExtendedAttribute.remove(name, of: self.name, in: directory)
    }

    borrowing func status() throws(Errno) -> FileStatus { try FileStatus(of: name, in: directory) }
}
