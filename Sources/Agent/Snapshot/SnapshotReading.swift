// Reads what a plan says, on several threads when there is much, and gives chunks and entries to one snapshot.
// In: a SnapshotPlan.  Out: chunks in the snapshot's archives, SnapshotChanges, problems.
// Threads take files that stand next to each other in the order of types, so that those stay together in the frames.
// Invariant: a problem with a file is that file's; the first failure of the repository or the catalog ends all threads.

internal import Archiving
internal import Cataloging
internal import Controlling
internal import Encrypting
internal import Kernel
internal import Scanning
internal import Synchronization

final class SnapshotReading: Sendable {
    struct Result {
        var changes: SnapshotChanges
        var problems: [PathProblem] = []
        /// Changed, or may have, while they were read.
        var unsettled: [Path] = []
    }

    private struct Shared {
        let archives: SnapshotArchives
        var result: Result
        /// Looked different and are not: only what tells the next scan so is kept.
        var refreshed: [Entry] = []
        var done: SnapshotProgress
        var failure: (any Error)?
        /// Files with several names, as indices of the plan.
        var linked: [Int] = []
        var hasVanished = false
    }

    private let plan: PlannedEntries
    /// Indices of the plan, which holds fewer than 2^32.
    private let order: [UInt32]
    private let catalog: Catalog
    private let sources: [Path]
    /// Read again though the catalog knows them: their content was lost.
    private let healed: Set<Path>
    private let isFirst: Bool
    private let isCancelled: @Sendable () -> Bool
    private let limit: ReadLimit?
    private let shared: Monitor<Shared>
    /// Index in `order` of what no thread has taken.
    private let next = Atomic<Int>(0)

    /// Files that a thread takes at once; of large ones each by itself.
    private let share: Int
    private static let largestShare = 32
    private static let largeFile: UInt64 = 1 << 20
    /// Files, or bytes, for which one more thread is worth its start.
    private static let filesForAThread = 512
    private static let bytesForAThread: UInt64 = 64 << 20
    private static let refreshedAtOnce = 10_000

