// Years of use in minutes: someone saves documents, the daemon takes snapshots and rotates, and the clock runs.
// In: how many days.  Out: a repository, with what each snapshot was of.
// Contents are pieces of one pool of noise, so that what is stored cannot be smaller than what is shown.

import Agent
import Archiving
import Cataloging
import Kernel
import Rotating
import Scanning
import Storing
import Tracking

final class Lifetime {
    let bench: Workbench
    /// What each document is made of: pieces of the pool, one after the other.
    private(set) var documents: [String: [Range<Int>]] = [:]
    /// The documents of every snapshot that was ever taken.
    private(set) var states: [UInt64: [String: [Range<Int>]]] = [:]
    /// The moments of all snapshots that were ever taken.
    private(set) var moments: [UInt64: Timestamp] = [:]
    let session: Session
    private let pool: [UInt8]
    private var generator = SeededGenerator(seed: 7)

    /// What happens in one stretch of the simulated time.
    struct Stretch {
        var snapshots: Int
        var every: Duration
        /// Snapshots between two rotations.
        var rotation: Int
        var fullEvery: Int
    }

    init(pool: [UInt8]) throws {
        bench = try Workbench()
        self.pool = pool
        session = try bench.session()
    }

    static func pool() -> [UInt8] { noise(8 << 20) }

    /// A first day with a snapshot a minute, a day of quarters, a week of hours, then one a day.
    func live(days: Int) throws {
        for name in 0..<24 { documents["document \(name)"] = [piece(1000...12_000)] }
        documents["mailbox"] = [0..<300_000, piece(40_000...60_000)]
        try write(Set(documents.keys))
        try snapshot(.whole, .full)
        let stretches = [
            Stretch(snapshots: 1440, every: .seconds(60), rotation: 60, fullEvery: .max),
            Stretch(snapshots: 96, every: .seconds(900), rotation: 4, fullEvery: .max),
            Stretch(snapshots: 168, every: .seconds(3600), rotation: 12, fullEvery: 168),
            Stretch(snapshots: days - 9, every: .seconds(86_400), rotation: 1, fullEvery: 7),
        ]
        for stretch in stretches {
            for index in 1...stretch.snapshots {
                bench.advance(stretch.every)
                let changed = work()
                try write(changed)
                let isFull = index % stretch.fullEvery == 0
                try snapshot(isFull ? .whole : scope(changed), isFull ? .full : .incremental)
                if index % stretch.rotation == 0 { try rotate() }
            }
        }
        try rotate()
    }

    /// A repository that has never held anything else: the states of these snapshots, one after the other.
    func takeOnly(_ kept: [[String: [Range<Int>]]]) throws {
        for state in kept {
            bench.advance(.seconds(86_400))
            let names = Set(state.keys).union(documents.keys)
            let changed = names.filter { state[$0] != documents[$0] }
            documents = state
            try write(changed)
            try snapshot(moments.isEmpty ? .whole : scope(changed), moments.isEmpty ? .full : .incremental)
        }
    }

    /// What a day, an hour or a minute brings.
    private func work() -> Set<String> {
        var changed: Set<String> = []
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            let name = "document \(Int.random(in: 0..<32, using: &generator))"
            changed.insert(name)
            documents[name] = Int.random(in: 0..<10, using: &generator) == 0 && documents.count > 20 ? nil : [piece(1000...12_000)]
        }
        if Int.random(in: 0..<6, using: &generator) == 0 {
            changed.insert("mailbox")
            documents["mailbox"] = [0..<300_000, piece(40_000...60_000)]
        }
        return changed
    }

    private func piece(_ sizes: ClosedRange<Int>) -> Range<Int> {
        let start = Int.random(in: 0..<pool.count - sizes.upperBound, using: &generator)
        return start..<start + Int.random(in: sizes, using: &generator)
    }

    private func scope(_ names: Set<String>) -> ScanScope {
        .changes(names.map { Change(path: bench.source.appending($0.utf8), scope: .entry) })
    }

    private func write(_ names: Set<String>) throws {
        for name in names {
            let path = bench.source.appending(name.utf8)
            if let pieces = documents[name] {
                try path.replaceFile(with: bytes(pieces), mode: 0o600, .atomic)
            } else if path.exists {
                try path.removeFile()
            }
        }
    }

    func bytes(_ pieces: [Range<Int>]) -> [UInt8] {
        var result: [UInt8] = []
        for piece in pieces { result += pool[piece] }
        return result
    }

    private func snapshot(_ scope: ScanScope, _ recording: SnapshotOrder.Recording) throws {
        let pipeline = SnapshotPipeline(session: session, rules: bench.installation.rules)
        guard let record = try pipeline.run(SnapshotOrder(scope: scope, recording: recording)).record else { return }
        states[record.number] = documents
        moments[record.number] = Timestamp(milliseconds: record.time)
    }

    private func rotate() throws {
        let run = RotationRun(session: session)
        _ = try run.run(try run.plan())
    }

    var size: UInt64 {
        get throws { try session.storage.list().reduce(0) { $0 + $1.size } }
    }
}
