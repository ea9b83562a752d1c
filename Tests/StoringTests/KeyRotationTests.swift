// A new key in the place of others: what it opens, what becomes of slots, and what the file says at every step.

import Encrypting
import Kernel
import Storing
import Testing

struct KeyRotationTests {
    private let directory: TemporaryDirectory
    private let repository: Repository
    private let lock: RepositoryLock
    private let first: SecretKey
    private let second: SecretKey
    private let third: SecretKey

    init() throws {
        directory = try TemporaryDirectory()
        (first, second, third) = (try SecretKey.generate(), try SecretKey.generate(), try SecretKey.generate())
        repository = try Repository.create(
            at: directory.path.appending("r".utf8), key: first, owner: RepositoryOwner(machine: "m", configuration: "c", host: "h"),
            passphrase: Array("one".utf8), cost: testCost)
        lock = try repository.lockForWriting()
    }

    private var file: Path { repository.path.appending("repository.json".utf8) }

    /// From the file, not from what is in memory.
    private func reopened() throws -> Repository { try Repository.open(at: repository.path) }

    @discardableResult
    private func rotate(_ old: SecretKey, _ new: SecretKey, _ passphrases: String...) throws -> KeyRotation {
        try repository.beginKeyRotation(
            from: old, to: new, passphrases: passphrases.map { Array($0.utf8) }, cost: testCost, holding: lock)
    }

    private func edit(_ change: (String) -> String) throws {
        try file.replaceFile(with: Array(change(String(decoding: try file.readFile(), as: UTF8.self)).utf8), mode: 0o600)
        try repository.reload()
    }

    @Test func newestKeyOpensAllOthers() throws {
        #expect(try rotate(first, second).key == 2)
        #expect(try reopened().allKeys(openedBy: second) == [second, first])
        #expect(try rotate(second, third).key == 3)
        // The first one is wrapped anew, though the earlier rotation was not finished.
        #expect(try reopened().allKeys(openedBy: third) == [third, second, first])
        #expect(try reopened().description.keys.map { $0.wrapped == nil } == [false, false, true])
    }

    @Test func wrappedKeyIsPlainFernet() throws {
        try rotate(first, second)
        let token = try #require(try reopened().description.keys[0].wrapped)
        #expect(try Fernet.open(token, key: second) == first.textBytes)
    }

    @Test func olderKeyIsRefusedInOtherWordsThanAStrangers() throws {
        try rotate(first, second)
        let older = #expect(throws: StorageError.self) { try reopened().checkNewest(first) }
        #expect(older?.code == .wrongKey)
        #expect(older?.description.contains("an older key of this repository") == true)
        #expect(older?.description.contains("import the newer one") == true)
        #expect(throws: StorageError.self) { try reopened().allKeys(openedBy: first) }
        let stranger = #expect(throws: StorageError.self) { try reopened().checkNewest(third) }
        #expect(stranger?.code == .wrongKey)
        #expect(stranger?.description.contains("older") == false)
        // It stays one of the keys: archives under it are still there.
        #expect(try reopened().checkKey(first) == 1)
    }

    @Test func onlyGivenPassphrasesOpenTheNewKey() throws {
        try repository.addSlot(passphrase: Array("two".utf8), key: first, cost: testCost, holding: lock)
        let rotation = try rotate(first, second, "two", "three")
        #expect((rotation.droppedSlots, rotation.newSlots) == (2, 2))
        #expect(try reopened().slots.map(\.key) == [2, 2])
        #expect(throws: StorageError.self) { try reopened().unlockAll(passphrase: Array("one".utf8)) }
        #expect(try reopened().unlockAll(passphrase: Array("two".utf8)) == [second])
        #expect(try reopened().unlockAll(passphrase: Array("three".utf8)) == [second])
    }

