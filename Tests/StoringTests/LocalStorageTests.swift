// What is special to a directory: leftovers, foreign files, full and read-only disks.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

struct LocalStorageTests {
    private let directory: TemporaryDirectory
    private let storage: LocalStorage

    init() throws {
        directory = try TemporaryDirectory()
        storage = LocalStorage(at: directory.path)
    }

    private func publish(_ number: UInt64, _ bytes: [UInt8]) throws -> StoredArchive {
        let sink = try storage.begin(number)
        try bytes.withUnsafeBytes { try sink.append($0) }
        return try sink.publish(kind: .data, time: 1000)
    }

    @Test func fileIsPrivateAndNamedByItsBytes() throws {
        let stored = try publish(3, [1, 2, 3])
        #expect(try directory.names() == [stored.name.text])
        let status = try FileStatus(of: directory.path.appending(stored.name.text.utf8))
        #expect(status.mode == 0o600)
        #expect(status.links == 1)
    }

    @Test func unfinishedFileHasTheNameOfTheFormat() throws {
        let sink = try storage.begin(42)
        let name = try #require(try directory.names().first)
        #expect(name.wholeMatch(of: /\.000000042\.[0-9a-f]+\.tmp/) != nil, "\(name)")
        sink.abandon()
        #expect(try directory.names().isEmpty)
    }

    @Test func droppedSinkLeavesNothing() throws {
        do {
            let sink = try storage.begin(1)
            try [1].withUnsafeBytes { try sink.append($0) }
        }
        #expect(try directory.names().isEmpty)
    }

    @Test func leftoversOfKilledWritersAreRemoved() throws {
        let stored = try publish(1, [1])
        // Never ended, as after kill -9: the files stay.
        for number: UInt64 in 2...4 {
            let sink = try storage.begin(number)
            try noise(2 << 20, seed: number).withUnsafeBytes { try sink.append($0) }
            _ = Unmanaged.passRetained(sink as AnyObject)
        }
        try directory.write("notes.txt")
        try directory.write(".hidden.tmp")
        #expect(try directory.names().count == 6)
        #expect(try storage.list() == [stored])
        #expect(try storage.removeLeftovers() == 3)
        #expect(try directory.names() == [".hidden.tmp", stored.name.text, "notes.txt"])
        #expect(try storage.removeLeftovers() == 0)
    }

    @Test func foreignFilesAreIgnoredAndNamed() throws {
        let stored = try publish(1, [1])
        try directory.write("README")
        try directory.write("000000002-20261123T051800.123Z-full-short.enc")
        let impostor = ArchiveName(number: 9, time: 0, kind: .full, digest: stored.name.digest).text
        try directory.path.appending(impostor.utf8).makeDirectories(mode: 0o700)
        #expect(try storage.list() == [stored])
        let foreign = try storage.foreignNames().map { String(decoding: $0, as: UTF8.self) }
        #expect(foreign == ["000000002-20261123T051800.123Z-full-short.enc", impostor, "README"])
    }

    @Test func fifoWithAnArchivesNameDoesNotHoldTheReader() throws {
        let name = ArchiveName(number: 9, time: 0, kind: .full, digest: SHA256.digest(of: []))
        let place = try Descriptor.open(directory.path, [.read, .directory])
        try place.makeSpecial(name.text, kind: .fifo, mode: 0o600, device: DeviceNumber(major: 0, minor: 0))
        #expect(try storage.list().isEmpty)
        #expect(throws: StorageError.self) { try storage.open(name) }
    }

    @Test func symlinkWithAnArchivesNameIsNotFollowed() throws {
        let stored = try publish(1, [1])
        let name = ArchiveName(number: 2, time: 0, kind: .data, digest: stored.name.digest)
        let place = try Descriptor.open(directory.path, [.read, .directory])
        try place.makeSymlink(name.text, target: Array(stored.name.text.utf8))
        #expect(try storage.list() == [stored])
        #expect(throws: StorageError.self) { try storage.open(name) }
    }

    @Test func vanishedDirectoryIsNotAnEmptyOne() throws {
        let missing = LocalStorage(at: directory.path.appending("unmounted".utf8))
        for call: () throws -> Void in [
            { _ = try missing.list() }, { _ = try missing.begin(1) }, { _ = try missing.removeLeftovers() },
        ] {
            let error = #expect(throws: StorageError.self) { try call() }
            #expect(error?.code == .notThere)
        }
        #expect(missing.freeBytes == nil)
        #expect(storage.freeBytes != nil)
    }

