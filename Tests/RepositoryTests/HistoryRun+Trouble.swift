// Crashes and damage: what the model allows after them, and what it does not.

import Agent
import Archiving
import Cataloging
import Controlling
import Kernel
import Rotating
import Scanning
import Storing

// MARK: Crashes

extension HistoryRun {
    /// The power goes at a random moment of a random piece of work: on the disk and in the state directory everything stays as it
    /// stood then. Afterwards the old state is there or the new one.
    func crash() throws {
        let operations = number(0..<30)
        let (work, settle) = try trouble("a crash after \(operations)")
        if try !die(after: operations, work) { note("it lived") }
        if number(0..<3) == 0 {
            note("and the catalog is lost")
            try bench.removeCatalog()
        }
        try settle(session)
    }

    /// The repository's disk is full or fails for a while; the same session goes on after that, or a new one.
    func fault() throws {
        let (operations, count) = (number(0..<30), number(1..<4))
        let code = [StorageError.Code.full, .io, .denied, .readOnly][number(0..<4)]
        let (work, settle) = try trouble("\(count) times \(code) after \(operations)")
        close()
        try stumble(after: operations, .spell(count, code), work)
        if number(0..<2) == 0 { close() }
        try settle(session)
    }

    private func stumble(after operations: Int, _ spell: MortalStorage.End, _ work: (Session) throws -> Void) throws {
        var storage: MortalStorage?
        defer { storage?.heal() }
        do {
            // Opening it may already remove what a crash has left.
            let session = try bench.session(wrapping: { base in
                let failing = MortalStorage(base, operations: operations, spell)
                storage = failing
                return failing
            })
            adopt(session)
            try work(session)
        } catch {
            guard storage?.hasEnded ?? false else { throw error }
            hasLeftovers = true
        }
    }

    private func trouble(_ words: String) throws -> Troubled {
        switch number(0..<8) {
        case 0, 1, 2: return try troubledSnapshot(words)
        case 3, 4: return troubledRotation(words)
        case 5: return troubledRemark(words)
        case 6: return troubledPurge(words)
        default:
            note("compact, with \(words)")
            return ({ _ = try CompactionRun(session: $0).run() }, { _ in })
        }
    }

    /// - Returns: False when the work was done before.
    private func die(after operations: Int, _ work: (Session) throws -> Void) throws -> Bool {
        close()
        let state = bench.places.stateDirectory
        let image = Path(unchecked: state.bytes + ".dead".utf8)
        var storage: MortalStorage?
        do {
            let session = try bench.session(wrapping: { base in
                let mortal = MortalStorage(base, operations: operations, .death({
                    _ = try? ProcessIdentity.run("cp", ["-a", state.text, image.text])
                }))
                storage = mortal
                return mortal
            })
            try work(session)
        } catch {
            guard let storage, storage.isDead else { throw error }
        }
        guard storage?.isDead ?? false else { return false }
        hasLeftovers = true
        // What ran on after the moment of death has not happened.
        _ = try ProcessIdentity.run("rm", ["-rf", state.text])
        _ = try ProcessIdentity.run("mv", [image.text, state.text])
        return true
    }

    private typealias Troubled = (work: (Session) throws -> Void, settle: (Session) throws -> Void)

    private func troubledSnapshot(_ words: String) throws -> Troubled {
        let (order, name) = randomOrder()
        note("snapshot \(name), with \(words)")
        try tree.change(&generator)
        let wanted = try TreeState(at: bench.source)
        return (
            { [bench] in _ = try SnapshotPipeline(session: $0, rules: bench.installation.rules).run(order) },
            { [self] session in
                guard let newest = try session.catalog.newest(), newest.number > model.newest ?? 0 else { return }
                if newest.kind == .full { hasLeftovers = false }
                add(newest.record, wanted)
            }
        )
    }

