// Signals of this process. Source: signal(7), sigaction(2).

internal import Glibc

public enum Signals {
    public static let terminate: Int32 = SIGTERM
    public static let kill: Int32 = SIGKILL
    public static let interrupt: Int32 = SIGINT
    public static let hangUp: Int32 = SIGHUP

    /// A write to a closed socket or pipe fails with EPIPE instead of ending the process.
    public static func ignoreBrokenPipes() {
        signal(SIGPIPE, SIG_IGN)
    }
}
