import Encrypting
import Kernel
import Testing

struct KeyFileTests {
    @Test func aKeyFileIsForItsOwnerAlone() throws {
        let scratch = try ScratchDirectory()
        let key = try SecretKey.generate()
        let path = scratch.file("config").appending("auto-backup".utf8).appending("secret.key".utf8)
        try KeyFile.write(key, to: path)
        let read = try KeyFile.read(at: path)
        #expect(read.key == key && !read.readableByOthers)
        #expect(try FileStatus(of: path).mode == 0o600)
        #expect(try FileStatus(of: path).links == 1)
        #expect(try path.readFile() == Array("\(key.text)\n".utf8))
        let directory = try #require(path.parent)
        #expect(try FileStatus(of: directory).mode == 0o700)
        #expect(try DirectoryStream.names(in: directory) == [Array("secret.key".utf8)], "nothing temporary is left")
    }

    @Test func anotherKeyIsNeverOverwritten() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("secret.key")
        let key = try SecretKey.generate()
        try KeyFile.write(key, to: path)
        try KeyFile.write(key, to: path)
        #expect(Scratch.code { try KeyFile.write(SecretKey.generate(), to: path) } == .keyExists)
        #expect(try KeyFile.read(at: path).key == key)
        try path.replaceFile(with: Array("a letter".utf8), mode: 0o600)
        #expect(Scratch.code { try KeyFile.write(key, to: path) } == .keyExists)
        #expect(try path.readFile() == Array("a letter".utf8))
        #expect(try DirectoryStream.names(in: scratch.path).count == 1)
    }

    @Test func missingAndForeignFilesAreToldApart() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("secret.key")
        #expect(Scratch.code { _ = try KeyFile.read(at: path) } == .keyMissing)
        #expect(Scratch.code { _ = try KeyFile.read(at: scratch.path) } == .malformed)
        for content in ["", "\n", "hello\n", Scratch.keyText + Scratch.keyText, String(repeating: "A", count: 10_000)] {
            try path.replaceFile(with: Array(content.utf8), mode: 0o600)
            #expect(Scratch.code { _ = try KeyFile.read(at: path) } == .malformed)
        }
        #expect(Scratch.code { _ = try KeyFile.read(at: path.appending("below".utf8)) } == .file)
    }

    @Test func permissionsAreChecked() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("secret.key")
        let bytes = Array(Scratch.keyText.utf8)
        for (mode, readable) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o644, true)] {
            try path.replaceFile(with: bytes, mode: UInt16(mode))
            #expect(try KeyFile.read(at: path).readableByOthers == readable)
        }
        for mode in [0o620, 0o602, 0o666, 0o777] {
            try path.replaceFile(with: bytes, mode: UInt16(mode))
            #expect(Scratch.code { _ = try KeyFile.read(at: path) } == .keyUnsafe)
        }
    }

    @Test(.enabled(if: ProcessIdentity.uid == 0, "only root can give files away"))
    func aFileOfAnotherUserIsRefused() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("secret.key")
        try path.replaceFile(with: Array(Scratch.keyText.utf8), mode: 0o600)
        let file = try Descriptor.open(path, [.read])
        try file.setOwner(uid: 4321, gid: 4321)
        #expect(Scratch.code { _ = try KeyFile.read(at: path) } == .keyUnsafe)
    }

    @Test func errorsNameThePath() throws {
        let scratch = try ScratchDirectory()
        let error = #expect(throws: EncryptionError.self) { try KeyFile.read(at: scratch.file("secret.key")) }
        #expect(error?.description.contains("secret.key") == true && error?.path == scratch.file("secret.key"))
    }
}
