// A new key in an opened installation: from its beginning to the moment when the older ones are forgotten.

import Agent
import Controlling
import Encrypting
import Kernel
import Storing
import Testing

struct KeyRotationSessionTests {
    private let place: Place
    private var directory: Path { place.path }
    private let configuration: Configuration
    private let places: Places

    init() throws {
        let base = ProcessIdentity.environment("TMPDIR") ?? "/tmp"
        let directory = try #require(Path("\(base)/agent-tests-\(ProcessIdentity.pid)-\(UInt64.random(in: .min ... .max))"))
        place = Place(path: directory)
        let source = directory.appending("source".utf8)
        try source.makeDirectories(mode: 0o700)
        var configuration = Configuration(sources: [source], repository: directory.appending("repository".utf8))
        configuration.id = RepositoryOwner.newConfiguration()
        configuration.state = directory.appending("state".utf8)
        configuration.keyFile = directory.appending("secret.key".utf8)
        self.configuration = configuration
        places = try Places(configurationFile: directory.appending("config.toml".utf8)).applying(configuration)
        let key = try SecretKey.generate()
        try KeyFile.write(key, to: directory.appending("secret.key".utf8))
        _ = try Repository.create(
            at: configuration.repository, key: key, owner: .thisMachine(configuration: try #require(configuration.id)))
    }

    private func session() throws -> Session { try Session(configuration, at: places, for: .writing) }

    /// One that shares nothing with those before it, so that no archive before it is needed.
    private func snapshot(_ text: String) throws {
        try configuration.sources[0].appending("document".utf8).replaceFile(with: Array(text.utf8), mode: 0o600)
        _ = try Commands(Installation(configuration, places)).snapshot(SnapshotRequest(standalone: true))
    }

    /// What the background does, in the shortest form: the archives up to a number are gone.
    private func removeArchives(of session: Session, through last: UInt64) throws {
        for archive in try session.storage.list() where archive.name.number <= last { try session.storage.remove(archive.name) }
    }

    @Test func sessionSealsWithTheNewKeyAndReadsWithBoth() throws {
        try snapshot("one")
        let session = try session()
        let old = session.key
        #expect(session.keys == [old])
        #expect(session.record.rekeyThrough == nil)
        _ = try session.beginKeyRotation(passphrases: [])
        #expect(session.keys.count == 2)
        #expect(session.keys.first == session.key && session.keys.last == old && session.key != old)
        #expect(session.record.rekeyThrough == session.record.highestArchive)
        #expect(try KeyFile.read(at: directory.appending("secret.key".utf8)).key == session.key)
        #expect(!KeyFile.waitingPlace(for: directory.appending("secret.key".utf8)).exists)
        for archive in try session.storage.list() { _ = try session.reader(of: archive.name) }
    }

    @Test func olderKeysAreForgottenWhenNothingNeedsThem() throws {
        try snapshot("one")
        do { _ = try session().beginKeyRotation(passphrases: [Array("one".utf8)]) }
        try snapshot("two")
        do { _ = try session().beginKeyRotation(passphrases: []) }
        try snapshot("three")
        let session = try session()
        #expect(session.keys.count == 3)
        let through = try #require(session.record.rekeyThrough)
        // An archive that one of the older keys sealed is still there.
        #expect(throws: AgentError.self) { try session.finishKeyRotation() }
        #expect(session.repository.description.keys.count == 3)
        try removeArchives(of: session, through: through - 1)
        #expect(throws: AgentError.self) { try session.finishKeyRotation() }
        try removeArchives(of: session, through: through)
        try session.finishKeyRotation()
        #expect(session.keys == [session.key])
        #expect(session.record.rekeyThrough == nil && session.record.rekeyKey == nil)
        let described = try Repository.open(at: configuration.repository).description.keys
        #expect(described.map(\.id) == [3])
        #expect(described[0].wrapped == nil)
        #expect(try !session.storage.list().isEmpty)
        for archive in try session.storage.list() { _ = try session.reader(of: archive.name) }
        // Nothing is left to do.
        try session.finishKeyRotation()
    }

    /// A crash between the last key that was removed and the memory of it.
    @Test func finishedRotationIsForgottenAtTheNextOpening() throws {
        try snapshot("one")
        do {
            let session = try session()
            _ = try session.beginKeyRotation(passphrases: [])
            try removeArchives(of: session, through: try #require(session.record.rekeyThrough))
        }
        do {
            let repository = try Repository.open(at: configuration.repository)
            try repository.removeKey(1, holding: try repository.lockForWriting())
        }
        #expect(try session().record.rekeyThrough == nil)
    }

    /// The new key waits, and the directory cannot be written: what reads goes on, and nothing is lost.
    @Test(.enabled(if: ProcessIdentity.uid != 0, "root can write every directory")) func keyThatWaitsIsUsedWhereItCannotBeRenamed() throws {
        try snapshot("one")
        let file = directory.appending("secret.key".utf8)
        let old = try KeyFile.read(at: file).key
        do { _ = try session().beginKeyRotation(passphrases: []) }
        let new = try KeyFile.read(at: file).key
        try KeyFile.replace(with: old, at: file)
        try KeyFile.write(new, to: KeyFile.waitingPlace(for: file))
        _ = try ProcessIdentity.run("chmod", ["500", directory.text], output: .discarded)
        #expect(try session().keys == [new, old])
        #expect(try KeyFile.read(at: file).key == old)
        _ = try ProcessIdentity.run("chmod", ["700", directory.text], output: .discarded)
        #expect(try session().keys == [new, old])
        #expect(try KeyFile.read(at: file).key == new)
    }
}

/// Removed after the test that has it.
private final class Place: Sendable {
    let path: Path

    init(path: Path) {
        self.path = path
    }

    deinit {
        _ = try? ProcessIdentity.run("rm", ["-rf", path.text], output: .discarded)
    }
}
