// What an entry has besides its content: extended attributes, flags, names of its owners.
// In: a name in an open directory.  Out: fields of Entry.
// What cannot be had of it costs the field and is named, never the entry, and is asked for again.

internal import Archiving
internal import Kernel

extension FileReader {
    func readDirectory(
        _ path: Path, _ name: [CChar], _ directory: OpenDirectory, _ status: FileStatus
    ) throws -> Entry {
        let options: Descriptor.Options = [.read, .directory, .noFollow]
        guard let opened = try? Descriptor.open(name, in: directory.descriptor, options) else {
            // It may be closed to us; its metadata is not.
            var entry = Entry(path: path, status: status)
            try readUnopenedAttributes(of: &entry, name, directory)
            return entry
        }
        var entry = Entry(path: path, status: try problem(path, .status) { () throws(Errno) in try opened.status() })
        try readFlags(of: &entry) { () throws(Errno) in try opened.inodeFlags() }
        try readAttributes(of: &entry) { () throws(Errno) in try opened.extendedAttributes() }
        return entry
    }

    func readUnopenedAttributes(of entry: inout Entry, _ name: [CChar], _ directory: OpenDirectory) throws {
        try readAttributes(of: &entry) { () throws(Errno) in try ExtendedAttribute.all(of: name, in: directory.descriptor) }
    }

    func readAttributes(of entry: inout Entry, _ get: () throws(Errno) -> [ExtendedAttribute]) throws {
        try read(\.attributes, of: &entry, .attributes, get)
    }

    func readFlags(of entry: inout Entry, _ get: () throws(Errno) -> UInt32) throws {
        try read(\.inodeFlags, of: &entry, .flags, get)
    }

    /// What cannot be had stays as it was known, and the next scan asks for it again.
    private func read<Value>(
        _ field: WritableKeyPath<Entry, Value>, of entry: inout Entry, _ step: ScanProblem.Step, _ get: () throws(Errno) -> Value
    ) throws {
        do throws(Errno) {
            entry[keyPath: field] = try get()
        } catch {
            let problem = ScanProblem(path: entry.path, errno: error, step: step)
            if problem.isVanished || error == .staleNFSFileHandle { throw problem }
            // A file that changes while it is read is asked several times.
            if !problems.suffix(2).contains(problem) { problems.append(problem) }
            let known = try state.liveEntry(entry.path)
            if let known, known.kind == entry.kind { entry[keyPath: field] = known[keyPath: field] }
            // A permission comes with a change of the inode, or from without, and then for many: all would be read at each scan.
            if error != .permissionDenied, error != .notPermitted { entry.marks.insert(.racy) }
        }
    }
}

/// Names of users and groups, each asked for once.
struct AccountNames {
    private var users: [UInt32: [UInt8]] = [:]
    private var groups: [UInt32: [UInt8]] = [:]

    /// Empty when there is no such user.
    mutating func user(_ uid: UInt32) -> [UInt8] {
        if let name = users[uid] { return name }
        let name = AccountDatabase.userName(uid).map { Array($0.utf8) } ?? []
        users[uid] = name
        return name
    }

    mutating func group(_ gid: UInt32) -> [UInt8] {
        if let name = groups[gid] { return name }
        let name = AccountDatabase.groupName(gid).map { Array($0.utf8) } ?? []
        groups[gid] = name
        return name
    }
}
