// What the kernel allows one user to have of inotify and fanotify, and what is used of it.
// In: /proc.  Out: limits with the names under which sysctl(8) changes them; the watches of the user's other programs.
// Source: inotify(7), "/proc interfaces"; fanotify(7), "/proc interfaces"; namespaces(7), "The /proc/sys/user directory"; proc_pid_fdinfo(5).

internal import Glibc

/// A number of the kernel's that an administrator may change.
public struct KernelLimit: Hashable, Sendable {
    /// As sysctl(8) knows it: `fs.inotify.max_user_watches`.
    public var name: String
    public var value: Int

    public init(name: String, value: Int) {
        self.name = name
        self.value = value
    }

    /// The lowest of those that the kernel tells; of equals, the first: it is the one that people know.
    fileprivate static func lowest(_ names: [String]) -> KernelLimit? {
        names.compactMap { name in
            Inotify.number(in: "/proc/sys/" + String(name.map { $0 == "." ? "/" : $0 })).map { KernelLimit(name: name, value: $0) }
        }.min { $0.value < $1.value }
    }
}

extension Inotify {
    public enum Limited: Sendable {
        /// Directories that a user watches, in all programs together.
        case watches
        /// Inotify instances of a user.
        case instances
    }

    /// The limit that holds for this user: that of the system or that of the user namespace, whichever is lower. Nil when the
    /// kernel does not tell.
    public static func limit(of limited: Limited) -> KernelLimit? {
        switch limited {
        case .watches: .lowest(["fs.inotify.max_user_watches", "user.max_inotify_watches"])
        case .instances: .lowest(["fs.inotify.max_user_instances", "user.max_inotify_instances"])
        }
    }

    /// How many events the queue of an instance holds. Source: inotify(7), max_queued_events.
    public static func queueLimit() -> Int {
        number(in: "/proc/sys/fs/inotify/max_queued_events") ?? 16384
    }

    /// The watches that other processes of this user have, as far as their descriptors may be looked at.
    ///
    /// - Complexity: One readlink(2) for each open file of the user's processes, and a line to read for each watch: some
    ///   milliseconds on a desktop.
    public static func watchesOfOthers() -> Int { KernelQueue.inotify.usedByOthers() }

    static func number(in file: String) -> Int? {
        guard let path = Path(file), let bytes = try? path.readFile(limit: 64) else { return nil }
        return Int(String(decoding: bytes.prefix { (0x30...0x39).contains($0) }, as: UTF8.self))
    }
}

extension Fanotify {
    /// The limit of marks that holds for this user without CAP_SYS_ADMIN, as `Inotify.limit(of:)`.
    public static func limitOfMarks() -> KernelLimit? { .lowest(["fs.fanotify.max_user_marks", "user.max_fanotify_marks"]) }

    /// That of groups.
    public static func limitOfGroups() -> KernelLimit? { .lowest(["fs.fanotify.max_user_groups", "user.max_fanotify_groups"]) }

    /// The marks on directories and files that other processes of this user have, as `Inotify.watchesOfOthers`.
    public static func marksOfOthers() -> Int { KernelQueue.fanotify.usedByOthers() }
}

/// How the queues of a kind are told from other open files, and what they hold is told.
private struct KernelQueue {
    /// What the link of such a descriptor says.
    var link: [UInt8]
    /// How a line of its fdinfo begins that stands for a watch or mark.
    var line: [UInt8]

    static let inotify = KernelQueue(link: Array("anon_inode:inotify".utf8), line: Array("inotify wd:".utf8))
    static let fanotify = KernelQueue(link: Array("anon_inode:[fanotify]".utf8), line: Array("fanotify ino:".utf8))

    func usedByOthers() -> Int {
        guard let root = Path("/proc"), let processes = try? DirectoryStream.names(in: root) else { return 0 }
        let own = ProcessIdentity.uid
        var count = 0
        for name in processes where name.allSatisfy({ (0x30...0x39).contains($0) }) {
            let process = root.appending(name)
            // A process that ends in the meantime has none.
            guard name != Array("\(ProcessIdentity.pid)".utf8), (try? FileStatus(of: process))?.uid == own else { continue }
            count += watches(of: process)
        }
        return count
    }

    private func watches(of process: Path) -> Int {
        let place = process.appending("fd".utf8)
        guard let names = try? DirectoryStream.names(in: place), let directory = try? Descriptor.open(place, [.path, .directory]) else { return 0 }
        var count = 0
        for name in names where (try? directory.readSymlink(name.map { CChar(bitPattern: $0) } + [0])) == link {
            count += (try? watchLines(in: process.appending("fdinfo".utf8).appending(name))) ?? 0
        }
        return count
    }

    /// Lines that begin as those of watches do: `inotify wd:1 ino:2 sdev:3 …`.
    private func watchLines(in file: Path) throws -> Int {
        let descriptor = try Descriptor.open(file, [.read])
        let mark = line
        var matched = 0
        var count = 0
        return try withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 1) { buffer in
            while true {
                let length = try descriptor.read(into: buffer)
                if length == 0 { return count }
                for byte in buffer[..<length] {
                    if byte == UInt8(ascii: "\n") {
                        matched = 0
                    } else if matched >= 0 {
                        matched = matched < mark.count && byte == mark[matched] ? matched + 1 : -1
                        if matched == mark.count {
                            count += 1
                            matched = -1
                        }
                    }
                }
            }
        }
    }
}
