// One random history: what people, the daemon and bad luck do to a repository, and after each step the comparison with the model.
// In: a seed.  Out: nothing, or the step at which repository and model part.

import Agent
import Archiving
import Cataloging
import Compressing
import Controlling
import Kernel
import Restoring
import Rotating
import Scanning
import Storing

final class HistoryRun {
    let bench: Workbench
    let tree: RandomTree
    var generator: SeededGenerator
    var model = RepositoryModel()
    /// What was done, for whoever reads of a failure.
    private(set) var log: [String] = []
    /// Archives may be there that a crash has left, and that go with the next full snapshot and the rotation after it.
    var hasLeftovers = false
    private var opened: Session?

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        let hasDeepLane = Bool.random(using: &generator)
        let archiveSize: UInt64 = Bool.random(using: &generator) ? 200_000 : 64 << 20
        bench = try Workbench { configuration in
            configuration.archiveSize = archiveSize
            if !hasDeepLane { configuration.compression.deep = nil }
        }
        tree = RandomTree(bench.source, seed: seed)
        for _ in 0..<8 { try tree.change(&generator) }
    }

    /// The writer; the same until something closes it.
    var session: Session {
        get throws {
            if let opened { return opened }
            let session = try bench.session()
            opened = session
            return session
        }
    }

    func close() { opened = nil }

    /// Goes on with a session that somebody else has opened.
    func adopt(_ session: Session) { opened = session }

    func note(_ words: String) { log.append(words) }

    func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }

    func run(steps: Int) throws {
        try snapshot()
        try model.check(session)
        for _ in 0..<steps {
            try step()
            try model.check(session)
        }
        try finish()
    }

    private func step() throws {
        bench.advance(.seconds(number(1..<20_000)))
        switch number(0..<100) {
        case 0..<36: try snapshot()
        case 36..<46: try rotate()
        case 46..<50: try forget()
        case 50..<58: try remark()
        case 58..<60: try purge()
        case 60..<66: try compact(calls: number(1..<8))
        case 66..<68: try rotateKey()
        case 68..<76: try crash()
        case 76..<80: try fault()
        case 80..<88: try damage()
        case 88..<92: try rebuild()
        case 92..<95: try lookBeside()
        case 95..<97: try verifySample()
        case 97: turnBackTheClock()
        default: bench.advance(.seconds(86_400 * number(1..<45)))
        }
    }

    /// Everything that waits is done, and all is as it was.
    private func finish() throws {
        note("finish")
        try compact(calls: .max)
        try require(session.keys.count == 1, "older keys are left")
        try model.check(session)
        close()
        try bench.removeCatalog()
        try model.check(session)
        try lookBeside()
    }
}

// MARK: What people do

extension HistoryRun {
    func randomOrder() -> (order: SnapshotOrder, name: String) {
        switch number(0..<12) {
        case 0: (SnapshotOrder(scope: .whole, recording: .full), "full")
        case 1: (SnapshotOrder(scope: .whole, recording: .full, rehash: true), "rehash")
        case 2: (SnapshotOrder(scope: .whole, recording: .full, standalone: true), "standalone")
        default: (SnapshotOrder(scope: .whole), "incremental")
        }
    }

    func snapshot() throws {
        if number(0..<8) > 0 { try tree.change(&generator) }
        let (order, name) = randomOrder()
        note("snapshot \(name)")
        try take(order, try session)
    }

    func take(_ order: SnapshotOrder, _ session: Session) throws {
        let wanted = try TreeState(at: bench.source)
        let outcome = try SnapshotPipeline(session: session, rules: bench.installation.rules).run(order)
        try require(outcome.problems.isEmpty && outcome.unavailable.isEmpty, "problems: \(outcome.problems)")
        guard let record = outcome.record else {
            try require(order.recording == .incremental, "no full snapshot was taken")
            let differences = model.newest.flatMap { model.snapshots[$0] }?.tree.differences(from: wanted) ?? ["no snapshot"]
            return try require(differences.isEmpty, "nothing was taken, though \(differences)")
        }
        if outcome.kind == .full { hasLeftovers = false }
        add(record, wanted)
    }

    func add(_ record: SnapshotRecord, _ tree: TreeState) {
        model.snapshots[record.number] = .init(tree: tree, isStandalone: record.isStandalone)
    }

    func randomPolicy() -> KeepPolicy {
        var policy = KeepPolicy.newestOnly
        switch number(0..<5) {
        case 0: policy.last = number(0..<8)
        case 1: policy = KeepPolicy()
        case 2:
            policy.hourly = number(1..<10)
            policy.daily = number(0..<5)
        case 3:
            policy.last = 20
            policy.size = UInt64(number(1..<4_000_000))
        default:
            policy.fulls = number(0..<3)
            policy.last = number(0..<12)
        }
        return policy
    }

    func rotate() throws {
        let policy = randomPolicy()
        note("rotate \(policy)")
        close()
        let session = try bench.session(adjusting: { $0.keep = policy })
        let run = RotationRun(session: session)
        try carryOut(try run.plan(), run)
        try checkSize(session)
    }

    func forget() throws {
        let goes = model.snapshots.filter { !$0.value.isPinned && $0.key != model.newest && number(0..<3) == 0 }.map(\.key)
        note("forget \(goes.sorted())")
        let run = RotationRun(session: try session)
        try carryOut(try run.plan(forgetting: Set(goes)), run)
    }

