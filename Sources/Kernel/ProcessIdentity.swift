// Who and where this process is: user, machine, environment, terminals.

internal import CLinux
internal import Glibc

public enum ProcessIdentity {
    public static var pid: Int32 { getpid() }
    public static var uid: UInt32 { geteuid() }

    /// Source: gethostname(2).
    public static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The id of this installation of the operating system; empty when there is none. Source: machine-id(5).
    public static var machineID: String {
        let bytes = (try? Path("/etc/machine-id")?.readFile(limit: 4096)) ?? []
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// An environment variable; nil when it is not set or empty, as the XDG rules treat them.
    public static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The home directory: HOME, else the one of the user database.
    public static var home: Path? {
        if let home = environment("HOME"), home.hasPrefix("/") { return Path(home) }
        guard let record = getpwuid(geteuid()) else { return nil }
        return Path(String(cString: record.pointee.pw_dir))
    }

    /// True when `descriptor` (0, 1 or 2) is a terminal.
    public static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// True when a process of this number exists, whoever owns it. Source: kill(2), signal 0.
    public static func exists(pid: Int32) -> Bool { kill(pid, 0) == 0 || errno == EPERM }

    /// Sends a signal. Source: kill(2).
    public static func signal(_ pid: Int32, _ number: Int32) throws(Errno) {
        _ = try system { kill(pid, number) }
    }

    /// The path of this program's file.
    public static var executable: Path? { try? Path("/proc/self/exe")?.resolved() }

    /// Keeps key material out of core dumps. Source: prctl(2), PR_SET_DUMPABLE.
    public static func denyCoreDumps() { _ = clinux_deny_dump() }

    /// Ends the process now, without flushing or running exit handlers.
    public static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

    /// Starts `program` in a session of its own, with standard input from /dev/null and output appended to `log`.
    ///
    /// - Returns: The process number. The child is not waited for. Source: posix_spawn(3), POSIX_SPAWN_SETSID.
    public static func spawnDetached(_ program: Path, arguments: [String], log: Path) throws(Errno) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log.terminated, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, 0x80 /* POSIX_SPAWN_SETSID */)
        var list: [UnsafeMutablePointer<CChar>?] = ([program.text] + arguments).map { strdup($0) }
        list.append(nil)
        defer { for item in list { free(item) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, program.terminated, &actions, &attributes, list, environ)
        if code != 0 { throw Errno(rawValue: code) }
        return child
    }

    /// The exit status of a child that has ended; nil while it runs. -1 when a signal ended it. Source: waitpid(2), WNOHANG.
    public static func exitStatus(ofChild pid: Int32) -> Int32? {
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
    }

    /// Runs a program to its end and gives its exit status; -1 when a signal ended it. Standard streams are inherited,
    /// or go to /dev/null when `quiet`. The program is looked up in PATH. Source: posix_spawnp(3).
    public static func run(_ program: String, _ arguments: [String], output: ProgramOutput = .inherited) throws(Errno) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if output == .discarded {
            posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        var list: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        list.append(nil)
        defer { for item in list { free(item) } }
        var child: pid_t = 0
        let code = posix_spawnp(&child, program, &actions, nil, list, environ)
        if code != 0 { throw Errno(rawValue: code) }
        var status: Int32 = 0
        _ = try system { waitpid(child, &status, 0) }
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
    }

    public enum ProgramOutput: Sendable {
        case inherited, discarded
    }
}

/// Names of users and groups. Source: getpwuid_r(3), getgrgid_r(3).
public enum AccountDatabase {
    public static func userName(_ uid: UInt32) -> String? {
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getpwuid_r(uid, &record, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return String(cString: record.pw_name)
    }

    public static func groupName(_ gid: UInt32) -> String? {
        var record = group()
        var found: UnsafeMutablePointer<group>?
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        guard getgrgid_r(gid, &record, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return String(cString: record.gr_name)
    }

    public static func uid(ofUser name: String) -> UInt32? {
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getpwnam_r(name, &record, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return record.pw_uid
    }

    public static func gid(ofGroup name: String) -> UInt32? {
        var record = group()
        var found: UnsafeMutablePointer<group>?
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        guard getgrnam_r(name, &record, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return record.gr_gid
    }
}