    @Test func damagedFileFailsItsDigest() throws {
        let stored = try publish(1, noise(3 << 20, seed: 5))
        let file = try Descriptor.open(directory.path.appending(stored.name.text.utf8), [.readWrite])
        let before = try file.bytes(at: 2_500_000, count: 1)
        try file.seek(to: 2_500_000)
        try file.write([before[0] ^ 1])
        let changed = #expect(throws: ArchiveError.self) { try stored.verifyDigest(of: try storage.open(stored.name)) }
        #expect(changed?.code == .digestMismatch)
        #expect(changed?.archive == stored.name.text)
        try file.truncate(to: 100)
        let short = #expect(throws: ArchiveError.self) { try stored.verifyDigest(of: try storage.open(stored.name)) }
        #expect(short?.code == .truncated)
    }

    @Test func sha256sumFindsWhatTheNameSays() throws {
        let stored = try publish(1, noise(1_200_000, seed: 8))
        let check = "cd \"$1\" && for f in *.enc; do d=${f##*-}; echo \"${d%.enc}  $f\"; done | sha256sum --check --quiet"
        let arguments = ["-c", check, "sh", directory.path.text]
        #expect(try ProcessIdentity.run("sh", arguments, output: .discarded) == 0)
        let file = try Descriptor.open(directory.path.appending(stored.name.text.utf8), [.write, .append])
        try file.write([0])
        #expect(try ProcessIdentity.run("sh", arguments, output: .discarded) != 0)
    }

    @Test func progressOfTheDigestCheckCountsEveryByte() throws {
        let stored = try publish(1, noise(2_500_000, seed: 6))
        var sum = 0
        try stored.verifyDigest(of: try storage.open(stored.name)) { sum += $0 }
        #expect(sum == 2_500_000)
    }
}

/// A small file system of its own, where this user may mount one.
struct SmallDiskTests {
    static let canMount: Bool = {
        guard let disk = try? SmallDisk() else { return false }
        return withExtendedLifetime(disk) { true }
    }()

    final class SmallDisk {
        let directory: TemporaryDirectory

        init() throws {
            directory = try TemporaryDirectory()
            let arguments = ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", directory.path.text]
            guard try ProcessIdentity.run("mount", arguments, output: .discarded) == 0 else { throw Errno.notPermitted }
        }

        func makeReadOnly() throws {
            #expect(try ProcessIdentity.run("mount", ["-o", "remount,ro", directory.path.text], output: .discarded) == 0)
        }

        deinit {
            _ = try? ProcessIdentity.run("umount", ["-l", directory.path.text], output: .discarded)
        }
    }

    @Test(.enabled(if: canMount)) func fullDiskIsSaidSoAndLeavesEarlierArchives() throws {
        let disk = try SmallDisk()
        let storage = LocalStorage(at: disk.directory.path)
        let first = try storage.begin(1)
        try noise(300_000, seed: 1).withUnsafeBytes { try first.append($0) }
        let stored = try first.publish(kind: .data, time: 1)
        let second = try storage.begin(2)
        let error = #expect(throws: StorageError.self) {
            for seed: UInt64 in 0..<40 { try noise(100_000, seed: seed).withUnsafeBytes { try second.append($0) } }
        }
        #expect(error?.code == .full)
        #expect(error?.errno == .noSpace)
        #expect(error?.remedy.contains("free space") == true)
        #expect(try storage.list() == [stored])
        #expect(try disk.directory.names() == [stored.name.text], "the temporary file gave its space back")
        let again = #expect(throws: StorageError.self) { try second.publish(kind: .data, time: 1) }
        #expect(again == error)
        try stored.verifyDigest(of: try storage.open(stored.name))
    }

    @Test(.enabled(if: canMount)) func readOnlyDiskCanBeReadAndIsSaidSo() throws {
        let disk = try SmallDisk()
        let path = disk.directory.path
        let key = try SecretKey.generate()
        let owner = RepositoryOwner(machine: "m", configuration: "c", host: "h")
        let made = try Repository.create(at: path, key: key, owner: owner)
        let sink = try made.storage.begin(1)
        let stored = try sink.publish(kind: .data, time: 1)
        try disk.makeReadOnly()
        let repository = try Repository.open(at: path)
        #expect(try repository.storage.list() == [stored])
        _ = try repository.lockForReading()
        for call: () throws -> Void in [{ _ = try repository.storage.begin(2) }, { _ = try repository.lockForWriting() }] {
            let error = #expect(throws: StorageError.self) { try call() }
            #expect(error?.code == .readOnly)
            #expect(error?.remedy.isEmpty == false)
        }
        #expect(try repository.storage.list() == [stored])
    }
}