    init(
        _ plan: SnapshotPlan, into archives: SnapshotArchives, session: Session, healed: Set<Path>,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws {
        self.plan = plan.upserts
        order = plan.upserts.readingOrder
        let isOfLargeFiles = plan.upserts.bytesToRead / UInt64(max(1, order.count)) > SnapshotReading.largeFile
        share = isOfLargeFiles ? 1 : SnapshotReading.largestShare
        catalog = session.catalog
        sources = session.configuration.sources
        self.healed = healed
        isFirst = try catalog.newest() == nil
        self.isCancelled = isCancelled
        limit = session.configuration.limits.readRate.map { ReadLimit(bytesPerSecond: $0, isCancelled: isCancelled) }
        shared = Monitor(
            Shared(
                archives: archives, result: Result(changes: SnapshotChanges(plan, spillingInto: session.places.stateDirectory)),
                done: SnapshotProgress(filesTotal: UInt64(plan.upserts.count), bytesTotal: plan.upserts.bytesToRead)))
    }

    /// - Parameter progress: Called on this thread.
    /// - Throws: `StorageError`, `CatalogError`, `AgentError.interrupted`: the snapshot cannot be finished.
    func run(progress: (SnapshotProgress) -> Void) throws -> Result {
        let worth = max(order.count / SnapshotReading.filesForAThread, Int(clamping: plan.bytesToRead / SnapshotReading.bytesForAThread))
        // A file is read by one thread.
        runHelpers(min(Machine.processors, worth + 1, max(1, order.count)) - 1, progress)
        return try shared.withLock { state in
            if let failure = state.failure { throw failure }
            if !state.refreshed.isEmpty { try catalog.refresh(state.refreshed) }
            // What has vanished may have been another name of one of these, recorded with a link too many; nothing will tell.
            if state.hasVanished { state.result.unsettled += state.linked.map { plan[$0].path } }
            state.result.unsettled += try state.result.changes.removeOrphans(below: sources) { try catalog.liveStatus($0)?.kind == .directory }
            return state.result
        }
    }

    /// Works on this thread and on `count` others, and waits for them.
    private func runHelpers(_ count: Int, _ progress: (SnapshotProgress) -> Void) {
        // A thread that cannot be started is one that does not help.
        guard count > 0, let thread = try? Thread(name: "read", priority: .background, { self.work { _ in } }) else {
            return work(progress)
        }
        runHelpers(count - 1, progress)
        thread.join()
    }

    private func work(_ progress: (SnapshotProgress) -> Void) {
        let reader = FileReader(state: catalog, sources: sources, limit: limit)
        do {
            while true {
                let start = next.add(share, ordering: .relaxed).oldValue
                if start >= order.count { break }
                for index in order[start..<min(start + share, order.count)] {
                    if isCancelled() { throw AgentError.interrupted }
                    progress(try read(Int(index), reader))
                }
            }
        } catch {
            let failure: any Error = error is ScanCancelled ? AgentError.interrupted : error
            shared.withLock { if $0.failure == nil { $0.failure = failure } }
            next.store(order.count, ordering: .relaxed)
        }
        shared.withLock { $0.result.problems += reader.takeProblems().map(PathProblem.init) }
    }

    private func read(_ index: Int, _ reader: FileReader) throws -> SnapshotProgress {
        let planned = plan[index]
        var reading: FileReading?
        var failed: PathProblem?
        var hasVanished = false
        do {
            reading = try reader.read(planned) { bytes, digest, offset, status in
                // One file may be larger than all others together.
                if isCancelled() { throw AgentError.interrupted }
                let isWhole = offset == 0 && UInt64(bytes.count) == status.size
                try shared.withLock {
                    try $0.archives.store(bytes, digest, path: planned.path, chunkOffset: isWhole ? nil : offset, status: status)
                }
            }
        } catch let problem as ScanProblem {
            if problem.isVanished { hasVanished = true } else { failed = PathProblem(problem) }
        }
        var isSame = false
        if let reading {
            isSame = try reading.isUnchanged || !isFirst && catalog.liveEntry(planned.path).map(reading.entry.isSameState) ?? false
        }
        return try shared.withLock { state in
            if let failed { state.result.problems.append(failed) }
            if hasVanished { state.hasVanished = true }
            if let reading {
                if isSame, !healed.contains(planned.path) {
                    state.refreshed.append(reading.entry)
                    if state.refreshed.count == SnapshotReading.refreshedAtOnce {
                        try catalog.refresh(state.refreshed)
                        state.refreshed.removeAll(keepingCapacity: true)
                    }
                } else {
                    try state.result.changes.take(reading.entry, at: index)
                    if reading.entry.kind != .directory, reading.entry.links > 1 { state.linked.append(index) }
                }
                if reading.entry.marks.contains(.changedWhileRead) { state.result.unsettled.append(planned.path) }
            }
            state.done.filesDone += 1
            state.done.bytesDone &+= plan.bytesToRead(at: index)
            return state.done
        }
    }
}

extension PlannedEntries {
    /// Grouping by type is worth more than the codec (architecture, decision 7). Within a type, the order of the tree.
    fileprivate var readingOrder: [UInt32] {
        let types = indices.map(type)
        return indices.map { UInt32($0) }.sorted { (types[Int($0)], $0) < (types[Int($1)], $1) }
    }

    /// The first bytes of the part of the name behind the last dot.
    private func type(at index: Int) -> UInt64 {
        let name = name(at: index)
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > name.startIndex else { return 0 }
        var type: UInt64 = 0
        for place in 1...8 { type = type << 8 | (dot + place < name.endIndex ? UInt64(name[dot + place]) : 0) }
        return type
    }
}

extension PathProblem {
    init(_ problem: ScanProblem) {
        self.init(path: "\(problem.path)", reason: "cannot be \(problem.step.rawValue): \(problem.errno)")
    }
}

extension Entry {
    /// True when a restore of both gives the same. The change time and the marks are not restored; device numbers
    /// change at every boot.
    fileprivate func isSameState(as other: Entry) -> Bool {
        var comparable = self
        comparable.changed = other.changed
        comparable.marks = other.marks
        comparable.device = other.device
        if kind == .directory {
            // The number of subdirectories and the size of the list of names are no state of their own.
            comparable.size = other.size
            comparable.links = other.links
        }
        return comparable == other
    }
}
