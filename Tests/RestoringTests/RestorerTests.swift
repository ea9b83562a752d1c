// What comes back, and what is said of what does not.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

@testable import Restoring

struct RestorerTests {
    let scratch: Scratch
    let sample: SampleRepository

    init() throws {
        scratch = try Scratch()
        sample = try SampleRepository(scratch)
    }

    private func request(_ pairs: [(String, String)], _ overwrite: RestoreRequest.Overwrite = .never) -> RestoreRequest {
        RestoreRequest(
            snapshot: 1, selections: pairs.map { .init(path: Path($0.0) ?? .root, place: Path($0.1) ?? .root) },
            target: scratch["target"], overwrite: overwrite)
    }

    @Test func everythingComesBackAsItWas() throws {
        try scratch.run("mkdir source; cd source; \(everyKindOfFile)")
        try scratch.run("cd source; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"dir/socket\")'")
        try sample.snapshot(scratch["source"])
        let report = try sample.restore(to: scratch["target"])
        #expect(report.problems == [])
        #expect(report.isComplete)
        try expectSame(scratch["target"], scratch["source"])
        let lines = try TreeListing(scratch["source"]).lines.values
        // Two of the files are second names.
        #expect(report.files == UInt64(lines.count { $0.kind == .file }) - 2)
        #expect(report.directories == UInt64(lines.count { $0.kind == .directory }))
        #expect(report.files + report.directories + report.others == UInt64(lines.count))
    }

    @Test func holesStayHoles() throws {
        try scratch.run("mkdir source; truncate -s 8M source/sparse; printf x | dd of=source/sparse bs=1 seek=4000000 conv=notrunc status=none")
        try sample.snapshot(scratch["source"])
        try sample.restore(to: scratch["target"])
        let status = try FileStatus(of: scratch["target/sparse"])
        #expect(status.size == 8 << 20)
        #expect(status.blocks * 512 < 1 << 20)
        try expectSame(scratch["target"], scratch["source"])
    }

    @Test func selectedPathsGoToTheirPlaces() throws {
        try scratch.run("mkdir -p source/a/b source/c; printf 1 > source/a/b/one; printf 2 > source/a/two; printf 3 > source/c/three")
        try sample.snapshot(scratch["source"])
        let report = try sample.restorer(request([("a/b", "b"), ("c/three", "kept/below/three")])).run()
        #expect(report.isComplete)
        #expect(report.files == 2)
        #expect(try scratch.names("target") == ["b", "kept"])
        #expect(try scratch.text("target/b/one") == "1")
        #expect(try scratch.text("target/kept/below/three") == "3")
    }

    /// A snapshot of /home/me has no entries for / and /home.
    @Test func directoriesAboveTheSourcesAreMade() throws {
        try scratch.run("mkdir -p source/home/me; printf 1 > source/home/me/one; touch -d 2001-01-01 source/home/me")
        try sample.snapshot(scratch["source"]) { $0.path == Path("home") ? nil : $0 }
        let report = try sample.restore(to: scratch["target"])
        #expect(report.isComplete)
        #expect(try scratch.text("target/home/me/one") == "1")
        #expect(try FileStatus(of: scratch["target/home/me"]).modified == FileStatus(of: scratch["source/home/me"]).modified)
    }

    @Test func oneOfTwoNamesComesAlone() throws {
        try scratch.run("mkdir -p source/a source/b; printf shared > source/a/x; ln source/a/x source/b/y")
        try sample.snapshot(scratch["source"])
        let report = try sample.restorer(request([("b/y", "y")])).run()
        #expect(report.isComplete)
        #expect(try scratch.text("target/y") == "shared")
        #expect(try FileStatus(of: scratch["target/y"]).links == 1)
    }

    /// Device and inode alone were compared: two files that had the same numbers at different times became one.
    @Test func sameNumbersDoNotMakeTheSameFile() throws {
        try scratch.run("mkdir source; printf one > source/a; printf three > source/b")
        try sample.snapshot(scratch["source"]) { entry in
            var entry = entry
            entry.device = 1
            entry.inode = 1
            entry.links = 2
            return entry
        }
        try sample.restore(to: scratch["target"])
        #expect(try scratch.text("target/a") == "one")
        #expect(try scratch.text("target/b") == "three")
    }

