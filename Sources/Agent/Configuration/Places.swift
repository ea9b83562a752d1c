// Where everything of one installation stands, by the XDG base directory specification.
// In: the environment, `--config`, and the configuration's own `state` and `runtime` keys.  Out: paths.

package import Kernel

package struct Places: Hashable, Sendable {
    package var configurationFile: Path
    package var keyFile: Path
    package var stateDirectory: Path
    package var runtimeDirectory: Path
    /// Those of the computer, not of a person.
    package let isSystem: Bool

    package var catalogFile: Path { stateDirectory.appending("catalog.sqlite".utf8) }
    package var statusFile: Path { stateDirectory.appending("status.json".utf8) }
    package var logFile: Path { stateDirectory.appending("watchd.log".utf8) }
    /// What only this machine knows and a restore does not need: the newest snapshot seen, last verification.
    package var anchorFile: Path { stateDirectory.appending("anchor.json".utf8) }
    /// Held while that is changed.
    package var anchorLock: Path { stateDirectory.appending("anchor.lock".utf8) }
    /// How backing up stood when a person was last told.
    package var standingFile: Path { stateDirectory.appending("standing".utf8) }
    /// Held by the running daemon.
    package var daemonLock: Path { stateDirectory.appending("watchd.lock".utf8) }
    /// Held while the catalog is brought up to date, and by a writer as long as it lives.
    package var catalogLock: Path { stateDirectory.appending("catalog.lock".utf8) }
    /// Stands while the catalog does not know all archives yet.
    package var catalogIncomplete: Path { stateDirectory.appending("catalog.incomplete".utf8) }
    package var cookieDirectory: Path { stateDirectory.appending("cookies".utf8) }
    package var socket: Path { runtimeDirectory.appending("control.sock".utf8) }

    /// The standard places. Root has those of the system when it says so with AUTO_BACKUP_SYSTEM=1, names the configuration there, or has
    /// none of its own while there is one.
    ///
    /// - Parameter configurationFile: From `--config`; else AUTO_BACKUP_CONFIG, else the default place.
    /// - Throws: `AgentError.noHome` when neither the environment nor the user database tells a home directory.
    package init(configurationFile: Path? = nil) throws {
        let given = configurationFile ?? ProcessIdentity.environment("AUTO_BACKUP_CONFIG").flatMap { Path($0, relativeTo: Places.workingDirectory) }
        let own = try? Places.xdg("XDG_CONFIG_HOME", ".config").appending("config.toml".utf8)
        let shared = Places.fixed("/etc/auto-backup/config.toml")
        isSystem = ProcessIdentity.uid == 0
            && (ProcessIdentity.environment("AUTO_BACKUP_SYSTEM") == "1" || given == shared || given == nil && own?.exists != true && shared.exists)
        guard let standard = isSystem ? shared : own else { throw AgentError.noHome }
        self.configurationFile = given ?? standard
        keyFile = (self.configurationFile.parent ?? .root).appending("secret.key".utf8)
        stateDirectory = try isSystem ? Places.fixed("/var/lib/auto-backup") : Places.xdg("XDG_STATE_HOME", ".local/state")
        if isSystem {
            runtimeDirectory = Places.fixed("/run/auto-backup")
        } else if let runtime = Places.environmentPath("XDG_RUNTIME_DIR") {
            runtimeDirectory = runtime.appending("auto-backup".utf8)
        } else {
            runtimeDirectory = stateDirectory
        }
    }

    /// Makes the state directory when it is missing, durably: what is fsynced in it later would be gone with its name.
    ///
    /// - Throws: `AgentError.failed`, with its path.
    package func makeStateDirectory() throws(AgentError) {
        if stateDirectory.exists { return }
        try naming(stateDirectory) { () throws(Errno) in try stateDirectory.makeDirectories(mode: 0o700, .durable) }
    }

    /// The same places with those moved that the configuration moves.
    package func applying(_ configuration: Configuration) -> Places {
        var moved = self
        if let state = configuration.state {
            if runtimeDirectory == stateDirectory { moved.runtimeDirectory = state }
            moved.stateDirectory = state
        }
        if let runtime = configuration.runtime { moved.runtimeDirectory = runtime }
        return moved
    }

    private static func fixed(_ text: String) -> Path { Path(unchecked: Array(text.utf8.dropFirst())) }

    static var workingDirectory: Path { (try? Path.workingDirectory()) ?? .root }

    private static func xdg(_ variable: String, _ fallback: String) throws -> Path {
        if let path = environmentPath(variable) { return path.appending("auto-backup".utf8) }
        guard let home = ProcessIdentity.home else { throw AgentError.noHome }
        return home.appending("\(fallback)/auto-backup".utf8)
    }

    /// The XDG specification says that a relative path is to be ignored.
    private static func environmentPath(_ variable: String) -> Path? {
        guard let text = ProcessIdentity.environment(variable), text.hasPrefix("/") else { return nil }
        return Path(text)
    }
}
