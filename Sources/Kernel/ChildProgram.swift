// Runs another program to its end, within a limit of time, and keeps the last of what it says.
// In: a program, its arguments and environment.  Out: how it ended, and its output.
// Invariant: the program never waits for us to read, and standard input is empty. Whoever runs over is ended with all that it
// started in its process group: SIGTERM, and SIGKILL for what stays.
// Source: posix_spawn(3), "POSIX_SPAWN_SETPGROUP"; waitpid(2); kill(2), "pid is less than -1".

internal import CLinux
internal import Glibc

public struct ChildProgram: Sendable {
    /// Looked up in PATH.
    public var program: String
    public var arguments: [String]
    public var environment: [String: String]
    public var directory: Path?
    public var timeout: Duration

    public init(
        _ program: String, _ arguments: [String], environment: [String: String] = ProcessIdentity.environment, directory: Path? = nil,
        timeout: Duration
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.timeout = timeout
    }

    public enum End: Hashable, Sendable {
        case exited(Int32)
        /// By a signal that was not ours.
        case signalled(Int32)
        case timedOut
        case cancelled
    }

    public struct Report: Hashable, Sendable {
        public var end: End
        /// The last `outputLimit` bytes of both standard output and standard error.
        public var output: [UInt8]
    }

    public static let outputLimit = 4096
    /// How soon a cancellation, or an end that leaves others behind with our pipe, is noticed.
    private static let step = Duration.milliseconds(50)
    /// From SIGTERM to SIGKILL.
    private static let grace = Duration.seconds(2)

    /// Runs it and waits for its end; what it started and left behind is not waited for.
    ///
    /// - Throws: `Errno` when it could not be started: it is not there, or there is no room for another process.
    public func run(isCancelled: () -> Bool = { false }) throws(Errno) -> Report {
        var ends: [Int32] = [-1, -1]
        _ = try system { clinux_pipe(&ends) }
        let reading = Descriptor(owning: ends[0])
        let writing = Descriptor(owning: ends[1])
        _ = fcntl(reading.rawValue, F_SETFL, O_NONBLOCK)
        let pid = try spawn(output: writing.rawValue)
        // Ours would keep the pipe from ending.
        try? writing.close()
        var output = Tail()
        let end = wait(for: pid, reading, until: .now() + timeout, &output, isCancelled)
        output.read(reading)
        return Report(end: end, output: output.bytes)
    }

    private func wait(
        for pid: pid_t, _ reading: borrowing Descriptor, until deadline: BootInstant, _ output: inout Tail, _ isCancelled: () -> Bool
    ) -> End {
        while true {
            output.read(reading)
            if let end = ChildProgram.end(of: pid) { return end }
            let isOver = BootInstant.now() >= deadline
            if isOver || isCancelled() {
                ChildProgram.stop(pid, reading, &output)
                return isOver ? .timedOut : .cancelled
            }
            ChildProgram.pause(reading, hasEnded: output.hasEnded, min(ChildProgram.step, deadline - .now()))
        }
    }

    /// Ends the process group, and waits for the program itself.
    private static func stop(_ pid: pid_t, _ reading: borrowing Descriptor, _ output: inout Tail) {
        kill(-pid, SIGTERM)
        let deadline = BootInstant.now() + grace
        var hasEnded = false
        while !hasEnded, .now() < deadline {
            pause(reading, hasEnded: output.hasEnded, step)
            output.read(reading)
            hasEnded = end(of: pid) != nil
        }
        // Others of the group may ignore SIGTERM; without any of them this finds nobody.
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        if !hasEnded { _ = try? system { waitpid(pid, &status, 0) } }
    }

    /// Until there is output, or for so long. Once the output has ended there is no event for the end that must follow.
    private static func pause(_ reading: borrowing Descriptor, hasEnded: Bool, _ duration: Duration) {
        let milliseconds = Int32(clamping: max(1, duration.nanosecondsClamped / 1_000_000))
        var item = pollfd(fd: hasEnded ? -1 : reading.rawValue, events: Int16(POLLIN), revents: 0)
        poll(&item, 1, hasEnded ? min(5, milliseconds) : milliseconds)
    }

    private static func end(of pid: pid_t) -> End? {
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        // WIFEXITED, WEXITSTATUS, WTERMSIG of wait(2).
        return status & 0x7F == 0 ? .exited((status >> 8) & 0xFF) : .signalled(status & 0x7F)
    }

    private func spawn(output: Int32) throws(Errno) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        if let directory { clinux_spawn_in(&actions, directory.terminated) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What this process ignores or blocks is its own affair: a shell that is deaf to SIGPIPE or SIGTERM behaves unlike any other.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var list: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for item in list + variables { free(item) } }
        var child: pid_t = 0
        let code = posix_spawnp(&child, program, &actions, &attributes, &list, &variables)
        if code != 0 { throw Errno(rawValue: code) }
        return child
    }
}

/// The last bytes that came through a pipe.
private struct Tail {
    private(set) var bytes: [UInt8] = []
    private(set) var hasEnded = false

    /// Takes what is there, without waiting.
    mutating func read(_ pipe: borrowing Descriptor) {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while !hasEnded {
            let count = Glibc.read(pipe.rawValue, &buffer, buffer.count)
            if count < 0 { return }
            hasEnded = count == 0
            bytes += buffer[..<count]
            if bytes.count > ChildProgram.outputLimit { bytes.removeFirst(bytes.count - ChildProgram.outputLimit) }
        }
    }
}

extension ProcessIdentity {
    /// All environment variables.
    public static var environment: [String: String] {
        var result: [String: String] = [:]
        var place = environ
        while let entry = place.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") { result[String(text[..<equals])] = String(text[text.index(after: equals)...]) }
            place += 1
        }
        return result
    }
}
