// Snapshots of sources that change while they are read.

import Cataloging
import Controlling
import Encrypting
import Kernel
import Scanning
import Storing
import Testing
import Tracking

@testable import Agent

struct SnapshotPipelineTests {
    private let place: Place
    private let source: Path
    private let session: Session

    init() throws { try self.init(in: ProcessIdentity.environment("TMPDIR") ?? "/tmp") }

    private init(in base: String) throws {
        let directory = try #require(Path("\(base)/agent-tests-\(ProcessIdentity.pid)-\(UInt64.random(in: .min ... .max))"))
        place = Place(path: directory)
        source = directory.appending("source".utf8)
        try source.makeDirectories(mode: 0o700)
        var configuration = Configuration(sources: [source], repository: directory.appending("repository".utf8))
        configuration.id = RepositoryOwner.newConfiguration()
        configuration.state = directory.appending("state".utf8)
        configuration.keyFile = directory.appending("secret.key".utf8)
        let places = try Places(configurationFile: directory.appending("config.toml".utf8)).applying(configuration)
        let key = try SecretKey.generate()
        try KeyFile.write(key, to: directory.appending("secret.key".utf8))
        _ = try Repository.create(
            at: configuration.repository, key: key, owner: .thisMachine(configuration: try #require(configuration.id)))
        session = try Session(configuration, at: places, for: .writing)
    }

    private func path(_ name: String) throws -> Path { try #require(Path(name, relativeTo: source)) }

    private func write(_ name: String) throws {
        let path = try path(name)
        try #require(path.parent).makeDirectories(mode: 0o700)
        try path.replaceFile(with: Array(name.utf8), mode: 0o600)
    }

    private func shell(_ script: String) throws {
        #expect(try ProcessIdentity.run("sh", ["-ec", "cd '\(source.text)'; \(script)"]) == 0)
    }

    private func snapshot(_ scope: ScanScope = .whole, during: @escaping (SnapshotProgress) throws -> Void = { _ in }) throws -> SnapshotOutcome {
        let rules = ExcludeRules(settings: ExcludeSettings(), sources: [source], home: nil, ownPaths: [])
        return try SnapshotPipeline(session: session, rules: rules, progress: { progress in #expect(throws: Never.self) { try during(progress) } })
            .run(SnapshotOrder(scope: scope))
    }

    private func livePaths() throws -> [String] {
        try session.catalog.liveDescendants(of: source).map { String(decoding: $0.suffix(below: source), as: UTF8.self) }
    }

    /// Of a directory that leaves after its content was read, and before it is read itself, nothing is left: it would be content of
    /// a directory that no walk comes by, and that no restore can make when something else stands there later.
    @Test func contentOfADirectoryThatLeavesIsLeftOutWithIt() throws {
        // Read by type: what has no dot in its name first.
        try write("new.d/deep.d/file")
        try write("new.d/file")
        try write("other")
        let outcome = try snapshot { progress in if progress.filesDone == 4 { try shell("mv new.d ../away") } }
        #expect(outcome.unsettled == [try path("new.d"), try path("new.d/deep.d")])
        #expect(outcome.problems.isEmpty)
        #expect(try livePaths() == ["other"])
        // Another kind of entry in its place is all that there is.
        try shell("ln -s other new.d")
        _ = try snapshot()
        #expect(try livePaths() == ["new.d", "other"])
    }

    /// The sum of their sizes is above 2^64 - 1: it ended the daemon.
    @Test func hugeSparseFilesAreRecorded() throws {
        // Few file systems have files of that size; tmpfs is one.
        let tests = try SnapshotPipelineTests(in: "/dev/shm")
        try tests.shell("truncate -s \(Int64.max / 4096 * 4096) a b c 2>/dev/null || rm -f a b c")
        guard try tests.path("c").exists else { return }
        #expect(try tests.snapshot().problems.isEmpty)
        #expect(try tests.livePaths() == ["a", "b", "c"])
    }

    @Test func directoryThatIsKnownKeepsItsContent() throws {
        try write("known.d/file")
        _ = try snapshot()
        try write("known.d/other")
        let outcome = try snapshot { progress in if progress.filesDone == 1 { try shell("mv known.d ../away") } }
        #expect(outcome.unsettled.isEmpty)
        #expect(try livePaths() == ["known.d", "known.d/file", "known.d/other"], "it is still there, until it is seen to be gone")
        _ = try snapshot()
        #expect(try livePaths().isEmpty)
    }

    /// The link was seen, and counted where the file is known, but it is in no snapshot whose next one could miss it.
    @Test func fileWhoseNewNameVanishesIsLookedAtAgain() throws {
        try write("file")
        _ = try snapshot()
        try shell("ln file other.d")
        let outcome = try snapshot { progress in if progress.filesDone == 2 { try shell("rm other.d") } }
        #expect(try livePaths() == ["file"])
        #expect(try session.catalog.liveStatus(path("file"))?.links == 2)
        #expect(outcome.unsettled == [try path("file")])
        _ = try snapshot(.changes(outcome.unsettled.map { Change(path: $0, scope: .entry) }))
        #expect(try session.catalog.liveStatus(path("file"))?.links == 1)
    }

    private final class Place {
        let path: Path

        init(path: Path) { self.path = path }

        deinit { _ = try? ProcessIdentity.run("rm", ["-rf", path.text]) }
    }
}
