// Making, opening and describing repositories.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

/// Cheap enough for tests; the real cost is the library's concern.
let testCost = DerivationCost(n: 16, r: 8, p: 1)

struct RepositoryTests {
    private let directory: TemporaryDirectory
    private let path: Path
    private let key: SecretKey
    private let owner = RepositoryOwner(machine: "aa", configuration: "bb", host: "laptop")

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path.appending("repository".utf8)
        key = try SecretKey.generate()
    }

    private func make(passphrase: String? = nil) throws -> Repository {
        try Repository.create(at: path, key: key, owner: owner, passphrase: passphrase.map { Array($0.utf8) }, cost: testCost)
    }

    private func opening(_ path: Path) -> StorageError? {
        #expect(throws: StorageError.self) { try Repository.open(at: path) }
    }

    private func edit(_ change: (String) -> String) throws {
        let file = path.appending("repository.json".utf8)
        let text = String(decoding: try file.readFile(), as: UTF8.self)
        try file.replaceFile(with: Array(change(text).utf8), mode: 0o600)
    }

    @Test func newRepositoryIsPrivateAndOpens() throws {
        let made = try make()
        #expect(try directory.names("repository") == ["archives", "lock", "readers", "repository.json"])
        for name in ["", "archives"] {
            let place = name.isEmpty ? path : path.appending(name.utf8)
            #expect(try FileStatus(of: place).mode == 0o700)
        }
        for name in ["lock", "readers", "repository.json"] {
            #expect(try FileStatus(of: path.appending(name.utf8)).mode == 0o600, "\(name)")
        }
        let opened = try Repository.open(at: path)
        #expect(opened.id == made.id)
        #expect(opened.description.owner == owner)
        #expect(opened.description.keys.map(\.id) == [1])
        #expect(try opened.storage.list().isEmpty)
        #expect(try opened.checkKey(key) == 1)
    }

    @Test func descriptionHasTheMembersOfTheFormat() throws {
        let made = try make(passphrase: "correct horse")
        let text = String(decoding: try path.appending("repository.json".utf8).readFile(), as: UTF8.self)
        for member in [
            "\"format\" : 1", "\"id\" : \"\(made.id)\"", "\"machine\" : \"aa\"", "\"configuration\" : \"bb\"", "\"host\" : \"laptop\"",
            "\"kdf\" : \"scrypt\"", "\"n\" : 16", "\"r\" : 8", "\"p\" : 1", "\"created\" : \"\(made.description.created.iso8601)\"",
        ] {
            #expect(text.contains(member), "\(member) in \(text)")
        }
        #expect(!text.contains(key.text))
    }

    @Test func wrongKeyIsKnownAtOnce() throws {
        let repository = try make()
        let other = try SecretKey.generate()
        let error = #expect(throws: StorageError.self) { try repository.checkKey(other) }
        #expect(error?.code == .wrongKey)
        #expect(error?.code.exitStatus == 12)
    }

    @Test func directoryWithOtherFilesIsRefused() throws {
        try path.makeDirectories(mode: 0o755)
        try path.appending("thesis.tex".utf8).replaceFile(with: [1], mode: 0o644)
        let error = #expect(throws: StorageError.self) { try make() }
        #expect(error?.code == .alreadyExists)
        #expect(error?.reason.contains("thesis.tex") == true)
        #expect(try directory.names("repository") == ["thesis.tex"])
        #expect(opening(path)?.code == .notARepository)
    }

    @Test func secondRepositoryInOnePlaceIsRefused() throws {
        let first = try make()
        let error = #expect(throws: StorageError.self) { try make() }
        #expect(error?.code == .alreadyExists)
        #expect(try Repository.open(at: path).id == first.id)
    }

    @Test func interruptedCreationIsContinued() throws {
        try path.appending("archives".utf8).makeDirectories(mode: 0o700)
        try path.appending("lock".utf8).replaceFile(with: [], mode: 0o600)
        try path.appending(".repository.json.77.tmp".utf8).replaceFile(with: [UInt8(ascii: "{")], mode: 0o600)
        let repository = try make()
        let lock = try repository.lockForWriting()
        #expect(try repository.removeLeftovers(holding: lock) == 0)
        #expect(try directory.names("repository") == ["archives", "lock", "readers", "repository.json"])
    }

    @Test func archivesWithoutDescriptionAreNotTakenOver() throws {
        try path.appending("archives".utf8).makeDirectories(mode: 0o700)
        try path.appending("archives".utf8).appending("x.enc".utf8).replaceFile(with: [1], mode: 0o600)
        #expect(throws: StorageError.self) { try make() }
        #expect(!path.appending("repository.json".utf8).exists)
    }

    @Test func missingPlaceIsNotThere() throws {
        let error = opening(directory.path.appending("usb".utf8).appending("backup".utf8))
        #expect(error?.code == .notThere)
        #expect(error?.code.exitStatus == 10)
        #expect(error?.description.contains("/usb/backup") == true)
    }

    @Test func fileIsNoRepository() throws {
        try directory.write("file", "text")
        #expect(opening(directory.path.appending("file".utf8))?.code == .notARepository)
    }

    @Test func newerFormatSaysWhich() throws {
        _ = try make()
        try edit { _ in #"{"format": 7, "everything": "else is different"}"# }
        let error = opening(path)
        #expect(error?.code == .newerFormat)
        #expect(error?.reason.contains("format 7") == true)
    }

    @Test(arguments: [
        ("", "not JSON"), ("{", "not JSON"), ("[]", "the file must hold an object"), ("{}", "format"),
        (#"{"format": "1"}"#, "format"), (#"{"format": -1}"#, "format"), (#"{"format": 1}"#, "id"),
        (String(repeating: "[", count: 100_000), "not JSON"),
    ])
    func damagedDescriptionNamesTheMember(text: String, reason: String) throws {
        _ = try make()
        try edit { _ in text }
        let error = opening(path)
        #expect(error?.code == .malformed)
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }

    @Test(arguments: [
        ("\"slots\"", "\"slits\"", "keys[0].slots"), ("\"machine\"", "\"engine\"", "owner.machine"),
        // The next number could not be counted to.
        ("\"id\" : 1,", "\"id\" : 9223372036854775807,", "keys[0].id"),
        ("\"id\" : \"", "\"id\" : \"xx", "id"), ("\"check\"", "\"cheque\"", "keys[0].check"),
    ])
    func damagedMemberIsNamed(from: String, to: String, place: String) throws {
        _ = try make(passphrase: "p")
        try edit { $0.replacing(from, with: to) }
        let error = opening(path)
        #expect(error?.code == .malformed)
        #expect(error?.reason.contains(" \(place) ") == true, "\(error?.reason ?? "")")
    }

    @Test func everyShortenedDescriptionIsRefused() throws {
        _ = try make(passphrase: "p")
        let file = path.appending("repository.json".utf8)
        let whole = try file.readFile()
        for count in stride(from: 0, to: whole.count - 2, by: 7) {
            try file.replaceFile(with: Array(whole[..<count]), mode: 0o600)
            #expect(opening(path)?.code == .malformed, "\(count) bytes")
        }
    }

    @Test func missingArchivesDirectoryIsDamage() throws {
        _ = try make()
        let place = try Descriptor.open(path, [.read, .directory])
        try place.remove("archives", .directory)
        #expect(opening(path)?.code == .malformed)
    }

    @Test func unknownMembersSurviveARewrite() throws {
        let repository = try make(passphrase: "p")
        try edit {
            $0.replacing("\"format\" : 1", with: "\"format\" : 1, \"later\" : {\"a\" : [1, 2.5, null, true, \"/x\"]}")
                .replacing("\"kdf\"", with: "\"hint\" : \"my cat\", \"kdf\"").replacing("\"check\"", with: "\"use\" : 3, \"check\"")
                .replacing("\"machine\"", with: "\"model\" : \"x\", \"machine\"")
        }
        let lock = try repository.lockForWriting()
        try repository.addSlot(passphrase: Array("q".utf8), key: key, cost: testCost, holding: lock)
        try repository.changeOwner(to: RepositoryOwner(machine: "cc", configuration: "dd", host: "desk"), holding: lock)
        let text = String(decoding: try path.appending("repository.json".utf8).readFile(), as: UTF8.self)
        for part in ["\"later\"", "2.5", "null", "true", "\"/x\"", "\"hint\" : \"my cat\"", "\"use\" : 3", "\"model\" : \"x\"", "\"cc\""] {
            #expect(text.contains(part), "\(part) in \(text)")
        }
        #expect(try Repository.open(at: path).description.owner.machine == "cc")
    }

    @Test func ownerIsMadeOfTheMachineAndTheConfiguration() {
        // printf 'auto-backup 0123' | sha256sum
        #expect(RepositoryOwner.machine(of: "0123") == "37e694c24a1638413e2615b805c53299")
        let one = RepositoryOwner.thisMachine(configuration: "a")
        var renamed = one
        renamed.host = "other"
        #expect(one.isSame(as: renamed))
        #expect(!one.isSame(as: RepositoryOwner.thisMachine(configuration: "b")))
        #expect(RepositoryOwner.newConfiguration().count == 32)
    }
}