    @Test func pathsLongerThanOneSystemCallTakes() throws {
        let name = String(repeating: "d", count: 240)
        let deep = (0..<20).map { "\(name)\($0)" }.joined(separator: "/")
        try scratch["source/\(deep)"].makeDirectories(mode: 0o750)
        try scratch["source/\(deep)/file"].replaceFile(with: Array("deep".utf8), mode: 0o640)
        try Descriptor.ofParent(of: scratch["source/\(deep)/link"]).makeSymlink("link", target: Array("file".utf8))
        #expect(deep.utf8.count > 4096)
        try sample.snapshot(scratch["source"])
        #expect(try sample.restore(to: scratch["target"]).isComplete)
        try expectSame(scratch["target"], scratch["source"])
        // The directories above it are not entries here.
        let file = try #require(Path("\(deep)/file"))
        let selection = RestoreRequest.Selection(path: file, place: file)
        let report = try sample.restorer(RestoreRequest(snapshot: 1, selections: [selection], target: scratch["other"])).run()
        #expect(report.isComplete)
        #expect(try scratch["other/\(deep)/file"].readFile() == Array("deep".utf8))
    }

    @Test func flagsComeBackLastAndAreSkippedWhereThereAreNone() throws {
        try scratch.run("mkdir source; printf 1 > source/immutable; chattr +i source/immutable; printf 2 > source/nodump; chattr +d source/nodump")
        defer { try? scratch.run("chattr -i source/immutable target/immutable") }
        try sample.snapshot(scratch["source"])
        let report = try sample.restore(to: scratch["target"])
        #expect(report.problems == [])
        try expectSame(scratch["target"], scratch["source"])
        try scratch.run("lsattr target/immutable | grep -q '^....i'; lsattr target/nodump | grep -q '^......d'")
        // A file system that may have no such flags costs no more than these.
        let memory = try #require(Path("/dev/shm/restoring-tests-\(ProcessIdentity.pid)"))
        defer {
            _ = try? ProcessIdentity.run("chattr", ["-R", "-i", memory.text], output: .discarded)
            _ = try? ProcessIdentity.run("rm", ["-rf", memory.text], output: .discarded)
        }
        #expect(try sample.restore(to: memory).problems.allSatisfy { !$0.isLoss && $0.reason.contains("flag") })
    }

    @Test func damageCostsOnlyTheFilesOfItsFrame() throws {
        try scratch.run("mkdir source; head -c 200000 /dev/urandom > source/broken; printf whole > source/whole; printf p > source/poor")
        try sample.snapshot(scratch["source"], frameLimit: 1)
        try sample.damage("broken", chunk: 2)
        let report = try sample.restore(to: scratch["target"])
        #expect(report.problems.map(\.place) == [Path("broken")])
        #expect(report.problems.first?.isLoss == true)
        #expect(report.problems.first?.reason.contains("authentication") == true)
        #expect(!report.isComplete)
        #expect(report.files == 2)
        // Nor does a temporary file stay.
        #expect(try scratch.names("target") == ["poor", "whole"])
    }

    /// When the first copy of a chunk is damaged, a second one in another archive serves.
    @Test func anotherCopyTakesThePlaceOfADamagedOne() throws {
        try scratch.run("mkdir source; head -c 200000 /dev/urandom > source/file")
        try sample.snapshot(scratch["source"])
        try sample.snapshot(scratch["source"])
        try sample.damage("file", at: 2)
        let report = try sample.restore(2, to: scratch["target"])
        #expect(report.problems == [])
        try expectSame(scratch["target"], scratch["source"])
    }

    @Test func damageDoesNotLinkAnOldFile() throws {
        try scratch.run("mkdir source target; printf new > source/a; ln source/a source/b; printf old > target/a")
        try sample.snapshot(scratch["source"], frameLimit: 1)
        try sample.damage("a")
        let report = try sample.restore(to: scratch["target"], .always)
        #expect(report.problems.map(\.place) == [Path("a"), Path("b")])
        #expect(try scratch.text("target/a") == "old")
        #expect(!scratch.exists("target/b"))
    }

    @Test func aLostChunkIsNamed() throws {
        try scratch.run("mkdir source; printf one > source/one; printf two > source/two")
        try sample.snapshot(scratch["source"]) { entry in
            var entry = entry
            if entry.path == Path("one") { entry.content.chunks[0].digest = SHA256.digest(of: [1]) }
            return entry
        }
        let report = try sample.restore(to: scratch["target"])
        #expect(report.problems.map(\.place) == [Path("one")])
        #expect(report.problems.first?.reason.contains("in no archive") == true)
        #expect(try scratch.names("target") == ["two"])
    }

    @Test func dryRunTouchesNothing() throws {
        try scratch.run("mkdir source; cd source; \(everyKindOfFile)")
        try sample.snapshot(scratch["source"])
        let first = try sample.restore(to: scratch["target"], isDryRun: true)
        #expect(!scratch.exists("target"))
        try scratch.run("mkdir target; printf mine > target/zlast; touch -d 2001-01-01 target/zlast target")
        let before = try FileStatus(of: scratch["target"])
        let second = try sample.restore(to: scratch["target"], isDryRun: true)
        #expect(try FileStatus(of: scratch["target"]).modified == before.modified)
        #expect(try scratch.names("target") == ["zlast"])
        #expect(second.skipped == [Path("zlast")])
        // And it says what the real one does.
        let real = try sample.restore(to: scratch["target"])
        #expect([first.files, first.directories, first.others + 0] == [real.files, real.directories, real.others + 1])
        #expect(second.files == real.files)
        #expect(second.bytes == real.bytes)
    }

