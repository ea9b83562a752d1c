// A configuration and its places: what every command starts from.

package import Controlling
package import Kernel
package import Scanning

package struct Installation: Sendable {
    package let places: Places
    package let configuration: Configuration
    /// What is left out, the repository and the program's own files included.
    package let rules: ExcludeRules

    /// Reads the configuration, resolves its paths, and checks them against each other.
    ///
    /// - Parameter configurationFile: From `--config`; nil for the standard place.
    /// - Throws: `AgentError.notConfigured`, `ConfigurationError`, `AgentError` about sources and repository, `.foreignDaemon`.
    package static func load(configurationFile: Path? = nil) throws -> Installation {
        let places = try Places(configurationFile: configurationFile)
        let configuration = try Configuration.load(from: places.configurationFile)
        let installation = Installation(configuration, places.applying(configuration))
        if installation.isDaemonForeign { throw AgentError.foreignDaemon(installation.places) }
        return installation
    }

    /// What can be done without a valid configuration: ending its daemon.
    ///
    /// - Throws: `AgentError.noHome`.
    package static func withoutConfiguration(configurationFile: Path? = nil) throws -> Installation {
        Installation(Configuration(sources: [], repository: .root), try Places(configurationFile: configurationFile))
    }

    package init(_ configuration: Configuration, _ places: Places) {
        self.configuration = configuration
        self.places = places
        rules = ExcludeRules(
            settings: configuration.exclude, sources: configuration.sources, home: ProcessIdentity.home,
            ownPaths: [configuration.repository, places.stateDirectory, places.runtimeDirectory])
    }

    package var client: ControlClient { ControlClient(socket: places.socket) }

    /// True while a daemon holds its lock; also a daemon that does not answer.
    package var isDaemonRunning: Bool {
        guard let file = try? Descriptor.open(places.daemonLock, [.read]) else { return false }
        return (try? file.tryLock(.shared)) == false
    }

    /// When the daemon that runs began, or the last one did.
    package var daemonStarted: Timestamp? { (try? FileStatus(of: places.daemonLock))?.modified }

    /// The running daemon's process, as it wrote it into its lock.
    package var daemonPID: Int32? { daemonLines.first.flatMap { Int32($0) } }

    /// A daemon runs at these places, and backs up what another configuration says: its answers would be about that.
    private var isDaemonForeign: Bool {
        let lines = daemonLines
        guard let own = configuration.id, lines.count > 1, !lines[1].isEmpty, lines[1] != own else { return false }
        return isDaemonRunning
    }

    /// Its process and the id of its configuration.
    private var daemonLines: [String] {
        guard let bytes = try? places.daemonLock.readFile(limit: 256) else { return [] }
        return bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }
}
