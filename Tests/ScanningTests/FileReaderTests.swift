// One file read: chunks, holes, marks, and what happens when it does not hold still.

import Archiving
import Encrypting
import Kernel
import Testing

@testable import Scanning

struct FileReaderTests {
    /// Everything the reader handed out.
    final class Sink {
        var chunks: [Digest: [UInt8]] = [:]
        var count = 0

        func take(_ bytes: UnsafeRawBufferPointer, _ digest: Digest, _ offset: UInt64, _ status: FileStatus) {
            chunks[digest] = Array(bytes)
            count += 1
        }

        /// The file as it would be restored.
        func restore(_ entry: Entry) throws -> [UInt8] {
            var result: [UInt8] = []
            var holes = entry.content.holes[...]
            for chunk in entry.content.chunks {
                while let hole = holes.first, hole.offset == UInt64(result.count) {
                    result += [UInt8](repeating: 0, count: Int(hole.length))
                    holes = holes.dropFirst()
                }
                let bytes = try #require(chunks[chunk.digest])
                #expect(bytes.count == Int(chunk.length))
                result += bytes
            }
            for hole in holes {
                #expect(hole.offset == UInt64(result.count))
                result += [UInt8](repeating: 0, count: Int(hole.length))
            }
            #expect(UInt64(result.count) == entry.size)
            return result
        }
    }

    private func planned(_ fixture: Fixture, _ relative: String, _ reading: PlannedEntry.Reading = .content) throws -> PlannedEntry {
        let path = fixture.tree.path(relative)
        return PlannedEntry(path: path, status: try FileStatus(of: path), reading: reading)
    }

