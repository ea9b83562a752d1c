// A snapshot of several archives of which one does not read back, and the next attempt of the same process.

import Agent
import Archiving
import Encrypting
import Kernel
import Scanning
import Storing
import Synchronization
import Testing

struct RereadingTests {
    /// Whichever `data` archive cannot be read again: no number is in the way of the next attempt, and all is there then.
    @Test(arguments: 1...4)
    func theNextAttemptGoesOnBehindIt(_ unreadable: Int) throws {
        let bench = try Workbench { $0.archiveSize = 1 << 20 }
        // Frames hold 2 MiB, and so do archives then.
        let content = noise(18 << 20)
        let file = bench.source.appending("large".utf8)
        try file.replaceFile(with: content, mode: 0o600)
        let session = try bench.session(wrapping: { UnreadableStorage(base: $0, unreadable: unreadable) })
        func attempt() throws -> SnapshotOutcome {
            bench.advance(.seconds(60))
            return try SnapshotPipeline(session: session, rules: bench.installation.rules).run(SnapshotOrder(scope: .whole, recording: .full))
        }
        #expect(throws: StorageError.self) { try attempt() }
        #expect(try attempt().record?.number == 1)
        var reader = try SnapshotReader(session)
        #expect(try reader.state(of: 1).lines[file]?.digest == SHA256.digest(of: content))
    }
}

/// The opening of this number fails, once: each archive is opened to be read back.
private final class UnreadableStorage: Storage {
    private let base: any Storage
    private let left: Mutex<Int>

    init(base: any Storage, unreadable: Int) {
        self.base = base
        left = Mutex(unreadable)
    }

    func open(_ name: ArchiveName) throws(StorageError) -> any ArchiveSource {
        let fails = left.withLock { left in
            left -= 1
            return left == 0
        }
        if fails { throw StorageError(.io, "it cannot be read", at: .root) }
        return try base.open(name)
    }

    func list() throws(StorageError) -> [StoredArchive] { try base.list() }
    func names(of numbers: ClosedRange<UInt64>) throws(StorageError) -> [ArchiveName] { try base.names(of: numbers) }
    var stamp: String? { base.stamp }
    func foreignNames() throws(StorageError) -> [[UInt8]] { try base.foreignNames() }
    func begin(_ number: UInt64) throws(StorageError) -> any ArchiveSink { try base.begin(number) }
    func remove(_ name: ArchiveName) throws(StorageError) { try base.remove(name) }
    func makeRemovalsDurable() throws(StorageError) { try base.makeRemovalsDurable() }
    func removeLeftovers() throws(StorageError) -> Int { try base.removeLeftovers() }
    var freeBytes: UInt64? { base.freeBytes }
}
