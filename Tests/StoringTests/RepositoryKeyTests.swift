// Passphrases and keys of a repository.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

struct RepositoryKeyTests {
    private let directory: TemporaryDirectory
    private let repository: Repository
    private let key: SecretKey
    private let lock: RepositoryLock

    init() throws {
        directory = try TemporaryDirectory()
        key = try SecretKey.generate()
        repository = try Repository.create(
            at: directory.path.appending("r".utf8), key: key, owner: RepositoryOwner(machine: "m", configuration: "c", host: "h"),
            passphrase: Array("first".utf8), cost: testCost)
        lock = try repository.lockForWriting()
    }

    private func unlock(_ passphrase: String) throws -> SecretKey {
        // From the file, not from what is in memory.
        try #require(try Repository.open(at: repository.path).unlockAll(passphrase: Array(passphrase.utf8)).first)
    }

    @Test func passphraseOpensTheKey() throws {
        #expect(try unlock("first") == key)
        let error = #expect(throws: StorageError.self) { try unlock("First") }
        #expect(error?.code == .wrongKey)
    }

    @Test func severalPassphrasesOpenTheSameKey() throws {
        #expect(try repository.addSlot(passphrase: Array("second".utf8), key: key, cost: testCost, holding: lock) == 2)
        #expect(try unlock("first") == key)
        #expect(try unlock("second") == key)
        #expect(repository.slots.map(\.slot.id) == [1, 2])
    }

    @Test func removedSlotOpensNothing() throws {
        try repository.addSlot(passphrase: Array("second".utf8), key: key, cost: testCost, holding: lock)
        try repository.removeSlot(1, ofKey: 1, holding: lock)
        #expect(throws: StorageError.self) { try unlock("first") }
        #expect(try unlock("second") == key)
        #expect(throws: StorageError.self) { try repository.removeSlot(1, ofKey: 1, holding: lock) }
        #expect(throws: StorageError.self) { try repository.removeSlot(2, ofKey: 9, holding: lock) }
        // The number of a slot is not used again while a later one is there.
        #expect(try repository.addSlot(passphrase: Array("third".utf8), key: key, cost: testCost, holding: lock) == 3)
    }

    @Test func strangersKeyGetsNoSlot() throws {
        let stranger = try SecretKey.generate()
        let error = #expect(throws: StorageError.self) {
            try repository.addSlot(passphrase: [1], key: stranger, cost: testCost, holding: lock)
        }
        #expect(error?.code == .wrongKey)
        #expect(try Repository.open(at: repository.path).slots.count == 1)
    }

    @Test func damagedSlotDoesNotHideAnother() throws {
        try repository.addSlot(passphrase: Array("second".utf8), key: key, cost: testCost, holding: lock)
        let file = repository.path.appending("repository.json".utf8)
        var text = String(decoding: try file.readFile(), as: UTF8.self)
        // The first slot asks for far more memory than is allowed.
        let first = try #require(text.firstRange(of: "\"n\" : 16"))
        text.replaceSubrange(first, with: "\"n\" : 1099511627776")
        try file.replaceFile(with: Array(text.utf8), mode: 0o600)
        #expect(try unlock("second") == key)
        #expect(throws: StorageError.self) { try unlock("first") }
    }

    @Test(arguments: [
        ("\"kdf\" : \"scrypt\"", "\"kdf\" : \"argon9\""), ("\"n\" : 16", "\"n\" : 16.5"), ("\"n\" : 16", "\"n\" : \"many\""),
        ("\"salt\" : \"", "\"salt\" : \"*"), ("\"token\"", "\"tokens\""), ("\"kdf\" : \"scrypt\"", "\"kdf\" : null"),
    ])
    func slotOfAnotherKindIsPassedOverAndKept(from: String, to: String) throws {
        let file = repository.path.appending("repository.json".utf8)
        let text = String(decoding: try file.readFile(), as: UTF8.self).replacing(from, with: to)
        try file.replaceFile(with: Array(text.utf8), mode: 0o600)
        #expect(throws: StorageError.self) { try unlock("first") }
        let strange = try #require(try Repository.open(at: repository.path).slots.first?.slot)
        #expect(strange.slot == nil)
        #expect(!strange.created.isEmpty)
        #expect(try repository.addSlot(passphrase: Array("second".utf8), key: key, cost: testCost, holding: lock) == 2)
        #expect(try unlock("second") == key)
        #expect(try Repository.open(at: repository.path).slots.first?.slot == strange, "every member of it is written again")
        #expect(String(decoding: try file.readFile(), as: UTF8.self).contains(to))
        // It can be removed all the same: its passphrase may have become known.
        try repository.removeSlot(1, ofKey: 1, holding: lock)
        #expect(repository.slots.map(\.slot.id) == [2])
    }
}
