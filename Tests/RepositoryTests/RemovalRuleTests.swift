// Each rule that stands between an archive and its removal, one test for each.
// A test here fails when its rule is taken out of the program.

import Agent
import Archiving
import Cataloging
import Controlling
import Kernel
import Restoring
import Rotating
import Scanning
import Storing
import Testing

struct RemovalRuleTests {
    private let bench: Workbench

    init() throws {
        bench = try Workbench { $0.archiveSize = 200_000 }
    }

    /// Overwrites the document and takes a snapshot of it.
    @discardableResult
    private func snapshot(_ session: Session, _ text: String, full: Bool = false, standalone: Bool = false) throws -> UInt64 {
        bench.advance(.seconds(60))
        try bench.write("document", text)
        let order = SnapshotOrder(scope: .whole, recording: full || standalone ? .full : .incremental, standalone: standalone)
        return try #require(try SnapshotPipeline(session: session, rules: bench.installation.rules).run(order).record?.number)
    }

    private func forget(_ session: Session, _ numbers: Set<UInt64>) throws -> RotateResponse {
        let run = RotationRun(session: session)
        return try run.run(try run.plan(forgetting: numbers)).response
    }

    private func numbers(_ session: Session) throws -> [UInt64] { try session.catalog.snapshots().map(\.number) }

    private func text(_ session: Session, at number: UInt64) throws -> String? {
        var reader = try SnapshotReader(session)
        let digest = try reader.state(of: number).lines[bench.source.appending("document".utf8)]?.digest
        return digest.flatMap { digest in texts.first { SHA256Text.of($0) == "\(digest)" } }
    }

    private let texts = (1...9).map { "state \($0)" }

    private func archives(_ session: Session) throws -> Set<ArchiveName> { Set(try session.storage.list().map(\.name)) }

    private var archiveDirectory: Path { bench.configuration.repository.appending("archives".utf8) }

    // MARK: What comes back, and what hangs on what is gone

    @Test func deletedArchiveThatComesBackChangesNothing() throws {
        var old: [(Path, [UInt8])] = []
        do {
            let session = try bench.session()
            for text in texts.prefix(4) { try snapshot(session, text) }
            old = try archives(session).map { name in
                let file = archiveDirectory.appending(name.text.utf8)
                return (file, try file.readFile())
            }
            _ = try forget(session, [1, 2, 3])
            #expect(try numbers(session) == [4])
        }
        for round in 1...2 {
            for (file, bytes) in old { try file.replaceFile(with: bytes, mode: 0o600) }
            if round == 2 { try bench.removeCatalog() }
            let session = try bench.session()
            #expect(try numbers(session) == [4])
            #expect(try text(session, at: 4) == texts[3])
            #expect(try session.catalog.snapshots()[0].record.coversFrom == 1)
        }
    }

