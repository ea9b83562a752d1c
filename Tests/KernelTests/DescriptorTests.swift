import Kernel
import Testing

struct DescriptorTests {
    private func inDirectory(_ body: (Path) throws -> Void) throws {
        let path = Path("/tmp/kernel-tests-\(UInt64.random(in: 0 ... .max))")!
        try path.makeDirectories(mode: 0o700)
        defer { _ = try? ProcessIdentity.run("rm", ["-rf", path.text]) }
        try body(path)
    }

    @Test func replacingAFileIsOneStepWithItsMode() throws {
        try inDirectory { directory in
            let file = directory.appending("settings".utf8)
            try file.replaceFile(with: [1], mode: 0o644)
            try file.replaceFile(with: [2, 3], mode: 0o600)
            #expect(try file.readFile() == [2, 3])
            #expect(try FileStatus(of: file).mode == 0o600)
            #expect(try DirectoryStream.names(in: directory) == [Array("settings".utf8)])
        }
    }

    @Test func directoriesAreMadeOnceAndMadeDurableAgain() throws {
        try inDirectory { directory in
            let deep = directory.appending("a/b/c".utf8)
            try deep.makeDirectories(mode: 0o700, .durable)
            try deep.makeDirectories(mode: 0o755, .durable)
            #expect(try FileStatus(of: deep).mode == 0o700)
            let file = directory.appending("file".utf8)
            try file.replaceFile(with: [], mode: 0o600)
            #expect(throws: Errno.notDirectory) { try file.appending("below".utf8).makeDirectories(mode: 0o700, .durable) }
        }
    }

    /// A process that is killed between the writing and the rename left its temporary file for ever.
    @Test func onlyOldUnfinishedFilesAreRemoved() throws {
        try inDirectory { directory in
            let settings = directory.appending("settings".utf8)
            let (old, young, other) = (".settings.1abc.tmp", ".settings.2abc.tmp", ".others.1abc.tmp")
            for name in [old, young, other, "settings"] { try directory.appending(name.utf8).replaceFile(with: [1], mode: 0o600) }
            for name in [old, other, "settings"] {
                let file = try Descriptor.open(directory.appending(name.utf8), [.readWrite])
                try file.setModified(Timestamp(seconds: Timestamp.now().seconds - 61, nanoseconds: 0))
            }
            directory.removeUnfinished(settings.isTemporaryName)
            let left = [other, young, "settings"].map { Array($0.utf8) }
            #expect(try DirectoryStream.names(in: directory).sorted { $0.lexicographicallyPrecedes($1) } == left)
        }
    }

    @Test func aFileAboveTheLimitIsNotRead() throws {
        try inDirectory { directory in
            let file = directory.appending("large".utf8)
            try file.replaceFile(with: [UInt8](repeating: 0, count: 100), mode: 0o600)
            #expect(throws: Errno.fileTooLarge) { try file.readFile(limit: 99) }
        }
    }

    @Test func beneathNeverFollowsSymlinksNorLeaves() throws {
        try inDirectory { directory in
            let place = try Descriptor.open(directory, [.read, .directory])
            try place.makeSymlink("out", target: Array("/etc".utf8))
            try place.makeDirectory("in", mode: 0o700)
            #expect(throws: Errno.tooManySymbolicLinkLevels) { _ = try place.openBeneath("out/passwd", [.read]) }
            #expect(throws: Errno.improperLink) { _ = try place.openBeneath("in/../../x", [.read]) }
            _ = try place.openBeneath("in", [.read, .directory])
        }
    }

    @Test func pathsLongerThanOneCallCanNameAreOpened() throws {
        try inDirectory { directory in
            var path = directory
            while path.bytes.count < 6000 { path = path.appending([UInt8](repeating: UInt8(ascii: "d"), count: 200)) }
            try path.makeDirectories(mode: 0o700)
            let file = path.appending("f".utf8)
            try file.replaceFile(with: [9], mode: 0o600)
            #expect(try file.readFile() == [9])
            #expect(try FileStatus(of: file).size == 1)
        }
    }

    @Test func holesAreFound() throws {
        try inDirectory { directory in
            let file = try Descriptor.open(directory.appending("sparse".utf8), [.readWrite, .create], mode: 0o600)
            try file.truncate(to: 1 << 20)
            try [UInt8](repeating: 7, count: 4096).withUnsafeBytes { try file.write($0, at: 512 << 10) }
            let data = try file.nextData(from: 0)
            #expect(data?.start == 512 << 10)
            #expect(data?.end == (512 << 10) + 4096)
            #expect(try file.nextData(from: 600 << 10) == nil)
        }
    }

    @Test func aLockExcludesOthersUntilItIsFreed() throws {
        try inDirectory { directory in
            let path = directory.appending("lock".utf8)
            let first = try Descriptor.open(path, [.readWrite, .create], mode: 0o600)
            #expect(try first.tryLock(.exclusive))
            let second = try Descriptor.open(path, [.read])
            #expect(try second.tryLock(.shared) == false)
            // Not by closing: a child that another test has just forked has the descriptor too, until it runs its program.
            try first.unlock()
            #expect(try second.tryLock(.exclusive))
        }
    }

    @Test func extendedAttributesOfAnySizeAreRead() throws {
        try inDirectory { directory in
            let file = try Descriptor.open(directory.appending("f".utf8), [.readWrite, .create], mode: 0o600)
            let large = ExtendedAttribute(name: Array("user.large".utf8), value: [UInt8](repeating: 5, count: 3000))
            do {
                try file.setExtendedAttribute(large)
            } catch Errno.notSupported {
                return
            }
            #expect(try file.extendedAttributes() == [large])
        }
    }
}
