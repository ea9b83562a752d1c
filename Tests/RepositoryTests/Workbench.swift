// One installation that a test has for itself, and a clock that the test turns.
// In: settings.  Out: sessions on it, as many and as sound as the test wants.
// Invariant: nothing outside its directory is touched; the directory goes with it.

import Agent
import Compressing
import Encrypting
import Kernel
import Scanning
import Storing
import Testing

final class Workbench: Sendable {
    let directory: Path
    let configuration: Configuration
    let places: Places
    private let clock = Monitor(Timestamp(seconds: 1_767_268_800))

    /// - Parameter adjust: Changes the settings before anything is made.
    init(_ adjust: (inout Configuration) -> Void = { _ in }) throws {
        let base = FastPlace.base
        let directory = try #require(Path("\(base)/repository-tests-\(ProcessIdentity.pid)-\(UInt64.random(in: .min ... .max))"))
        self.directory = directory
        try directory.appending("source".utf8).makeDirectories(mode: 0o700)
        var configuration = Configuration(sources: [directory.appending("source".utf8)], repository: directory.appending("repository".utf8))
        configuration.id = RepositoryOwner.newConfiguration()
        configuration.state = directory.appending("state".utf8)
        configuration.runtime = directory.appending("runtime".utf8)
        configuration.keyFile = directory.appending("secret.key".utf8)
        configuration.exclude.defaults = false
        if let fast = CompressionLevel("zstd:1"), let deep = CompressionLevel("xz:0") {
            configuration.compression.fast = fast
            configuration.compression.deep = deep
        }
        adjust(&configuration)
        self.configuration = configuration
        places = try Places(configurationFile: directory.appending("config.toml".utf8)).applying(configuration)
        let key = try SecretKey.generate()
        try KeyFile.write(key, to: directory.appending("secret.key".utf8))
        _ = try Repository.create(
            at: configuration.repository, key: key, owner: .thisMachine(configuration: try #require(configuration.id)))
    }

    deinit {
        _ = try? ProcessIdentity.run("rm", ["-rf", directory.text], output: .discarded)
    }

    var source: Path { configuration.sources[0] }
    var installation: Installation { Installation(configuration, places) }

    var now: Timestamp {
        get { clock.withLock { $0 } }
        set { clock.withLock { $0 = newValue } }
    }

    func advance(_ duration: Duration) { now = now.adding(duration) }

    func session(
        _ access: Session.Access = .writing, wrapping wrap: (any Storage) -> any Storage = { $0 },
        adjusting adjust: (inout Configuration) -> Void = { _ in }
    ) throws -> Session {
        var configuration = configuration
        adjust(&configuration)
        return try Session(configuration, at: places, for: access, now: { self.now }, wrapping: wrap)
    }

    /// Throws the catalog away, as a person or a bad disk does. No session is open.
    func removeCatalog() throws {
        for name in try DirectoryStream.names(in: places.stateDirectory) where name.starts(with: "catalog.sqlite".utf8) {
            try places.stateDirectory.appending(name).removeFile()
        }
    }

    func write(_ name: String, _ text: String) throws {
        try source.appending(name.utf8).replaceFile(with: Array(text.utf8), mode: 0o600, .atomic)
    }
}

/// Where scratch costs no disk.
enum FastPlace {
    static var base: String {
        if let given = ProcessIdentity.environment("TMPDIR") { return given }
        return Path("/dev/shm")?.exists ?? false ? "/dev/shm" : "/tmp"
    }
}