    /// The identity of a merged snapshot is carried on, so that its children stay valid.
    @Test func mergeWhoseParentWasMergedIsRead() throws {
        do {
            let session = try bench.session()
            for text in texts.prefix(7) { try snapshot(session, text) }
            _ = try forget(session, [6])
            _ = try forget(session, [4])
            _ = try forget(session, [2, 3])
            #expect(try numbers(session) == [1, 5, 7])
        }
        try bench.removeCatalog()
        let session = try bench.session()
        #expect(session.gaps.isEmpty)
        #expect(try numbers(session) == [1, 5, 7])
        for number in [1, 5, 7] as [UInt64] { #expect(try text(session, at: number) == texts[Int(number) - 1]) }
    }

    // MARK: Another writer

    /// Where locks do not hold: what the other has just written may count on what is about to go.
    @Test func nothingIsUnlinkedBesideAnotherWritersArchive() throws {
        let session = try bench.session()
        for text in texts.prefix(4) { try snapshot(session, text) }
        let before = try archives(session)
        let run = RotationRun(session: session, isCancelled: {
            // Between the comparison with the archives and the removal.
            if let sink = try? session.storage.begin(900) {
                _ = try? [1, 2, 3].withUnsafeBytes { try sink.append($0) }
                _ = try? sink.publish(kind: .data, time: 1)
            }
            return false
        })
        let error = try #require(throws: StorageError.self) { try run.run(try run.plan(forgetting: [1, 2])) }
        #expect(error.code == .secondWriter)
        #expect(try archives(session).isSuperset(of: before))
        #expect(try numbers(session) == [1, 2, 3, 4])
    }

    /// A reader that looked first took the writer's reason to look, so that they stayed for ever.
    @Test func whatAKilledRotationLeftGoesAlsoWhenAReaderLookedFirst() throws {
        var old: [(Path, [UInt8])] = []
        do {
            let session = try bench.session()
            for text in texts.prefix(4) { try snapshot(session, text) }
            old = try archives(session).map { name in
                let file = archiveDirectory.appending(name.text.utf8)
                return (file, try file.readFile())
            }
            _ = try forget(session, [1, 2])
        }
        for (file, bytes) in old where !file.exists { try file.replaceFile(with: bytes, mode: 0o600) }
        _ = try bench.session(.reading)
        let session = try bench.session()
        #expect(try archives(session).count == 2)
        #expect(try numbers(session) == [3, 4])
    }

    // MARK: Readers

    @Test func nothingIsUnlinkedWhileAnotherReads() throws {
        let session = try bench.session()
        for (index, text) in texts.enumerated() { try snapshot(session, text, full: index % 4 == 0) }
        _ = try session.remark(RemarkRequest(action: .pin, snapshot: 2))
        let before = try archives(session)
        let reading = try session.repository.lockForReading()
        #expect(try forget(session, [3, 4]).message.contains("another process is reading"))
        _ = try session.remark(RemarkRequest(action: .pin, snapshot: 3))
        _ = try session.beginKeyRotation(passphrases: [])
        _ = try CompactionRun(session: session).run()
        #expect(throws: AgentError.self) { try PurgeRun(session: session).run([bench.source.appending("document".utf8)]) }
        #expect(try archives(session).isSuperset(of: before))
        reading.release()
        _ = try PurgeRun(session: session).run([])
        _ = try CompactionRun(session: session).run()
        #expect(try archives(session).isDisjoint(with: before))
        #expect(try session.catalog.archives(of: .record).count == 1)
    }

    @Test func damagedArchiveStaysWhileAnotherReads() throws {
        let session = try bench.session()
        for text in texts { try snapshot(session, text) }
        let name = try #require(try archives(session).min())
        let file = try Descriptor.open(archiveDirectory.appending(name.text.utf8), [.readWrite])
        try [0xAA, 0x55].withUnsafeBytes { try file.write($0, at: 300) }
        let reading = try session.repository.lockForReading()
        #expect(throws: AgentError.self) { try RepairRun(session: session).run(.everything, .giveUp) }
        #expect(try archives(session).contains(name))
        reading.release()
        _ = try RepairRun(session: session).run(.everything, .giveUp)
        #expect(try !archives(session).contains(name))
    }

    /// The other order: archives are being removed, and whoever wants to read waits for the end of it.
    @Test func readerWaitsForTheEndOfARemoval() throws {
        let session = try bench.session()
        try snapshot(session, texts[0])
        let isReading = Monitor(false)
        let removal = try #require(try session.repository.lockForRemoval())
        let repository = session.repository
        let thread = try Thread(name: "reader", priority: .normal) {
            guard let lock = try? repository.lockForReading() else { return }
            isReading.withLock { $0 = true }
            lock.release()
        }
        let clock = try AlarmClock()
        try clock.wait(until: .now() + .milliseconds(100))
        #expect(isReading.withLock { $0 } == false)
        removal.release()
        thread.join()
        #expect(isReading.withLock { $0 })
    }

    /// A session that was opened before the rotation finds what was moved meanwhile.
    @Test func readerOfBeforeARotationFindsEverything() throws {
        let session = try bench.session()
        for text in texts { try snapshot(session, text) }
        let reader = try bench.session(.reading)
        _ = try forget(session, Set(2...8))
        #expect(try numbers(reader) == [1, 9])
        #expect(try text(reader, at: 1) == texts[0])
        #expect(try text(reader, at: 9) == texts[8])
    }

    // MARK: Clocks

    @Test func clockThatJumpsAYearForwardThinsNothing() throws {
        let session = try bench.session()
        for text in texts.prefix(8) {
            bench.advance(.seconds(120))
            try snapshot(session, text)
        }
        bench.advance(.seconds(366 * 86_400))
        try snapshot(session, texts[8])
        let run = RotationRun(session: session)
        let response = try run.run(try run.plan()).response
        #expect(response.message.contains("stands still"))
        #expect(try numbers(session) == Array(1...9))
    }

    @Test func clockThatJumpsBackThinsNothing() throws {
        let session = try bench.session()
        for text in texts.prefix(7) { try snapshot(session, text) }
        // The wall clock is behind what was saved last; then a snapshot bears such a time.
        bench.advance(.seconds(-3 * 86_400))
        for text in [nil, texts[7]] {
            if let text { try snapshot(session, text) }
            var policy = KeepPolicy.newestOnly
            policy.last = 1
            let before = try numbers(session)
            let plan = RotationPlan(
                snapshots: try session.catalog.snapshots().map { SnapshotSummary(number: $0.number, time: $0.time) }, policy: policy, now: bench.now)
            #expect(try RotationRun(session: session).run(plan).response.message.contains("stands still"))
            #expect(try numbers(session) == before)
        }
    }

    // MARK: Writers and owners

    @Test func secondWriterIsNoticedWhereLocksDoNotHold() throws {
        let first = try bench.session()
        try snapshot(first, texts[0])
        // As on a file system that keeps no locks.
        try bench.configuration.repository.appending("lock".utf8).removeFile()
        var configuration = bench.configuration
        configuration.state = bench.directory.appending("other state".utf8)
        let second = try Session(configuration, at: bench.places.applying(configuration), for: .writing)
        try snapshot(first, texts[1])
        let error = #expect(throws: StorageError.self) { try snapshot(second, texts[2]) }
        #expect(error?.code == .secondWriter)
        #expect(error.map(ExitStatus.of) == ExitStatus.locked)
        #expect(try numbers(first) == [1, 2])
        #expect(try archives(first).count == 2)
    }

    /// As when a verification finds damage while a snapshot is taken.
    @Test func whatTwoSessionsRememberAtOnceIsAllRemembered() throws {
        let writer = try bench.session()
        try snapshot(writer, texts[0])
        let reader = try bench.session(.reading)
        let thread = try Thread(name: "reader", priority: .normal) {
            for number in 0..<200 { reader.remember { $0.damaged["\(number)"] = "found" } }
        }
        for number in 200..<400 { writer.remember { $0.damaged["\(number)"] = "found" } }
        thread.join()
        reader.remember { _ in }
        #expect(reader.record.damaged.count == 400)
    }

    @Test func anotherConfigurationIsRefused() throws {
        do { try snapshot(try bench.session(), texts[0]) }
        for access in [Session.Access.writing, .reading] {
            let error = #expect(throws: AgentError.self) {
                _ = try bench.session(access, adjusting: { $0.id = RepositoryOwner.newConfiguration() })
            }
            guard case .foreignRepository = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
    }

    // MARK: What always stays

    @Test func newestSnapshotSurvivesEverything() throws {
        let session = try bench.session()
        for text in texts { try snapshot(session, text) }
        #expect(throws: AgentError.self) { try forget(session, [9]) }
        let run = RotationRun(session: session)
        _ = try run.run(try run.plan(size: 1))
        #expect(try numbers(session) == [9])
        _ = try run.run(RotationPlan(
            snapshots: [SnapshotSummary(number: 9, time: bench.now.milliseconds)], policy: .newestOnly, now: bench.now))
        _ = try CompactionRun(session: session).run()
        #expect(try numbers(session) == [9])
        #expect(try text(session, at: 9) == texts[8])
    }

    @Test func dataOfAnUnfinishedSnapshotStaysUntilAFullOne() throws {
        do { try snapshot(try bench.session(), texts[0]) }
        let large = bench.source.appending("large".utf8)
        try large.replaceFile(with: noise(700_000), mode: 0o600)
        let data = try die(afterThePublicationOf: .data)
        #expect(!data.isEmpty)
        try large.removeFile()
        let session = try bench.session()
        try snapshot(session, texts[1])
        try rotate(session)
        #expect(try archives(session).isSuperset(of: data))
        try snapshot(session, texts[2], full: true)
        try rotate(session)
        #expect(try archives(session).isDisjoint(with: data))
    }

    /// The content that the unfinished snapshot stored is not stored again.
    @Test func nextAttemptFindsWhatAnUnfinishedSnapshotStored() throws {
        try bench.source.appending("large".utf8).replaceFile(with: noise(700_000), mode: 0o600)
        let data = try die(afterThePublicationOf: .data)
        let session = try bench.session()
        try snapshot(session, texts[0])
        #expect(try archives(session).isSuperset(of: data))
        #expect(try session.storage.list().reduce(0) { $0 + $1.size } < 800_000)
    }

    @Test func catalogRefusesToForgetWhatIsNeeded() throws {
        let session = try bench.session()
        try bench.source.appending("large".utf8).replaceFile(with: noise(700_000), mode: 0o600)
        try snapshot(session, texts[0])
        try snapshot(session, texts[1])
        let rows = try session.catalog.snapshots()
        let needed = NeededChunks(try session.catalog.references(kept: rows.map(\.number), dropping: []), merging: 0)
        let data = try session.catalog.archives(of: .data).map(\.archive.name.number)
        let error = #expect(throws: CatalogError.self) { try session.catalog.forget(data, needed: needed) }
        #expect(error?.code == .inUse)
        // A merge that took nothing of it along, and says that it stands for it.
        let newest = try #require(rows.last)
        let archive = try #require(try session.catalog.archives([newest.archive]).first?.archive)
        var contents = try session.reader(of: archive.name).contents
        contents.number += 1
        contents.chunks = []
        var name = archive.name
        name.number += 1
        let merge = MergeRecord(
            dropped: [], into: newest.number, archive: StoredArchive(name: name, size: archive.size), contents: contents,
            removedArchives: data + [newest.archive])
        let refusal = #expect(throws: CatalogError.self) { try session.catalog.replace(merge, needed: needed) }
        #expect(refusal?.code == .inUse)
        #expect(try session.catalog.snapshots() == rows)
        #expect(try text(session, at: 2) == texts[1])
    }

    // MARK: Pins

    @Test func lostRecordOfPinsIsReported() throws {
        do {
            let session = try bench.session()
            try snapshot(session, texts[0])
            try snapshot(session, texts[1])
            _ = try session.remark(RemarkRequest(action: .pin, snapshot: 1))
            try snapshot(session, texts[2])
            let record = try #require(try archives(session).first { $0.kind == .record })
            try archiveDirectory.appending(record.text.utf8).removeFile()
        }
        // Also where nothing but the archives tells.
        _ = try ProcessIdentity.run("rm", ["-rf", bench.places.stateDirectory.text])
        let session = try bench.session()
        let findings = try VerificationRun(session: session).run(VerifyRequest(depth: .data)).response.findings
        #expect(findings.map(\.reason) == ["the record of pins and tags that it names is missing"])
    }

    private func rotate(_ session: Session) throws {
        let run = RotationRun(session: session)
        _ = try run.run(try run.plan())
    }

    /// Takes a snapshot that dies as soon as archives of this kind are there.
    private func die(afterThePublicationOf kind: ArchiveKind) throws -> Set<ArchiveName> {
        let directory = LocalStorage(at: archiveDirectory)
        let before = Set(try directory.list().map(\.name))
        for operations in 1..<100 {
            do {
                let session = try bench.session(wrapping: { MortalStorage($0, operations: operations) })
                try snapshot(session, texts[8])
                return []
            } catch is StorageError {
                let new = Set(try directory.list().map(\.name)).subtracting(before)
                if new.contains(where: { $0.kind == kind }) { return new }
            }
        }
        return []
    }
}