    @Test func cancellingLeavesNothingHalfDone() throws {
        try scratch.run("mkdir source; head -c 1000000 /dev/urandom > source/file; printf x > source/small")
        try sample.snapshot(scratch["source"], frameLimit: 1)
        // At every moment at which it is asked.
        for limit in [0, 1, 3, 5, 8, 12] {
            let asked = Monitor(0)
            let target = scratch["target\(limit)"]
            let report = try sample.restorer(
                RestoreRequest(snapshot: 1, selections: [.init(path: .root, place: .root)], target: target),
                isCancelled: { asked.withLock { $0 += 1; return $0 > limit } }
            ).run()
            let found = try TreeListing(target).lines
            let expected = try TreeListing(scratch["source"]).lines
            #expect(found.allSatisfy { expected[$0.key] == $0.value }, "cancelled after \(limit)")
            #expect(report.cutShort?.code == .cancelled)
            #expect(!report.isComplete)
        }
    }

    /// Not to be root is not tried: what an ordinary user cannot do is counted, and no program runs with rights that are not its owner's.
    @Test func ordinaryUsersCannotGiveFilesAway() throws {
        try scratch.write("file", [])
        let file = try Descriptor.open(scratch["file"], [.readWrite])
        let metadata = MetadataRestorer(setsOwners: false)
        let path = try #require(Path("file"))
        metadata.apply(Entry(path: path, kind: .file, mode: 0o4755, uid: 1234), at: path, to: file)
        #expect(metadata.ownersNotSet == 1)
        #expect(try file.status().mode == 0o755)
        #expect(try file.status().uid == ProcessIdentity.uid)
        metadata.apply(Entry(path: path, kind: .file, mode: 0o4755, uid: ProcessIdentity.uid, gid: try file.status().gid), at: path, to: file)
        #expect(metadata.ownersNotSet == 1)
        #expect(try file.status().mode == 0o4755)
        #expect(metadata.shortfalls.take() == [])
    }

    /// The same cause at many entries is one problem, with the first of them.
    @Test func shortfallsAreSaidOnceForEachCause() throws {
        let shortfalls = MetadataShortfalls()
        for name in ["c", "a", "b"] { shortfalls.add("its owner cannot be set", at: try #require(Path(name))) }
        shortfalls.add("its mode cannot be set", at: try #require(Path("b")))
        #expect(
            shortfalls.take() == [
                RestoreProblem(place: try #require(Path("a")), reason: "its owner cannot be set", isLoss: false, others: 2),
                RestoreProblem(place: try #require(Path("b")), reason: "its mode cannot be set", isLoss: false),
            ])
        #expect(shortfalls.take() == [])
    }

    /// The group bits of a mode with an ACL are the most that anyone in it may do: without the ACL they would be the group's own.
    @Test func groupGetsNoMoreWithoutTheACL() {
        let name = Array("system.posix_acl_access".utf8)
        // user::rw- user:1:rw- group::r-- mask::rw- other::---
        var value: [UInt8] = [2, 0, 0, 0]
        for (tag, rights) in [(1, 6), (2, 6), (4, 4), (16, 6), (32, 0)] as [(UInt8, UInt8)] { value += [tag, 0, rights, 0, 255, 255, 255, 255] }
        #expect(AccessControlList.groupRights(ExtendedAttribute(name: name, value: value)) == 4)
        for count in [0, 3, 4, 11, 27] {
            #expect(AccessControlList.groupRights(ExtendedAttribute(name: name, value: Array(value.prefix(count)))) == nil)
        }
        #expect(AccessControlList.groupRights(ExtendedAttribute(name: Array("user.x".utf8), value: value)) == nil)
    }

    @Test func anotherKeyRestoresNothingAndSaysSo() throws {
        try scratch.run("mkdir source; printf x > source/file")
        try sample.snapshot(scratch["source"])
        let key = try SecretKey.generate()
        let (repository, stored) = (sample.repository, sample.archives[0])
        let shelf = ArchiveShelf { _ in
            try ArchiveReader(repository.storage.open(stored.name), name: stored.name, keys: [key], repository: repository.id)
        }
        let report = try Restorer(request([("/", "/")]), catalog: sample.catalog, shelf: shelf, keys: [key]).run()
        #expect(report.problems.map(\.place) == [Path("file")])
        #expect(try scratch.names("target") == [])
    }
}
