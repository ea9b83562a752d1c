// The first act: configuration, key and repository; or taking over a repository that exists.
// Invariant: nothing that exists is overwritten. A failure leaves what was made before it, which the next attempt accepts.

internal import Archiving
internal import Cataloging
internal import Encrypting
package import Kernel
internal import Storing

package struct InitReport: Sendable {
    package var configurationFile: Path
    package var keyFile: Path
    package var repository: Path
    package var repositoryID: String
    /// What a person should know.
    package var notes: [String]
}

package enum Initialization {
    /// Makes configuration, key and repository.
    ///
    /// - Parameters:
    ///   - sources: Directories that exist. Symlinks in their paths are resolved.
    ///   - passphrase: For a key slot; nil for none.
    /// - Throws: `AgentError` (.alreadyConfigured, .sourceNotThere, .sourceInsideRepository, .overlappingSources), `StorageError.alreadyExists`
    ///   for a directory that holds something else, `EncryptionError`.
    package static func initialize(
        sources: [Path], repository: Path, passphrase: [UInt8]?, configurationFile: Path?
    ) throws -> InitReport {
        let places = try Places(configurationFile: configurationFile)
        if places.configurationFile.exists { throw AgentError.alreadyConfigured(places.configurationFile) }
        var configuration = Configuration(sources: try resolve(sources), repository: try resolveNew(repository))
        configuration.id = RepositoryOwner.newConfiguration()
        // Checked as it will be read.
        configuration = try Configuration(text: configuration.initialText, file: places.configurationFile)

        let present = try existingKey(places.keyFile)
        let key = try present ?? SecretKey.generate()
        let owner = RepositoryOwner.thisMachine(configuration: configuration.id ?? "")
        var begun: Repository?
        if let present { begun = try continued(configuration.repository, present, owner, passphrase) }
        // What is to be refused is refused before there is a key; and a repository without its key would open to nobody.
        if begun == nil { try Repository.prepareDirectory(configuration.repository) }
        try KeyFile.write(key, to: places.keyFile)
        let made = try begun ?? Repository.create(at: configuration.repository, key: key, owner: owner, passphrase: passphrase)
        try write(configuration, to: places.configurationFile)
        var notes: [String] = []
        for source in configuration.sources where configuration.repository.isAtOrBelow(source) {
            notes.append("the repository lies inside the source \(source) and is left out of the backup")
        }
        if let source = configuration.sources.first(where: { isOnOneFileSystem($0, configuration.repository) }) {
            notes.append("the repository is on the same disk as \(source): it helps when files are changed or deleted, not when that disk fails")
        }
        if passphrase == nil {
            notes.append("the key \(places.keyFile) opens everything, and nothing opens without it: keep a copy elsewhere (watchctl key export), or add a passphrase (watchctl key add)")
        }
        return InitReport(
            configurationFile: places.configurationFile, keyFile: places.keyFile, repository: configuration.repository,
            repositoryID: "\(made.id)", notes: notes)
    }

    /// The repository that an earlier attempt made with this key before it was cut short: of this machine, and without an archive.
    private static func continued(
        _ path: Path, _ key: SecretKey, _ owner: RepositoryOwner, _ passphrase: [UInt8]?
    ) throws -> Repository? {
        guard let repository = try? Repository.open(at: path), (try? repository.checkNewest(key)) != nil,
            repository.description.owner.machine == owner.machine
        else { return nil }
        let lock = try repository.lockForWriting()
        defer { lock.release() }
        guard try repository.storage.list().isEmpty else { return nil }
        try repository.changeOwner(to: owner, holding: lock)
        if let passphrase, (try? repository.unlockAll(passphrase: passphrase)) == nil {
            _ = try repository.addSlot(passphrase: passphrase, key: key, holding: lock)
        }
        return repository
    }

    /// Makes a configuration for a repository that exists, and makes this machine its owner.
    ///
    /// The sources are those of its newest snapshot.
    /// - Throws: `AgentError.alreadyConfigured`, `StorageError` (.notThere, .locked, .wrongKey), `EncryptionError`.
    package static func adopt(repository: Path, key source: KeySource, configurationFile: Path?) throws -> InitReport {
        let places = try Places(configurationFile: configurationFile)
        if places.configurationFile.exists { throw AgentError.alreadyConfigured(places.configurationFile) }
        let path = try resolveNew(repository)
        let existing = try Repository.open(at: path)
        let opened = try source.keys(of: existing)
        try existing.checkNewest(opened[0])
        let lock = try existing.lockForWriting()
        // Another writer may have made a new key until now.
        try existing.reload()
        let key = opened[0]
        try existing.wrapOlderKeys(opened, holding: lock)

        let newest = try newestSources(of: existing, keys: existing.allKeys(openedBy: key))
        guard !newest.isEmpty else { throw AgentError.failed("the repository \(path) has no snapshot yet: use watchctl init with another directory") }
        var configuration = Configuration(sources: newest, repository: path)
        configuration.id = RepositoryOwner.newConfiguration()
        try KeyRing.place(key, at: places.keyFile, of: existing)
        try existing.changeOwner(to: .thisMachine(configuration: configuration.id ?? ""), holding: lock)
        try write(configuration, to: places.configurationFile)
        lock.release()
        let session = try Session(configuration, at: places.applying(configuration), for: .writing)
        let count = try session.catalog.totals().snapshots
        var notes = ["\(count) snapshots are there; sources: \(newest.map(\.description).joined(separator: ", "))"]
        notes += session.gaps.map { "\($0.archive) cannot be used: \($0.reason)" }
        for source in newest where !source.exists { notes.append("\(source) is not on this machine yet: watchctl restore --in-place brings it back") }
        return InitReport(
            configurationFile: places.configurationFile, keyFile: places.keyFile, repository: path, repositoryID: "\(existing.id)", notes: notes)
    }

    private static func write(_ configuration: Configuration, to file: Path) throws {
        try naming(file) { () throws(Errno) in
            try (file.parent ?? .root).makeDirectories(mode: 0o700, .durable)
            try file.replaceFile(with: Array(configuration.initialText.utf8), mode: 0o600)
        }
    }

    private static func isOnOneFileSystem(_ one: Path, _ other: Path) -> Bool {
        guard let one = try? FileStatus(of: one).device, let other = try? FileStatus(of: other).device else { return false }
        return one == other
    }

    private static func resolve(_ sources: [Path]) throws -> [Path] {
        try sources.map { source in
            do throws(Errno) {
                let resolved = try source.resolved()
                guard try FileStatus(of: resolved).kind == .directory else { throw Errno.notDirectory }
                return resolved
            } catch {
                throw AgentError.sourceNotThere(source, error)
            }
        }
    }

    /// The real place of something that may not exist yet: its nearest existing directory is resolved.
    private static func resolveNew(_ path: Path) throws -> Path {
        if let resolved = try? path.resolved() { return resolved }
        guard let parent = path.parent else { return path }
        return try resolveNew(parent).appending(path.name)
    }

    /// A key that an earlier attempt, or a person, has put there.
    private static func existingKey(_ file: Path) throws -> SecretKey? {
        do {
            return try KeyFile.read(at: file).key
        } catch {
            if error.code == .keyMissing { return nil }
            throw error
        }
    }

    private static func newestSources(of repository: Repository, keys: [SecretKey]) throws -> [Path] {
        for archive in try repository.storage.list().reversed() where archive.name.kind.isCommit {
            do {
                let source = try repository.storage.open(archive.name)
                let reader = try ArchiveReader(source, name: archive.name, keys: keys, repository: repository.id)
                if let snapshot = reader.contents.snapshot { return snapshot.sources }
            } catch is ArchiveError {
                // Damage costs what this archive holds: an older one names the sources as well.
                continue
            }
        }
        return []
    }
}