    private func troubledRotation(_ words: String) -> Troubled {
        let policy = randomPolicy()
        note("rotate \(policy), with \(words)")
        var plan: RotationPlan?
        return (
            { session in
                let run = RotationRun(session: session)
                var given = RotationPlan(snapshots: [], forgetting: [])
                given = try RotationPlan(snapshots: session.catalog.snapshots().map { row in
                    SnapshotSummary(
                        number: row.number, time: row.time, isFull: row.kind == .full, isPinned: row.isPinned,
                        isStandalone: row.record.isStandalone, bytes: row.record.statistics.bytesAdded)
                }, policy: policy, now: session.now())
                plan = given
                _ = try run.run(given)
            },
            { [self] session in
                let left = Set(try session.catalog.snapshots().map(\.number))
                try require(left.isSubset(of: model.numbers), "snapshots came from nowhere: \(left.sorted())")
                for group in plan?.merges ?? [] {
                    let there = left.intersection(group.dropped)
                    try require(there.isEmpty || there.count == group.dropped.count, "half of \(group.dropped) is left: \(there.sorted())")
                }
                let kept = plan?.choices.filter(\.keep).map(\.number) ?? model.numbers
                try require(left.isSuperset(of: kept), "\(Set(kept).subtracting(left).sorted()) were to be kept")
                model.keep(left)
            }
        )
    }

    private func troubledRemark(_ words: String) -> Troubled {
        let snapshot = model.numbers.randomElement(using: &generator) ?? 1
        note("pin \(snapshot), with \(words)")
        return (
            { _ = try $0.remark(RemarkRequest(action: .pin, snapshot: snapshot)) },
            { [self] session in
                if try session.catalog.snapshot(snapshot)?.isPinned ?? false { model.snapshots[snapshot]?.isPinned = true }
            }
        )
    }

    private func troubledPurge(_ words: String) -> Troubled {
        guard let path = randomPurge() else { return ({ _ in }, { _ in }) }
        note("purge \(path), with \(words)")
        return (
            { _ = try PurgeRun(session: $0).run([path]) },
            { [self] session in
                // What was begun is finished by the next run.
                if !session.record.purging.isEmpty { _ = try PurgeRun(session: session).run([]) }
                if try session.catalog.versionCount(below: path) == 0 { model.remove(below: path) }
            }
        )
    }
}

// MARK: Damage

extension HistoryRun {
    /// An archive is damaged, or goes; then everything is read and repaired. Whatever is not as it was must be named as lost, must have
    /// stood in that archive, and must not stand in the sources any more.
    func damage() throws {
        let newest = try session.catalog.newest()?.archive
        guard let archive = try session.storage.list().randomElement(using: &generator)?.name else { return }
        let affected = try session.catalog.versions(storedIn: archive.number, limit: .max)
        close()
        let kind = number(0..<3)
        note("\(["flip a byte of", "cut", "remove"][kind]) \(archive.text)")
        try spoil(bench.configuration.repository.appending("archives/\(archive.text)".utf8), kind: archive.number == newest ? min(kind, 1) : kind)
        let response = try RepairRun(session: session).run(.everything, .giveUp)
        note("repaired: \(response.message)")
        let before = model.lost
        var reader = try SnapshotReader(session)
        let present = try TreeState(at: bench.source)
        for (number, snapshot) in model.snapshots {
            let found = try reader.state(of: number)
            for (path, line) in snapshot.tree.lines where line.digest != nil && found.lines[path]?.digest == nil {
                let file = RepositoryModel.LostFile(snapshot: number, path: path)
                let isNamed = response.lost.contains { $0.path == "\(path)" && ($0.firstSnapshot...$0.lastSnapshot).contains(number) }
                try require(isNamed, "\(path) of snapshot \(number) is lost, and was not named")
                if before.contains(file) { continue }
                try require(
                    affected.contains { $0.path == path && $0.snapshots.contains(number) }, "\(path) of snapshot \(number) is lost, and was elsewhere")
                try require(present.lines[path]?.digest != line.digest, "\(path) of snapshot \(number) is lost, and stands in the source")
                model.lost.insert(file)
            }
        }
    }

    private func spoil(_ file: Path, kind: Int) throws {
        if kind == 2 { return try file.removeFile() }
        let archive = try Descriptor.open(file, [.readWrite])
        let size = try archive.status().size
        let place = UInt64.random(in: 0..<size, using: &generator)
        if kind == 1 { return try archive.truncate(to: place) }
        let byte = try archive.bytes(at: place, count: 1)
        try [byte[0] ^ (1 << UInt8(number(0..<8)))].withUnsafeBytes { try archive.write($0, at: place) }
    }
}
