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
    /// - Throws: `AgentError.notConfigured`, `ConfigurationError`, `AgentError` about sources and repository.
    package static func load(configurationFile: Path? = nil) throws -> Installation {
        let places = try Places(configurationFile: configurationFile)
        let configuration = try Configuration.load(from: places.configurationFile)
        return Installation(configuration, places.applying(configuration))
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

    /// The running daemon's process, as it wrote it into its lock.
    package var daemonPID: Int32? {
        guard let bytes = try? places.daemonLock.readFile(limit: 64) else { return nil }
        return Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
