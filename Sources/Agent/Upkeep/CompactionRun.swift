// Makes the repository smaller while nobody waits for it: what the fast lane wrote is compressed anew by the deep lane, and during a
// change of keys everything that an older key sealed is sealed by the newest.
// In: archives that have not been through it.  Out: fewer bytes, the same snapshots.
// Invariant: as for rotation. It works in small steps, and ends after the frame at hand when something else is to be done; the next
// run goes on from there. A crash leaves chunks in two places, and the next sweep takes one of them.

internal import Archiving
internal import Cataloging
internal import Compressing
package import Controlling
internal import Kernel
internal import Rotating
internal import Storing

package struct CompactionRun {
    private let session: Session
    private let workers: Int
    private let isCancelled: () -> Bool
    /// An archive whose live content is below this is rewritten in one go.
    private static let small: UInt64 = 32 << 20
    /// Videos and pictures are not read and written again for the little text between them.
    private static let worthwhileShare = 0.05

    /// - Parameter workers: Threads that compress, each with 100 MB for xz:6. One, where nobody waits: it leaves the others idle.
    package init(session: Session, workers: Int = Machine.processors, isCancelled: @escaping () -> Bool = { false }) {
        self.session = session
        self.workers = workers
        self.isCancelled = isCancelled
    }

    /// - Returns: What was done, and whether that is all.
    /// - Throws: `ArchiveError` after everything else was done: an archive that is damaged stays as it is. `StorageError`, `CatalogError`:
    ///   the archive at hand is as it was.
    package func run() throws -> (response: CompactResponse, isFinished: Bool) {
        try session.checkRollback()
        try session.catchUp()
        var response = CompactResponse(rewrittenArchives: 0, freedBytes: 0, message: "")
        if try session.isBroken {
            response.message = "nothing is rewritten while archives are missing or cannot be used; see: watchctl repair"
            return (response, true)
        }
        var damage: ArchiveError?
        let waiting = try waiting()
        if waiting.isEmpty { return (response, try finishKeyRotation()) }
        let consolidator = try session.consolidator(workers: workers)
        let needed = try session.neededChunks()
        let standalone = try session.standaloneData()
        for row in waiting {
            if isCancelled() { return (response, false) }
            do {
                switch try rewrite(row, consolidator, needed, standalone) {
                case .done(let freed):
                    response.rewrittenArchives += 1
                    response.freedBytes += freed.bytes
                case .skipped: break
                case .unfinished: return (response, false)
                case .readerThere:
                    response.message = "another process is reading the repository; it is tried again later"
                    return (response, true)
                case .noRoom:
                    response.message = "\(session.repository.path): there is not enough free space to rewrite archives"
                    return (response, true)
                }
            } catch let error as ArchiveError {
                damage = damage ?? error
            }
        }
        if let damage { throw damage }
        return (response, try finishKeyRotation())
    }

    /// There is something to do when there is time.
    package static func isWaiting(_ session: Session) throws -> Bool {
        try !session.record.purging.isEmpty || session.record.rekeyThrough != nil || !CompactionRun(session: session).waiting().isEmpty
    }

    private enum Step {
        case done(Freed)
        /// There was nothing to gain.
        case skipped
        /// It was told to end; what was done is kept.
        case unfinished
        case readerThere
        case noRoom
    }

    /// Archives under an older key first, then those outside the deep lane.
    private func waiting() throws -> [ArchiveRow] {
        let through = session.record.rekeyThrough ?? 0
        let old = through == 0 ? [] : try session.catalog.archives().filter { $0.archive.name.number <= through }
        guard session.configuration.compression.deep != nil else { return old }
        return old + (try session.catalog.archivesOutsideTheDeepLane().filter { $0.archive.name.number > through })
    }

    private func rewrite(
        _ row: ArchiveRow, _ consolidator: Consolidator, _ needed: NeededChunks, _ standalone: Set<UInt64>
    ) throws -> Step {
        let archive = row.archive
        let isOld = archive.name.number <= session.record.rekeyThrough ?? 0
        if archive.name.kind == .record {
            try session.rewriteRemarks()
            return .done(Freed())
        }
        // An earlier step may have taken it along.
        if try session.catalog.archives([archive.name.number]).isEmpty { return .skipped }
        if standalone.contains(archive.name.number) {
            // It belongs to its commit, and goes with it when keys change; else it stays as it was written.
            if !isOld { try session.catalog.mark([archive.name.number], lane: .deep) }
            return isOld ? try takeAlong(archive, consolidator, needed) : .skipped
        }
        let usage = try session.catalog.usage(of: archive.name.number, needed: needed)
        let isDeep = try isInTheDeepLane(row, usage)
        if !isOld, isDeep {
            try session.catalog.mark([archive.name.number], lane: .deep)
            return .skipped
        }
        guard session.storage.freeBytes ?? .max > min(usage.neededBytes, archive.size) + session.reserve else { return .noRoom }
        let treatment: Consolidator.Treatment = isDeep || session.configuration.compression.deep == nil ? .move : .recompress
        let isStandalone = try row.snapshot.map { try session.catalog.snapshot($0)?.record.isStandalone ?? false } ?? false
        var freed = Freed()
        if archive.name.kind == .data || usage.neededBytes > CompactionRun.small && !isStandalone {
            let evacuation = try consolidator.evacuate(archive, needed, treatment, mustEnd: isCancelled)
            freed.bytes -= Int64(clamping: evacuation.published.reduce(0) { $0 + $1.stored.size })
            if let damage = evacuation.damage.first { throw damage }
            if !evacuation.isComplete { return .unfinished }
        }
        guard let snapshot = row.snapshot else {
            guard let removed = try session.removeData([archive], needed) else { return .readerThere }
            freed += removed
            return .done(freed)
        }
        let replacement = try consolidator.merge(
            MergeGroup(dropped: [], into: snapshot), needed, treatment, takesData: isStandalone)
        guard let replaced = try session.replace(consolidator, with: replacement) else { return .readerThere }
        freed += replaced
        return .done(freed)
    }

    /// Data of a standalone snapshot whose commit is under the newest key already, for repair has written that anew: once more, with the data.
    private func takeAlong(_ data: StoredArchive, _ consolidator: Consolidator, _ needed: NeededChunks) throws -> Step {
        let through = session.record.rekeyThrough ?? 0
        let owner = try session.catalog.snapshots().first { $0.record.dataArchives.contains(data.name.number) && $0.archive > through }
        guard let owner else { return .skipped }
        let replacement = try consolidator.merge(MergeGroup(dropped: [], into: owner.number), needed, .move, takesData: true)
        guard let freed = try session.replace(consolidator, with: replacement) else { return .readerThere }
        return .done(freed)
    }

    /// Nothing in it would become smaller: it holds no data, hardly any that can be compressed, or its frames show the deep lane's codec.
    private func isInTheDeepLane(_ row: ArchiveRow, _ usage: ArchiveUsage) throws -> Bool {
        if row.lane == .deep || usage.neededBytes == 0 && row.snapshot != nil { return true }
        guard let deep = session.configuration.compression.deep else { return false }
        let reader = try session.reader(of: row.archive.name)
        let small = reader.contents.frames.count { $0.kind == .data && $0.tokenCount < MergeSeries.smallFrame / 4 }
        if small > MergeSeries.fewSmallFrames { return false }
        if reader.contents.savedShare < CompactionRun.worthwhileShare { return usage.liveBytes > usage.bytes / 2 }
        if row.lane != nil { return false }
        let opener = try FrameOpener(keys: session.keys)
        for frame in reader.contents.frames.indices where reader.contents.frames[frame].kind == .data {
            let codec = try reader.compressedFrame(frame, opener: opener).codec
            // What could not be compressed says nothing of the lane.
            if codec != .stored { return codec == deep.codec }
        }
        return true
    }

    /// Nothing is left that an older key sealed: those keys are no longer the repository's.
    private func finishKeyRotation() throws -> Bool {
        if session.record.rekeyThrough != nil { try session.finishKeyRotation() }
        return true
    }
}

extension ArchiveContents {
    /// The share of the data that compression saved when it was written, 0...1.
    fileprivate var savedShare: Double {
        var (size, stored): (UInt64, UInt64) = (0, 0)
        for (index, chunk) in chunks.enumerated() where index + 1 == chunks.count || chunks[index + 1].frame != chunk.frame {
            size += UInt64(chunk.offset) + UInt64(chunk.length)
        }
        for frame in frames where frame.kind == .data { stored += UInt64(frame.tokenCount) }
        return size <= stored ? 0 : Double(size - stored) / Double(size)
    }
}
