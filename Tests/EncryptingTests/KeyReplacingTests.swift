// The steps by which a new key takes the place of the one in the key file, each as a crash before the next one leaves it.

import Encrypting
import Kernel
import Testing

struct KeyReplacingTests {
    private let place: Place
    private let path: Path
    private let old: SecretKey
    private let new: SecretKey

    init() throws {
        place = Place(scratch: try ScratchDirectory())
        path = place.scratch.file("secret.key")
        (old, new) = (try SecretKey.generate(), try SecretKey.generate())
        try KeyFile.write(old, to: path)
    }

    private func names() throws -> [String] {
        try DirectoryStream.names(in: place.scratch.path).map { String(decoding: $0, as: UTF8.self) }.sorted()
    }

    @Test func newKeyWaitsBesideTheOldOneAndTakesItsPlace() throws {
        let waiting = KeyFile.waitingPlace(for: path)
        try KeyFile.write(new, to: waiting)
        #expect(try names() == ["secret.key", "secret.key.new"])
        #expect(try FileStatus(of: waiting).mode == 0o600)
        #expect(try KeyFile.read(at: path).key == old)
        try KeyFile.takeWaiting(new, to: path)
        #expect(try names() == ["secret.key"])
        #expect(try KeyFile.read(at: path).key == new)
        #expect(try FileStatus(of: path).mode == 0o600)
        // Another process may have been faster.
        try KeyFile.takeWaiting(new, to: path)
    }

    @Test func nothingThatWaitsIsAnErrorForTheOldKey() throws {
        #expect(Scratch.code { try KeyFile.takeWaiting(new, to: path) } == .file)
        #expect(try KeyFile.read(at: path).key == old)
    }

    @Test func symlinkToTheKeyFileStays() throws {
        let folder = place.scratch.file("folder")
        try folder.makeDirectories(mode: 0o700)
        let file = folder.appending("key".utf8)
        try KeyFile.write(old, to: file)
        let link = place.scratch.file("link")
        #expect(try ProcessIdentity.run("ln", ["-s", file.text, link.text], output: .discarded) == 0)
        try KeyFile.write(new, to: KeyFile.waitingPlace(for: link))
        try KeyFile.takeWaiting(new, to: link)
        #expect(try FileStatus(of: link).kind == .symlink)
        #expect(try KeyFile.read(at: file).key == new)
        try KeyFile.replace(with: old, at: link)
        #expect(try KeyFile.read(at: file).key == old)
        #expect(try DirectoryStream.names(in: folder).count == 1)
    }

    @Test func replacedKeyFileIsForItsOwnerAlone() throws {
        try path.replaceFile(with: Array("\(old.text)\n".utf8), mode: 0o644)
        try KeyFile.replace(with: new, at: path)
        #expect(try KeyFile.read(at: path).key == new)
        #expect(try FileStatus(of: path).mode == 0o600)
        #expect(try names() == ["secret.key"])
    }

    @Test func wrappedKeyOpensWithTheKeyAboveItAlone() throws {
        let token = try WrappedKey.seal(old, under: new, timeSeconds: 1_800_000_000)
        #expect(try WrappedKey.open(token, with: new) == old)
        #expect(Scratch.code { _ = try WrappedKey.open(token, with: old) } == .authentication)
        let nothing = try Fernet.seal(Array("no key".utf8), key: new, timeSeconds: 0)
        #expect(Scratch.code { _ = try WrappedKey.open(nothing, with: new) } == .malformed)
    }
}

/// Lives as long as the test that has it.
private final class Place: Sendable {
    let scratch: ScratchDirectory

    init(scratch: consuming ScratchDirectory) {
        self.scratch = scratch
    }
}