    @Test func failureLeavesTheOldKey() throws {
        let before = try file.readFile()
        #expect(throws: StorageError.self) { try rotate(second, third) }
        #expect(throws: EncryptionError.self) { try rotate(first, second, "") }
        #expect(try file.readFile() == before)
        try rotate(first, second)
        let after = try file.readFile()
        let error = #expect(throws: StorageError.self) { try rotate(first, third) }
        #expect(error?.code == .wrongKey, "only the newest key makes a newer one")
        #expect(try file.readFile() == after)
    }

    @Test func olderKeysGoAndTheLastOneStays() throws {
        try rotate(first, second)
        try repository.removeKey(1, holding: lock)
        #expect(try reopened().allKeys(openedBy: second) == [second])
        #expect(throws: StorageError.self) { try reopened().checkKey(first) }
        #expect(throws: StorageError.self) { try repository.removeKey(2, holding: lock) }
        // A number is not used again.
        #expect(try rotate(second, third).key == 3)
    }

    @Test(arguments: [
        "\"wrapped\" : \"gAAA\"", "\"wrapped\" : \"*\"", "\"wrapped\" : 7", "\"wrapped\" : null", "\"unwrapped\" : true",
    ])
    func damagedWrappedKeyIsLeftOutAndKept(damage: String) throws {
        try rotate(first, second)
        try edit { text in
            let token = text.firstRange(of: "\"wrapped\" : \"")!
            let end = text[token.upperBound...].firstIndex(of: "\"")!
            return text.replacingCharacters(token.lowerBound...end, with: damage)
        }
        #expect(try reopened().allKeys(openedBy: second) == [second])
        // Nothing is given up with the next rotation: a sound copy may come back.
        try rotate(second, third)
        #expect(try reopened().allKeys(openedBy: third) == [third, second])
        #expect(try reopened().checkKey(first) == 1)
        #expect(String(decoding: try file.readFile(), as: UTF8.self).contains(damage))
    }

    @Test func copyOfAnotherKeyIsNotTaken() throws {
        try rotate(first, second)
        let token = try WrappedKey.seal(third, under: second, timeSeconds: 0)
        let sound = try #require(try reopened().description.keys[0].wrapped)
        try edit { $0.replacing(sound, with: token) }
        #expect(try reopened().allKeys(openedBy: second) == [second])
    }

    @Test func slotsOfAKeyThatIsNotWrappedStayAndWrapIt() throws {
        try rotate(first, second)
        // As another program may have written it: two keys, which one passphrase opens, and no wrapped copy.
        let slot = try KeySlot.seal(first, passphrase: Array("one".utf8), created: .now(), cost: testCost)
        let sound = try #require(try reopened().description.keys[0].wrapped)
        try edit { text in
            let salt = String(decoding: Base64URL.encode(slot.salt), as: UTF8.self)
            return text.replacing("\"wrapped\" : \"\(sound)\"", with: "\"other\" : 1").replacing(
                #""slots" : ["#,
                with: #""slots" : [{"id": 1, "kdf": "scrypt", "n": 16, "r": \#(slot.cost.r), "p": \#(slot.cost.p), "salt": "\#(salt)", "token": "\#(slot.token)", "created": "2026-11-23T05:18:00.000Z"}"#,
                maxReplacements: 1)
        }
        #expect(try rotate(second, third, "one").droppedSlots == 0)
        let opened = try reopened().unlockAll(passphrase: Array("one".utf8))
        #expect(opened == [third, first])
        #expect(try reopened().allKeys(openedBy: third) == [third, second])
        try repository.wrapOlderKeys(opened, holding: lock)
        #expect(try reopened().allKeys(openedBy: third) == [third, second, first])
        let written = try file.readFile()
        try repository.wrapOlderKeys(opened, holding: lock)
        #expect(try file.readFile() == written, "nothing is left to do")
    }
}

extension String {
    fileprivate func replacingCharacters(_ range: ClosedRange<Index>, with text: String) -> String {
        var copy = self
        copy.replaceSubrange(range, with: text)
        return copy
    }
}
