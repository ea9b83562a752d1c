// Mends a repository that lost archives or whose archives are damaged.
// In: what verification found, or a reading of everything.  Out: sound archives in the place of damaged ones; what is lost, by name.
//   1. whole frames of a damaged archive are brought into new archives
//   2. manifests that are damaged or gone are written again, as the catalog knows them
//   3. chunks that are nowhere any more are looked for in the sources: the same path, the same digest
//   4. the damaged archives go, and the next snapshot is a full one
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
        if scope == .everything {
            _ = try VerificationRun(session: session, progress: progress, isCancelled: isCancelled).run(VerifyRequest(depth: .data))
        }
        var response = RepairResponse(mended: [], givenUp: [], healedChunks: 0, lost: [], lostCount: 0, message: "")
        let damaged = try damagedArchives()
        let wasBroken = try session.isBroken || !damaged.isEmpty
        let consolidator = try session.consolidator()
        for archive in damaged {
            if isCancelled() { throw AgentError.interrupted }
            try mend(archive, consolidator, &response)
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

// MARK: Damaged archives

extension RepairRun {
    private func mend(_ archive: StoredArchive, _ consolidator: Consolidator, _ response: inout RepairResponse) throws {
        let catalog = session.catalog
        let row = try catalog.archives([archive.name.number]).first { $0.archive.name == archive.name }
        try bringOut(archive, isKnown: row != nil, consolidator)
        if let snapshot = row?.snapshot {
            try catalog.lose([archive.name.number])
            try writeManifest(of: snapshot, consolidator)
        } else if row?.archive.name.kind == .data {
            try catalog.lose([archive.name.number])
        } else if archive.name.kind == .record {
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
        if isKnown, (try? session.reader(of: archive.name)) != nil {
            _ = try consolidator.evacuate(archive, try session.neededChunks(), .move)
            return
        }
        // Its contents cannot be read: frame after frame, as far as they are whole.
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
            if row.record.coversFrom > before + 1, row.kind == .full { try writeManifest(of: row.number, consolidator) }
            before = row.number
        }
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
            if wasBroken || response.healedChunks > 0 {
                record.mustBeFull = true
                record.lastRepair = .init(time: now, archives: mended.count, chunks: response.healedChunks)
            }
        }
        response.message = message(response, wasBroken: wasBroken)
    }

    private func message(_ response: RepairResponse, wasBroken: Bool) -> String {
        if !wasBroken, response.healedChunks == 0, response.lostCount == 0 { return "nothing is damaged" }
        var parts = ["\(response.mended.count) archives or lists were mended"]
        if !response.givenUp.isEmpty { parts.append("\(response.givenUp.count) unusable archives were removed") }
        if response.healedChunks > 0 { parts.append("\(response.healedChunks) chunks were stored again from the sources") }
        parts.append(response.lostCount == 0 ? "nothing is lost" : "\(response.lostCount) states of files are lost")
        return parts.joined(separator: "; ") + "; the next snapshot is a full one"
    }
}
