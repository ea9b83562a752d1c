// Mends a repository that lost archives or whose archives are damaged.
// In: what verification found, or a reading of everything.  Out: sound archives in the place of damaged ones; what is lost, by name.
//   1. a record of pins and tags that is gone is written again, as the catalog knows it: what was written after it names it
//   2. whole frames of a damaged archive are brought into new archives
//   3. manifests that are damaged or gone are written again, as the catalog knows them
//   4. chunks that are nowhere any more are looked for in the sources: the same path, the same digest
//   5. the damaged archives go, and the next snapshot is a full one
// Invariant: a damaged archive goes only after everything that can be read of it stands elsewhere and was read back. A crash leaves what
// is done; the rest is done by the next repair.

internal import Archiving
internal import Cataloging
package import Controlling
internal import Kernel
internal import Rotating
internal import Scanning
internal import Storing
internal import Verifying

package struct RepairRun {
    package enum Scope: Sendable {
        /// What is known to be damaged or missing.
        case known
        /// Everything is read first.
        case everything
    }

    /// What becomes of archives that hold nothing usable any more: commits whose snapshots cannot be listed.
    package enum Remains: Sendable {
        /// They stay: what they lack may come back.
        case keep
        /// They go, and the history closes over the hole.
        case giveUp
    }

    private let session: Session
    private let progress: (_ bytes: UInt64, _ total: UInt64) -> Void
    private let isCancelled: () -> Bool
    private static let listLimit = 1000

    package init(
        session: Session, progress: @escaping (_ bytes: UInt64, _ total: UInt64) -> Void = { _, _ in }, isCancelled: @escaping () -> Bool = { false }
    ) {
        self.session = session
        self.progress = progress
        self.isCancelled = isCancelled
    }

    /// - Throws: `AgentError.rolledBack`, `.interrupted`, `.failed` while another process reads; `StorageError`, `CatalogError`. What was mended
    ///   until then stays mended.
    package func run(_ scope: Scope, _ remains: Remains) throws -> RepairResponse {
        try session.checkRollback()
        try session.catchUp()
        var response = RepairResponse()
        try renewRemarks(remains, &response)
        if scope == .everything {
            _ = try VerificationRun(session: session, progress: progress, isCancelled: isCancelled).run(VerifyRequest(depth: .data))
        }
        let damaged = try damagedArchives()
        let wasBroken = try session.isBroken || !damaged.isEmpty
        let consolidator = try session.consolidator()
        for archive in damaged {
            if isCancelled() { throw AgentError.interrupted }
            try mend(archive, consolidator, remains, &response)
        }
        try writeLostManifests(consolidator, &response)
        if remains == .giveUp { try giveUp(consolidator, &response) }
        response.healedChunks = try heal(consolidator)
        try finish(wasBroken: wasBroken, remains, &response)
        return response
    }

    /// Those that are there and are damaged, or could not be brought into the catalog.
    private func damagedArchives() throws -> [StoredArchive] {
        let names = Set(session.record.damaged.keys).union(session.record.unusable.keys)
        return names.isEmpty ? [] : try session.storage.list().filter { names.contains($0.name.text) }
    }
}

// MARK: Pins and tags

extension RepairRun {
    /// Writes a record in the place of one that is missing. First of all: each commit behind the missing one names it.
    private func renewRemarks(_ remains: Remains, _ response: inout RepairResponse) throws {
        guard try isRecordMissing() else { return }
        let areLost = try session.remarks().isEmpty
        // Somebody may still bring it back.
        if areLost, remains == .keep { return }
        try session.rewriteRemarks()
        response.mended.append("the record of pins and tags")
        response.remarksLost = areLost
    }

    /// The newest commit names the newest record of its time; of one behind all commits only the catalog knows.
    private func isRecordMissing() throws -> Bool {
        let stored = try session.storage.list()
        let record = stored.last { $0.name.kind == .record }?.name
        if record == nil, try !session.remarks().isEmpty { return true }
        for archive in stored.reversed() where archive.name.kind.isCommit {
            if let record, record.number > archive.name.number { return false }
            if let reader = try? session.reader(of: archive.name) { return reader.contents.recordHead != record?.digest }
        }
        return false
    }
}

// MARK: Damaged archives

