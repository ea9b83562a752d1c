// Gives a restored entry its owner, mode, attributes, times and flags.
// In: an entry of the snapshot and what stands at its place.  Out: the metadata; what could not be set, once for each cause.
// Invariant: the order is owner, mode, attributes, times, flags: chown clears setuid bits and capabilities, writing
// attributes moves no modification time, and flags such as "immutable" forbid everything else. What was set is looked at again, for
// some file systems take a mode or a time without a word and keep another. Nobody gets more rights than before: a file that
// could not be given to its owner or group loses setuid and setgid, and one without its ACL what the ACL took from its group.
// Source: chown(2), capabilities(7), acl(5), ioctl_iflags(2).

internal import Archiving
internal import Kernel
internal import Synchronization

final class MetadataRestorer: Sendable {
    let shortfalls = MetadataShortfalls()
    /// Only root may give files away.
    private let setsOwners: Bool
    private let owners = Mutex(OwnerTable())
    private let othersOwned = Atomic<UInt64>(0)
    /// Files that get their sealing flags when all else is done, with all their flags.
    private let sealed = Mutex<[(place: Path, flags: UInt32)]>([])
    private static let setUserBit: UInt16 = 0o4000
    private static let setGroupBit: UInt16 = 0o2000

    init(setsOwners: Bool = ProcessIdentity.uid == 0) {
        self.setsOwners = setsOwners
    }

    /// Entries that are not their owner's now, because this is not root.
    var ownersNotSet: UInt64 { othersOwned.load(ordering: .relaxed) }

    /// Sets everything but flags. What cannot be set is noted; the rest is.
    func apply(_ entry: Entry, at place: Path, to holder: borrowing some MetadataHolder & ~Copyable) {
        var mode = entry.mode
        setOwner(entry, at: place, &mode) { uid, gid throws(Errno) in try holder.setOwner(uid: uid, gid: gid) }
        removeForeignAttributes(entry, at: place, of: holder)
        if entry.kind != .symlink { attempt("mode", at: place) { () throws(Errno) in try holder.setMode(mode) } }
        for attribute in entry.attributes {
            let isSet = attempt("attribute \(printable(attribute.name))", at: place) { () throws(Errno) in
                try holder.setExtendedAttribute(attribute)
            }
            if !isSet, let rights = AccessControlList.groupRights(attribute) {
                // With an ACL the mode's group bits are the most that anyone named in it may do.
                mode &= ~0o070 | rights << 3
                try? holder.setMode(mode)
            }
        }
        attempt("modification time", at: place) { () throws(Errno) in try holder.setModified(entry.modified) }
        guard let status = try? holder.status() else { return }
        if entry.kind != .symlink, status.mode != mode { shortfalls.add("its mode is another here: the file system does not keep it", at: place) }
        if status.modified != entry.modified {
            shortfalls.add("its modification time is another here: the file system does not keep it exactly", at: place)
        }
    }

    /// True when nothing would change.
    func isDressed(_ entry: Entry, _ file: borrowing Descriptor) throws(Errno) -> Bool {
        let status = try file.status()
        let (uid, gid) = ids(of: entry)
        let hasSameAttributes = try Set(file.extendedAttributes()) == Set(entry.attributes)
        return hasSameAttributes && status.mode == entry.mode && status.uid == uid && status.gid == gid && status.modified == entry.modified
            && InodeFlags.settable((try? file.inodeFlags()) ?? 0) == InodeFlags.settable(entry.inodeFlags)
    }

    // MARK: Flags

    /// Of a file that is still empty: those that say how its content is kept.
    func applyStorageFlags(of entry: Entry, to file: borrowing Descriptor) {
        let wanted = entry.inodeFlags & InodeFlags.storage
        if wanted != 0 { try? file.setInodeFlags(try file.inodeFlags() | wanted) }
    }

    /// Sets those of an entry's flags that a person chooses; those that would forbid further names of a file wait for `seal`.
    func applyFlags(of entry: Entry, at place: Path, to file: borrowing Descriptor) {
        var flags = entry.inodeFlags
        if entry.kind == .file, setsOwners, flags & InodeFlags.sealing != 0 {
            sealed.withLock { $0.append((place, flags)) }
            flags &= ~InodeFlags.sealing
        }
        set(flags, at: place, on: file)
    }

    /// When every name stands, the flags that forbid to make more of them.
    func seal(in target: TargetDirectory) {
        let all = sealed.withLock { sealed in
            defer { sealed = [] }
            return sealed
        }
        for (place, flags) in all {
            do throws(Errno) {
                set(flags, at: place, on: try target.open(place, [.read, .noFollow, .nonBlocking]))
            } catch {
                shortfalls.add("its flags cannot be set: \(error)", at: place)
            }
        }
    }

    private func set(_ flags: UInt32, at place: Path, on file: borrowing Descriptor) {
        var present = (try? file.inodeFlags()) ?? 0
        let wanted = present ^ InodeFlags.settable(present ^ flags)
        if wanted == present || (try? file.setInodeFlags(wanted)) != nil { return }
        // A flag that this file system does not have must not cost the others.
        for flag in InodeFlags.each(wanted ^ present) {
            do throws(Errno) {
                try file.setInodeFlags(present ^ flag)
                present ^= flag
            } catch {
                // How content is kept is the file system's affair: another one may do it in another way.
                let isMissed = flag & InodeFlags.storage == 0 || error == .notPermitted
                if isMissed { shortfalls.add("its flag \(InodeFlags.letter(flag)) cannot be set: \(explained(error))", at: place) }
            }
        }
    }

    // MARK: Attributes and owners

    /// What a new file took from a directory's default ACL, or what was set after the snapshot, is not the entry's.
    private func removeForeignAttributes(_ entry: Entry, at place: Path, of holder: borrowing some MetadataHolder & ~Copyable) {
        guard let names = try? holder.extendedAttributeNames() else { return }
        for name in names where isOwn(name) && !entry.attributes.contains(where: { $0.name == name }) {
            attempt("attribute \(printable(name))", "removed", at: place) { () throws(Errno) in try holder.removeExtendedAttribute(name) }
        }
    }

    /// Others, as a security module's labels, are given by the system and stay.
    private func isOwn(_ name: [UInt8]) -> Bool {
        ["user.", "trusted.", "system.posix_acl_", "security.capability"].contains { name.starts(with: $0.utf8) }
    }

    @discardableResult
    private func attempt(_ what: String, _ done: String = "set", at place: Path, _ body: () throws(Errno) -> Void) -> Bool {
        do throws(Errno) {
            try body()
            return true
        } catch {
            shortfalls.add("its \(what) cannot be \(done): \(explained(error))", at: place)
            return false
        }
    }

    private func explained(_ error: Errno) -> String {
        error == .notPermitted && !setsOwners ? "\(error): only root can" : "\(error)"
    }

    private func setOwner(_ entry: Entry, at place: Path, _ mode: inout UInt16, _ set: (UInt32, UInt32) throws(Errno) -> Void) {
        // On a directory these bits give nobody rights.
        let dangerous = entry.kind == .directory ? 0 : MetadataRestorer.setUserBit | MetadataRestorer.setGroupBit
        let (uid, gid) = ids(of: entry)
        if setsOwners {
            let isSet = attempt("owner", at: place) { () throws(Errno) in try set(uid, gid) }
            if !isSet { mode &= ~dangerous }
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
