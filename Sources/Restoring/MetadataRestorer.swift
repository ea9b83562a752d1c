// Gives a restored entry its owner, mode, attributes, times and flags.
// In: an entry of the snapshot and what stands at its place.  Out: what could not be set, in words.
// Invariant: the order is owner, mode, attributes, times, flags: chown clears setuid bits and capabilities, writing
// attributes moves no modification time, and flags such as "immutable" forbid everything else. A file that could not be given
// to its owner or group does not run with another's rights: it loses setuid and setgid.
// Source: chown(2), capabilities(7), ioctl_iflags(2).

internal import Archiving
internal import Kernel
internal import Synchronization

final class MetadataRestorer: Sendable {
    /// Only root may give files away.
    private let setsOwners: Bool
    private let owners = Mutex(OwnerTable())
    private let othersOwned = Atomic<UInt64>(0)
    /// The flags that a person sets with chattr and that do not depend on the file system's layout:
    /// append-only, immutable, no-dump, no-atime, sync, directory sync, no-copy-on-write, undeletable, secure deletion.
    private static let settableFlags: UInt32 = 0x20 | 0x10 | 0x40 | 0x80 | 0x08 | 0x0001_0000 | 0x0080_0000 | 0x02 | 0x01
    private static let setUserBit: UInt16 = 0o4000
    private static let setGroupBit: UInt16 = 0o2000

    init(setsOwners: Bool = ProcessIdentity.uid == 0) {
        self.setsOwners = setsOwners
    }

    /// Entries that are not their owner's now, because this is not root.
    var ownersNotSet: UInt64 { othersOwned.load(ordering: .relaxed) }

    /// Sets all metadata of an open file or directory.
    ///
    /// - Returns: What could not be set; the rest is.
    func apply(_ entry: Entry, to file: borrowing Descriptor) -> [String] {
        var failures: [String] = []
        var mode = entry.mode
        setOwner(entry, &mode, &failures) { uid, gid throws(Errno) in try file.setOwner(uid: uid, gid: gid) }
        attempt("mode", &failures) { () throws(Errno) in try file.setMode(mode) }
        for attribute in entry.attributes {
            attempt("attribute \(printable(attribute.name))", &failures) { () throws(Errno) in try file.setExtendedAttribute(attribute) }
        }
        attempt("time", &failures) { () throws(Errno) in try file.setModified(entry.modified) }
        if entry.inodeFlags != 0 { failures += applyFlags(entry.inodeFlags, to: file) }
        return failures
    }

    /// Sets those of `flags` that a person chooses. The last step, for some of them forbid every other.
    /// A file system that has no flags is not a failure: they say how that file system treats the file.
    func applyFlags(_ flags: UInt32, to file: borrowing Descriptor) -> [String] {
        let present = file.inodeFlags()
        let wanted = (present & ~MetadataRestorer.settableFlags) | (flags & MetadataRestorer.settableFlags)
        if wanted == present { return [] }
        do throws(Errno) {
            try file.setInodeFlags(wanted)
            return []
        } catch .notSupported, .inappropriateIOCTLForDevice {
            return []
        } catch {
            return ["its flags cannot be set: \(error)"]
        }
    }

    /// Sets all metadata of what cannot be opened: a symlink, FIFO, socket or device.
    func apply(_ entry: Entry, to name: [CChar], in directory: borrowing Descriptor) -> [String] {
        var failures: [String] = []
        var mode = entry.mode
        setOwner(entry, &mode, &failures) { uid, gid throws(Errno) in try directory.setOwner(of: name, uid: uid, gid: gid) }
        if entry.kind != .symlink {
            attempt("mode", &failures) { () throws(Errno) in try directory.setMode(of: name, mode) }
        }
        for attribute in entry.attributes {
            attempt("attribute \(printable(attribute.name))", &failures) { () throws(Errno) in try attribute.set(on: name, in: directory) }
        }
        attempt("time", &failures) { () throws(Errno) in try directory.setModified(of: name, entry.modified) }
        return failures
    }

    private func attempt(_ what: String, _ failures: inout [String], _ body: () throws(Errno) -> Void) {
        do throws(Errno) { try body() } catch { failures.append("its \(what) cannot be set: \(error)") }
    }

    private func setOwner(
        _ entry: Entry, _ mode: inout UInt16, _ failures: inout [String], _ set: (UInt32, UInt32) throws(Errno) -> Void
    ) {
        // On a directory these bits give nobody rights.
        let dangerous = entry.kind == .directory ? 0 : MetadataRestorer.setUserBit | MetadataRestorer.setGroupBit
        let (uid, gid) = ids(of: entry)
        if setsOwners {
            do throws(Errno) {
                try set(uid, gid)
            } catch {
                failures.append("its owner cannot be set: \(error)")
                mode &= ~dangerous
            }
            return
        }
        var isOwn = uid == ProcessIdentity.uid
        if !isOwn { mode &= ~(dangerous & MetadataRestorer.setUserBit) }
        do throws(Errno) {
            // The highest id leaves the user as it is; a group of one's own may be set.
            try set(.max, gid)
        } catch {
            isOwn = false
            mode &= ~(dangerous & MetadataRestorer.setGroupBit)
        }
        if !isOwn { othersOwned.add(1, ordering: .relaxed) }
    }

    /// The ids on this machine: those of the names where the names exist here, else the numbers.
    private func ids(of entry: Entry) -> (UInt32, UInt32) {
        owners.withLock { ($0.uid(entry.userName) ?? entry.uid, $0.gid(entry.groupName) ?? entry.gid) }
    }
}

/// Looked up once for each name.
private struct OwnerTable {
    private var users: [[UInt8]: UInt32?] = [:]
    private var groups: [[UInt8]: UInt32?] = [:]

    mutating func uid(_ name: [UInt8]) -> UInt32? {
        if name.isEmpty { return nil }
        if let known = users[name] { return known }
        let found = AccountDatabase.uid(ofUser: String(decoding: name, as: UTF8.self))
        users[name] = .some(found)
        return found
    }

    mutating func gid(_ name: [UInt8]) -> UInt32? {
        if name.isEmpty { return nil }
        if let known = groups[name] { return known }
        let found = AccountDatabase.gid(ofGroup: String(decoding: name, as: UTF8.self))
        groups[name] = .some(found)
        return found
    }
}