extension RepairRun {
    private func mend(_ archive: StoredArchive, _ consolidator: Consolidator, _ remains: Remains, _ response: inout RepairResponse) throws {
        let catalog = session.catalog
        let row = try catalog.archives([archive.name.number]).first { $0.archive.name == archive.name }
        try bringOut(archive, isKnown: row != nil, consolidator)
        if let snapshot = row?.snapshot {
            try catalog.lose([archive.name.number])
            try writeManifest(of: snapshot, consolidator)
        } else if row?.archive.name.kind == .data {
            try catalog.lose([archive.name.number])
        } else if archive.name.kind == .record {
            // One that was never readable here may hold pins: without them rotation would drop what they keep.
            if row == nil {
                if remains == .keep { return }
                response.remarksLost = try session.remarks().isEmpty
            }
            try session.rewriteRemarks()
            if try session.storage.list().contains(archive) == false {
                response.mended.append(archive.name.text)
                return
            }
        } else {
            // A commit whose snapshot the catalog does not know, or an archive that was never readable here.
            return
        }
        try remove(archive)
        response.mended.append(archive.name.text)
    }

    /// Gives every whole chunk that is needed from here another place.
    private func bringOut(_ archive: StoredArchive, isKnown: Bool, _ consolidator: Consolidator) throws {
        if isKnown, (try? session.reader(of: archive.name)) != nil,
            try consolidator.evacuate(archive, try session.neededChunks(), .move).damage.isEmpty
        {
            return
        }
        // Its contents cannot be read, or a frame is refused, perhaps for its length field alone: frame after frame, as far as they are whole.
        var salvage = try ArchiveSalvage(session.storage.open(archive.name), name: archive.name, keys: session.keys)
        _ = try consolidator.writeData { series in
            while true {
                let next: SalvagedFrame?
                do {
                    next = try salvage.next()
                } catch let error as StorageError where error.code == .io {
                    // A bad sector costs its frame alone: the next call goes on behind it.
                    continue
                }
                guard let frame = next else { return }
                guard frame.kind == .data, let chunks = try? DataPayload.chunks(ofPayload: frame.payload) else { continue }
                let wanted = try chunks.filter { try session.catalog.isWanted($0.digest, besides: archive.name.number) }
                if !wanted.isEmpty { try series.append(entriesOf: frame.payload, all: chunks, live: wanted) }
            }
        }
    }

    private func writeLostManifests(_ consolidator: Consolidator, _ response: inout RepairResponse) throws {
        for snapshot in try session.catalog.snapshotsWithoutArchive() {
            try writeManifest(of: snapshot, consolidator)
            response.mended.append("the list of snapshot \(snapshot)")
        }
    }

    private func writeManifest(of snapshot: UInt64, _ consolidator: Consolidator) throws {
        let replacement = try consolidator.merge(MergeGroup(dropped: [], into: snapshot), try session.neededChunks())
        guard try session.replace(consolidator, with: replacement) != nil else { throw RepairRun.readerThere }
    }

    private func remove(_ archive: StoredArchive) throws {
        guard let lock = try session.repository.lockForRemoval() else { throw RepairRun.readerThere }
        defer { lock.release() }
        _ = try session.unlink([archive])
    }

    private static let readerThere = AgentError.failed("another process is reading the repository; try again when it is done")
}

// MARK: What no catalog knows

extension RepairRun {
    /// Removes commits whose snapshots cannot be listed, after their chunks were brought out, and closes the history over the holes.
    private func giveUp(_ consolidator: Consolidator, _ response: inout RepairResponse) throws {
        let unusable = Set(session.record.unusable.keys)
        for archive in try session.storage.list() where unusable.contains(archive.name.text) && !response.mended.contains(archive.name.text) {
            let isKnown = try session.catalog.archives([archive.name.number]).contains { $0.archive.name == archive.name }
            try bringOut(archive, isKnown: isKnown, consolidator)
            try session.catalog.lose(isKnown ? [archive.name.number] : [])
            try remove(archive)
            response.givenUp.append(archive.name.text)
        }
        var before: UInt64 = 0
        for row in try session.catalog.snapshots() {
            if row.record.coversFrom > before + 1 {
                response.lostSnapshots.append(SnapshotRange(first: before + 1, last: row.record.coversFrom - 1))
                if row.kind == .full { try writeManifest(of: row.number, consolidator) }
            }
            before = row.number
        }
        // Those at the newest end leave no hole. A commit has the time of its snapshot in its name.
        let newest = try session.catalog.newest()?.time ?? .min
        let newer = Set(response.givenUp.compactMap { ArchiveName($0) }.filter { $0.kind.isCommit && $0.time > newest }.map(\.time))
        if !newer.isEmpty { response.lostSnapshots.append(SnapshotRange(first: before + 1, last: before + UInt64(newer.count))) }
    }