    private func carryOut(_ plan: RotationPlan, _ run: RotationRun) throws {
        let kept = Set(plan.choices.filter(\.keep).map(\.number))
        for (number, snapshot) in model.snapshots where snapshot.isPinned || number == model.newest {
            try require(kept.contains(number), "\(number) is pinned or the newest, and was to go")
        }
        let (response, isFinished) = try run.run(plan)
        try require(isFinished, "the rotation ended early: \(response.message)")
        model.keep(kept)
    }

    /// Noise cannot be compressed: what is stored is about what is shown. A `data` archive may be half dead before it is rewritten.
    private func checkSize(_ session: Session) throws {
        if hasLeftovers { return }
        // Data behind the latest full snapshot may belong to one that was not finished, and stays until the next.
        let lastFull = try session.catalog.snapshots().last { $0.kind == .full }?.archive ?? 0
        let archives = try session.storage.list().filter { $0.name.kind != .data || $0.name.number < lastFull }
        let bytes = archives.reduce(0) { $0 + $1.size }
        let lines = model.snapshots.values.reduce(0) { $0 + $1.tree.lines.count }
        let limit = 2 * model.contentBytes + UInt64(archives.count) * 4096 + UInt64(lines) * 600
        try require(bytes <= limit, "the repository takes \(bytes) bytes, with \(model.contentBytes) of content; the limit is \(limit)")
    }

    func remark() throws {
        guard let snapshot = model.numbers.randomElement(using: &generator), let known = model.snapshots[snapshot] else { return }
        let text = "tag \(number(0..<5))"
        note("remark on \(snapshot)")
        switch number(0..<4) {
        case 0, 1:
            _ = try session.remark(RemarkRequest(action: known.isPinned ? .unpin : .pin, snapshot: snapshot))
            model.snapshots[snapshot]?.isPinned.toggle()
        case 2:
            _ = try session.remark(RemarkRequest(action: .tag, snapshot: snapshot, text: text))
            model.snapshots[snapshot]?.tags.insert(Array(text.utf8))
        default:
            _ = try session.remark(RemarkRequest(action: .untag, snapshot: snapshot, text: text))
            model.snapshots[snapshot]?.tags.remove(Array(text.utf8))
        }
    }

    func randomPurge() -> Path? {
        model.paths.filter { $0.isBelow(bench.source) }.sorted().randomElement(using: &generator)
    }

    func purge() throws {
        guard let path = randomPurge() else { return }
        note("purge \(path)")
        _ = try PurgeRun(session: session).run([path])
        model.remove(below: path)
    }
}

// MARK: What the daemon does

extension HistoryRun {
    /// - Parameter calls: After so many looks at it, it is told to end.
    func compact(calls: Int) throws {
        note("compact \(calls == .max ? "all" : "\(calls)")")
        var left = calls
        let run = CompactionRun(session: try session) {
            left -= 1
            return left < 0
        }
        _ = try run.run()
    }

    /// As after a flat battery, or a wrong time server.
    private func turnBackTheClock() {
        note("the clock goes back")
        bench.advance(.seconds(-number(1..<200_000)))
    }

    func rotateKey() throws {
        note("new key")
        _ = try session.beginKeyRotation(passphrases: [])
    }

    func verifySample() throws {
        note("verify a sample")
        let findings = try VerificationRun(session: session).run(VerifyRequest(depth: .sample, share: 0.3)).response.findings
        try require(findings.allSatisfy { !model.lost.isEmpty && $0.archive.isEmpty }, "a sample found \(findings)")
    }

    func rebuild() throws {
        note("rebuild the catalog")
        close()
        try bench.removeCatalog()
        let gaps = try session.gaps
        try require(gaps.isEmpty, "gaps: \(gaps)")
    }

    /// A reader beside the writer lists the same and restores a snapshot, byte by byte.
    func lookBeside() throws {
        guard let number = model.numbers.randomElement(using: &generator), let wanted = model.snapshots[number] else { return }
        note("restore \(number)")
        let writer = try session
        let reader = try bench.session(.reading)
        try require(reader.catalog.snapshots() == writer.catalog.snapshots(), "reader and writer list different snapshots")
        if model.lost.contains(where: { $0.snapshot == number }) { return }
        let target = bench.directory.appending("restored".utf8)
        defer { _ = try? ProcessIdentity.run("rm", ["-rf", target.text], output: .discarded) }
        let (report, _, _) = try Commands(bench.installation).restore(
            RestoreOrder(
                paths: [bench.source], at: .number(number), placing: .below(target, fullPaths: false), overwrite: .never, isDryRun: false,
                workingDirectory: bench.directory))
        try require(report.isComplete, "the restore of \(number): \(report.problems.prefix(3))")
        let place = target.appending("source".utf8)
        let differences = differences(try TreeState(at: place).restorable(below: place), wanted.tree.restorable(below: bench.source))
        try require(differences.isEmpty, "snapshot \(number) restored: \(differences.prefix(3))")
    }

    private func differences(_ found: [Path: RestoredLine], _ wanted: [Path: RestoredLine]) -> [String] {
        Set(found.keys).union(wanted.keys).sorted().compactMap { path in
            found[path] == wanted[path] ? nil : "\(path): \(String(describing: found[path])), not \(String(describing: wanted[path]))"
        }
    }
}
