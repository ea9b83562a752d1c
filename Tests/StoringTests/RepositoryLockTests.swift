// One writer; many readers, or one who removes. Also between processes.

import Encrypting
import Kernel
import Storing
import Testing

struct RepositoryLockTests {
    private let directory: TemporaryDirectory
    private let one: Repository
    private let other: Repository

    init() throws {
        directory = try TemporaryDirectory()
        let path = directory.path.appending("r".utf8)
        one = try Repository.create(
            at: path, key: SecretKey.generate(), owner: RepositoryOwner(machine: "m", configuration: "c", host: "h"))
        other = try Repository.open(at: path)
    }

    /// Whether another process gets the lock of a file: flock(1).
    private func othersGet(_ name: String, _ kind: String) throws -> Bool {
        try ProcessIdentity.run("flock", ["-n", kind, one.path.appending(name.utf8).text, "true"]) == 0
    }

    @Test func secondWriterIsRefusedWithTheHoldersName() throws {
        let lock = try one.lockForWriting()
        let error = #expect(throws: StorageError.self) { try other.lockForWriting() }
        #expect(error?.code == .locked)
        #expect(error?.code.exitStatus == 11)
        #expect(error?.reason.contains("process \(ProcessIdentity.pid) on") == true)
        lock.release()
        _ = try other.lockForWriting()
    }

    @Test func lockEndsWithItsObject() throws {
        do {
            let lock = try one.lockForWriting()
            withExtendedLifetime(lock) {}
        }
        _ = try other.lockForWriting()
    }

    @Test func otherProcessesAreKeptOut() throws {
        let lock = try one.lockForWriting()
        #expect(try !othersGet("lock", "-x"))
        lock.release()
        #expect(try othersGet("lock", "-x"))
    }

    @Test func readersShareAndKeepRemovalAway() throws {
        let first = try one.lockForReading()
        let second = try other.lockForReading()
        #expect(try othersGet("readers", "-s"))
        #expect(try !othersGet("readers", "-x"))
        #expect(try other.lockForRemoval() == nil)
        first.release()
        #expect(try one.lockForRemoval() == nil, "the second one still reads")
        second.release()
        #expect(try one.lockForRemoval() != nil)
    }

    @Test func readersWaitForTheEndOfARemoval() throws {
        let removal = try #require(try one.lockForRemoval())
        #expect(try !othersGet("readers", "-s"))
        let isReading = Monitor(false)
        let other = other
        let reader = try Thread(name: "reader", priority: .normal) {
            guard let lock = try? other.lockForReading() else { return }
            isReading.withLock { $0 = true }
            lock.release()
        }
        #expect(!isReading.withLock { $0 })
        removal.release()
        reader.join()
        #expect(isReading.withLock { $0 })
    }

    @Test func writerAndReadersDoNotMeet() throws {
        let writer = try one.lockForWriting()
        let reader = try other.lockForReading()
        withExtendedLifetime((writer, reader)) {}
    }

    @Test func lostLockFileIsMadeAgain() throws {
        try one.path.appending("lock".utf8).removeFile()
        try one.path.appending("readers".utf8).removeFile()
        let writer = try one.lockForWriting()
        let reader = try one.lockForReading()
        #expect(throws: StorageError.self) { try other.lockForWriting() }
        #expect(try other.lockForRemoval() == nil)
        withExtendedLifetime((writer, reader)) {}
        #expect(try FileStatus(of: one.path.appending("lock".utf8)).mode == 0o600)
    }
}