    /// Looks for chunks that snapshots need and no archive holds, and stores what is found.
    ///
    /// - Returns: How many.
    private func heal(_ consolidator: Consolidator) throws -> Int {
        let lost = try session.catalog.lostChunks()
        if lost.isEmpty { return 0 }
        let search = ChunkSearch(try session.catalog.places(ofChunks: lost), sources: session.configuration.sources)
        var found = 0
        _ = try consolidator.writeData { series in
            do {
                found = try search.run(isCancelled: isCancelled) { chunk in
                    let isWhole = chunk.offset == 0 && UInt64(chunk.bytes.count) == chunk.status.size
                    try series.append(
                        chunk.bytes, digest: chunk.digest, path: chunk.path, offset: isWhole ? nil : chunk.offset, status: chunk.status)
                }.found
            } catch is ScanCancelled {
                throw AgentError.interrupted
            }
        }
        return found
    }

    /// Names what is lost for good, and remembers what there is to remember.
    private func finish(wasBroken: Bool, _ remains: Remains, _ response: inout RepairResponse) throws {
        let lost = try session.catalog.versionsOfLostChunks(limit: .max).sorted { ($0.path, $0.snapshots.lowerBound) < ($1.path, $1.snapshots.lowerBound) }
        response.lostCount = lost.count
        response.lost = lost.prefix(RepairRun.listLimit).map {
            .init(path: "\($0.path)", firstSnapshot: $0.snapshots.lowerBound, lastSnapshot: $0.snapshots.upperBound)
        }
        let mended = Set(response.mended + response.givenUp)
        let now = session.now().milliseconds
        // A lost archive is made up for when the catalog knows all that it held; a snapshot that it does not know stays lost.
        let isWhole = HistoryCheck.findings(in: try session.catalog.snapshots(), highest: 0).isEmpty
        session.remember { [response] record in
            for name in mended {
                record.damaged[name] = nil
                record.unusable[name] = nil
            }
            if remains == .giveUp || isWhole { record.lost = [] }
            record.lostVersions = response.lostCount
            if wasBroken || response.hasChanged {
                record.mustBeFull = true
                record.lastRepair = .init(time: now, archives: mended.count, chunks: response.healedChunks)
            }
        }
        response.message = message(response, wasBroken: wasBroken)
    }

    private func message(_ response: RepairResponse, wasBroken: Bool) -> String {
        let hasChanged = wasBroken || response.hasChanged
        if !hasChanged, response.lostCount == 0 { return "nothing is damaged" }
        var parts = hasChanged ? ["\(response.mended.count) archives or lists were mended"] : []
        if !response.givenUp.isEmpty { parts.append("\(response.givenUp.count) unusable archives were removed") }
        if response.healedChunks > 0 { parts.append("\(response.healedChunks) chunks were stored again from the sources") }
        let lostSnapshots = response.lostSnapshots.reduce(0) { $0 + ($1.last - $1.first + 1) }
        if lostSnapshots > 0 { parts.append("\(lostSnapshots) snapshots are lost") }
        if response.lostCount > 0 { parts.append("\(response.lostCount) states of files are lost") }
        if response.remarksLost { parts.append("pins and tags are lost: set them again") }
        if !response.isLosing { parts.append("nothing is lost") }
        if hasChanged { parts.append("the next snapshot is a full one") }
        return parts.joined(separator: "; ")
    }
}

extension RepairResponse {
    /// Something was written or removed.
    fileprivate var hasChanged: Bool { !mended.isEmpty || !givenUp.isEmpty || healedChunks > 0 || !lostSnapshots.isEmpty }
}
