// What an entry has besides its content: extended attributes, flags, names of its owners.
// In: a name in an open directory.  Out: fields of Entry.
// What cannot be had of it costs the field and is named, never the entry.

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
            entry.attributes = try unopenedAttributes(path, name, directory)
            return entry
        }
        var entry = Entry(path: path, status: try problem(path, .status) { () throws(Errno) in try opened.status() })
        entry.attributes = try attributes(path) { () throws(Errno) in try opened.extendedAttributes() }
        entry.inodeFlags = opened.inodeFlags()
        return entry
    }

    func unopenedAttributes(_ path: Path, _ name: [CChar], _ directory: OpenDirectory) throws(ScanProblem) -> [ExtendedAttribute] {
        try attributes(path) { () throws(Errno) in try ExtendedAttribute.all(of: name, in: directory.descriptor) }
    }

    func attributes(_ path: Path, _ get: () throws(Errno) -> [ExtendedAttribute]) throws(ScanProblem) -> [ExtendedAttribute] {
        do throws(Errno) {
            return try get()
        } catch {
            let problem = ScanProblem(path: path, errno: error, step: .attributes)
            if problem.isVanished { throw problem }
            problems.append(problem)
            return []
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