    private func random(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return (0..<(count + 7) / 8).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }.prefix(count).map { $0 }
    }

    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 1_000_000, 9_000_001])
    func contentComesBackByteForByte(count: Int) throws {
        let fixture = try Fixture()
        let bytes = random(count, seed: UInt64(count))
        try fixture.tree.write("src/file", bytes: bytes)
        let sink = Sink()
        let entry = try FileReader(state: fixture.state, sources: fixture.sources).read(try planned(fixture, "src/file"), into: sink.take).entry
        #expect(try sink.restore(entry) == bytes)
        #expect(entry.content.holes.isEmpty)
        #expect(entry.content.chunks.count == (count == 0 ? 0 : entry.content.chunks.count))
        if count > 0, count <= 65_536 { #expect(entry.content.chunks.count == 1) }
        #expect(entry.content.chunks.allSatisfy { (1...(1 << 20)).contains($0.length) })
    }

    @Test func anInsertionMovesFewChunks() throws {
        let fixture = try Fixture()
        let bytes = random(4_000_000, seed: 3)
        try fixture.tree.write("src/before", bytes: bytes)
        try fixture.tree.write("src/after", bytes: Array(bytes[..<2_000_000]) + [1, 2, 3] + bytes[2_000_000...])
        let reader = FileReader(state: fixture.state, sources: fixture.sources)
        let sink = Sink()
        let before = try reader.read(try planned(fixture, "src/before"), into: sink.take).entry
        let after = try reader.read(try planned(fixture, "src/after"), into: sink.take).entry
        let new = Set(after.content.chunks).subtracting(before.content.chunks)
        #expect(new.count <= 4)
        #expect(after.content.chunks.count > 6)
    }

    @Test func holesAreNeitherReadNorStored() throws {
        let fixture = try Fixture()
        let (a, b) = (random(300_000, seed: 4), random(5_000, seed: 5))
        do {
            let file = try Descriptor.open(fixture.tree.path("src/sparse"), [.write, .create], mode: 0o644)
            for (bytes, offset) in [(a, UInt64(8 << 20)), (b, UInt64(64 << 20))] {
                try bytes.withUnsafeBytes { try file.write($0, at: offset) }
            }
            try file.truncate(to: 100 << 20)
        }
        let sink = Sink()
        let plan = try planned(fixture, "src/sparse")
        let entry = try FileReader(state: fixture.state, sources: fixture.sources).read(plan, into: sink.take).entry
        #expect(entry.size == 100 << 20)
        let restored = try sink.restore(entry)
        #expect(Array(restored[(8 << 20)..<(8 << 20) + a.count]) == a)
        #expect(Array(restored[(64 << 20)..<(64 << 20) + b.count]) == b)
        // A file system without holes stores zeros: then there is nothing to leave out.
        guard try FileStatus(of: plan.path).blocks < 100 << 10 else { return }
        #expect(entry.content.holes.count == 3)
        #expect(entry.content.chunks.reduce(0) { $0 + Int($1.length) } < 1 << 20)
    }

    @Test func aFileThatIsOneHoleHasNoChunks() throws {
        let fixture = try Fixture()
        do {
            let file = try Descriptor.open(fixture.tree.path("src/hole"), [.write, .create], mode: 0o644)
            try file.truncate(to: 1 << 40)
        }
        let entry = try FileReader(state: fixture.state, sources: fixture.sources).read(try planned(fixture, "src/hole")) { _, _, _, _ in
            Issue.record("nothing is to be read")
        }.entry
        #expect(entry.content == Content(chunks: [], holes: [Hole(offset: 0, length: 1 << 40)]))
    }

    @Test(arguments: [100, 3_000_000])
    func aFileThatGrowsAllTheTimeIsStoredWithAMark(count: Int) throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/log", bytes: random(count, seed: 6))
        let writer = try Descriptor.open(fixture.tree.path("src/log"), [.write, .append])
        let sink = Sink()
        let entry = try FileReader(state: fixture.state, sources: fixture.sources).read(try planned(fixture, "src/log")) {
            sink.take($0, $1, $2, $3)
            try writer.write([1, 2, 3])
        }.entry
        #expect(entry.marks.contains(.changedWhileRead))
        // What is stored is a state that the file was in, as far as its length goes.
        let restored = try sink.restore(entry)
        let now = try fixture.tree.path("src/log").readFile()
        #expect(restored == Array(now[..<restored.count]))
        // And it is read again next time.
        fixture.state.apply([entry], [], sources: fixture.sources)
        #expect(try fixture.plan().upserts.last?.reading == .content)
    }

    @Test func aFileThatChangedOnceIsReadTwiceAndHasNoMark() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/file", "before")
        let writer = try Descriptor.open(fixture.tree.path("src/file"), [.write, .append])
        var attempts = 0
        let sink = Sink()
        let entry = try FileReader(state: fixture.state, sources: fixture.sources).read(try planned(fixture, "src/file")) {
            sink.take($0, $1, $2, $3)
            attempts += 1
            if attempts == 1 { try writer.write(Array(" and after".utf8)) }
        }.entry
        #expect(attempts == 2)
        #expect(!entry.marks.contains(.changedWhileRead))
        #expect(try sink.restore(entry) == Array("before and after".utf8))
    }

    @Test func aFileThatIsCutShortMeanwhileIsConsistent() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/file", bytes: random(9_000_000, seed: 7))
        let writer = try Descriptor.open(fixture.tree.path("src/file"), [.write])
        var size: UInt64 = 8_000_000
        let sink = Sink()
        let entry = try FileReader(state: fixture.state, sources: fixture.sources).read(try planned(fixture, "src/file")) {
            sink.take($0, $1, $2, $3)
            size = size > 500_000 ? size - 400_000 : 100_000
            try writer.truncate(to: size)
        }.entry
        _ = try sink.restore(entry)
    }

    @Test func anEndlessWriterOnAnotherThreadDoesNotHoldUpTheReading() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/log", bytes: random(2_000_000, seed: 8))
        let path = fixture.tree.path("src/log")
        let isDone = Monitor(false)
        let writer = try Thread(name: "writer", priority: .normal) {
            guard let file = try? Descriptor.open(path, [.write, .append]) else { return }
            while !isDone.withLock({ $0 }) { try? file.write([0x78]) }
        }
        let sink = Sink()
        let reading = Result { try FileReader(state: fixture.state, sources: fixture.sources).read(try planned(fixture, "src/log"), into: sink.take) }
        isDone.withLock { $0 = true }
        writer.join()
        _ = try sink.restore(try reading.get().entry)
    }

    @Test func metadataAloneCarriesTheContentOn() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/file", "content")
        try fixture.takeFirst()
        let plan = try planned(fixture, "src/file", .metadataOnly)
        let reader = FileReader(state: fixture.state, sources: fixture.sources)
        let entry = try reader.read(plan) { _, _, _, _ in Issue.record("the content is known") }.entry
        #expect(entry.content.chunks.first?.digest == digest("content"))
        // It changed since: then it is read after all.
        try fixture.tree.write("src/file", "other content")
        #expect(try reader.read(plan) { _, _, _, _ in }.entry.content.chunks.first?.digest == digest("other content"))
    }

    @Test func anUnchangedContentIsSaidToBeUnchanged() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/file", "content")
        try fixture.takeFirst()
        let reader = FileReader(state: fixture.state, sources: fixture.sources)
        let path = fixture.tree.path("src/file")
        // A new device number is no difference.
        fixture.state.change(path) { $0.device += 1 }
        let again = FileReader(state: fixture.state, sources: fixture.sources)
        for reader in [reader, again] {
            #expect(try reader.read(try planned(fixture, "src/file", .compareContent)) { _, _, _, _ in }.isUnchanged)
        }
        fixture.state.change(path) { $0.content = .empty }
        let changed = FileReader(state: fixture.state, sources: fixture.sources)
        #expect(try !changed.read(try planned(fixture, "src/file", .compareContent)) { _, _, _, _ in }.isUnchanged)
    }

    @Test func aFileWithTwoNamesIsReadOnce() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/one", "content")
        try fixture.tree.link("src/one", as: "src/two")
        let reader = FileReader(state: fixture.state, sources: fixture.sources)
        let sink = Sink()
        // The first readings are as new as the file; one that is beyond doubt is remembered.
        var entries: [Entry] = []
        repeat {
            sink.count = 0
            entries = try ["src/one", "src/two"].map { try reader.read(try planned(fixture, $0), into: sink.take).entry }
        } while entries[0].marks.contains(.racy)
        #expect(entries[0].content == entries[1].content)
        #expect(sink.count <= 1)
    }

    @Test func everyKindOfEntryIsRead() throws {
        let fixture = try Fixture()
        try fixture.tree.makeSymlink("src/link", to: "no/such/place")
        try fixture.tree.makeFIFO("src/fifo")
        try fixture.tree.makeDirectory("src/directory")
        let entries = try fixture.take(try fixture.plan())
        #expect(entries.map(\.kind) == [.directory, .directory, .fifo, .symlink])
        #expect(entries[3].target == Array("no/such/place".utf8))
        #expect(entries.allSatisfy { $0.uid == ProcessIdentity.uid && $0.content == .empty })
        if let name = AccountDatabase.userName(ProcessIdentity.uid) {
            #expect(entries.allSatisfy { $0.userName == Array(name.utf8) })
        }
    }

    @Test func attributesAreKept() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/file")
        let attribute = ExtendedAttribute(name: Array("user.colour".utf8), value: [0, 255, 1])
        do {
            try Descriptor.open(fixture.tree.path("src/file"), [.write]).setExtendedAttribute(attribute)
            try Descriptor.open(fixture.sources[0], [.read]).setExtendedAttribute(attribute)
        } catch {
            return  // This file system keeps none.
        }
        let entries = try fixture.take(try fixture.plan())
        #expect(entries.allSatisfy { $0.attributes.contains(attribute) })
    }

    @Test func whatIsGoneOrSomethingElseByNowIsVanished() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/file")
        try fixture.tree.write("src/d/file")
        let plans = [try planned(fixture, "src/file"), try planned(fixture, "src/d/file")]
        try fixture.tree.remove("src/file")
        try fixture.tree.remove("src/d")
        try fixture.tree.write("src/d", "a file by now")
        let reader = FileReader(state: fixture.state, sources: fixture.sources)
        for plan in plans {
            let problem = #expect(throws: ScanProblem.self) { try reader.read(plan) { _, _, _, _ in } }
            #expect(problem?.isVanished == true)
        }
        // Something else than a directory in the place of one, and the other way round: more than this entry hangs on it.
        try fixture.tree.makeDirectory("src/e")
        try fixture.tree.write("src/f")
        let others = [try planned(fixture, "src/e"), try planned(fixture, "src/f")]
        for name in ["src/e", "src/f"] { try fixture.tree.remove(name) }
        try fixture.tree.makeSymlink("src/e", to: "file")
        try fixture.tree.makeDirectory("src/f")
        for plan in others {
            let problem = #expect(throws: ScanProblem.self) { try reader.read(plan) { _, _, _, _ in } }
            #expect(problem?.isVanished == true)
        }
        // A FIFO in its place becomes the entry; it is not opened, for nobody writes to it.
        try fixture.tree.makeFIFO("src/file")
        #expect(try reader.read(plans[0]) { _, _, _, _ in }.entry.kind == .fifo)
    }

    @Test func aFileThatMustNotBeReadIsAProblem() throws {
        let fixture = try Fixture()
        try fixture.tree.write("src/secret")
        try fixture.tree.setMode("src/secret", 0)
        let plan = try planned(fixture, "src/secret")
        try asNobody {
            let reader = FileReader(state: fixture.state, sources: fixture.sources)
            let problem = #expect(throws: ScanProblem.self) { try reader.read(plan) { _, _, _, _ in } }
            #expect(problem?.errno == .permissionDenied)
            #expect(problem?.isVanished == false)
            #expect(problem?.step == .reading)
        }
    }

    @Test func anErrorOfTheStoreIsNotAnErrorOfTheFile() throws {
        struct Full: Error {}
        let fixture = try Fixture()
        try fixture.tree.write("src/small")
        try fixture.tree.write("src/large", bytes: random(1_000_000, seed: 9))
        let reader = FileReader(state: fixture.state, sources: fixture.sources)
        for name in ["src/small", "src/large"] {
            #expect(throws: Full.self) { try reader.read(try planned(fixture, name)) { _, _, _, _ in throw Full() } }
        }
    }

    @Test func aSymlinkOnTheWayIsNotFollowed() throws {
        let fixture = try Fixture()
        try fixture.tree.write("outside/file", "secret")
        try fixture.tree.write("src/d/file", "content")
        let plan = try planned(fixture, "src/d/file")
        try fixture.tree.remove("src/d")
        try fixture.tree.makeSymlink("src/d", to: fixture.tree.path("outside").text)
        let reader = FileReader(state: fixture.state, sources: fixture.sources)
        let problem = #expect(throws: ScanProblem.self) { try reader.read(plan) { _, _, _, _ in Issue.record("read through a symlink") } }
        #expect(problem?.isVanished == true)
    }
}
