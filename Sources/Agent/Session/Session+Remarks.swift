// Pins and tags: remarks about snapshots, kept in archives of kind `record`, each of which holds all that are valid after it.

internal import Archiving
internal import Cataloging
package import Controlling
internal import Kernel
internal import Scanning
internal import Storing

extension Session {
    /// Adds or removes a pin or tag, and makes it durable.
    ///
    /// - Throws: `AgentError.noSnapshot`; `StorageError`: the remarks are as before.
    package func remark(_ request: RemarkRequest) throws -> MessageResponse {
        guard let row = try catalog.snapshot(request.snapshot) else { throw AgentError.noSnapshot("\(request.snapshot)") }
        let text = Array(request.text.utf8)
        let number = request.snapshot
        switch request.action {
        case .pin:
            if row.isPinned { return MessageResponse(message: "snapshot \(number) is pinned already") }
            try write { $0.append(Remark(kind: .pin, snapshot: number, text: text)) }
            return MessageResponse(message: "snapshot \(number) is pinned: rotation keeps it")
        case .unpin:
            guard row.isPinned else { return MessageResponse(message: "snapshot \(number) is not pinned") }
            try write { $0.removeAll { $0.kind == .pin && $0.snapshot == number } }
            return MessageResponse(message: "snapshot \(number) is not pinned any more")
        case .tag:
            if text.isEmpty { throw AgentError.usage("a tag has at least one character") }
            if row.tags.contains(text) { return MessageResponse(message: "snapshot \(number) has this tag already") }
            try write { $0.append(Remark(kind: .tag, snapshot: number, text: text)) }
            return MessageResponse(message: "snapshot \(number) is tagged \(printable(text))")
        case .untag:
            try write { $0.removeAll { $0.kind == .tag && $0.snapshot == number && $0.text == text } }
            return MessageResponse(message: "snapshot \(number) has not that tag any more")
        }
    }

    /// Publishes a record archive with the remarks after `change`; then the one before it is superseded and goes.
    private func write(_ change: (inout [Remark]) -> Void) throws {
        var remarks = try self.remarks()
        change(&remarks)
        let older = try catalog.archives(of: .record).map(\.archive)
        let pool = try SealingPool(key: key, workers: 1)
        defer { pool.shutDown() }
        let writer = try ArchiveWriter(storage: storage, number: try nextArchiveNumber(), repository: repository.id, pool: pool)
        let published = try writer.finish(
            kind: .record, time: now().milliseconds, replaces: older.map(\.name.number), recordHead: older.last?.name.digest,
            remarks: remarks, highestSnapshot: try highestSnapshot())
        try readBack(published)
        try catalog.record(archive: published.stored, contents: published.contents)
        markReadBack(published, .deep)
        remember { $0.highestArchive = max($0.highestArchive, published.stored.name.number) }
        // While another process reads, they stay until the next record is written: superseded, and harmless.
        guard let removal = try repository.lockForRemoval() else { return }
        defer { removal.release() }
        try catalog.forget(older.map(\.name.number))
        _ = try unlink(older)
    }

    /// All that are valid, as the catalog knows them.
    func remarks() throws -> [Remark] {
        try catalog.snapshots().flatMap { row in
            row.pins.map { Remark(kind: .pin, snapshot: row.number, text: $0) } + row.tags.map { Remark(kind: .tag, snapshot: row.number, text: $0) }
        }
    }

    /// Writes the record archive again, as the catalog knows it: under the newest key, or in the place of one that is damaged or lost.
    /// Remarks on snapshots that are gone are left out.
    func rewriteRemarks() throws {
        try write { _ in }
    }

    /// What a request for a snapshot is answered, with the tag that it asked for.
    package func response(to request: SnapshotRequest, _ outcome: SnapshotOutcome) throws -> SnapshotResponse {
        guard let row = try outcome.record.flatMap({ try catalog.snapshot($0.number) }) ?? catalog.newest() else {
            throw AgentError.failed(outcome.unavailable.first.map { "\($0.path) \($0.text); there is nothing to take a snapshot of" } ?? "there is nothing to take a snapshot of")
        }
        if let tag = request.tag { _ = try remark(RemarkRequest(action: .tag, snapshot: row.number, text: tag)) }
        let isNew = outcome.record != nil
        let statistics = row.record.statistics
        let missing = outcome.unavailable.map { PathProblem(path: "\($0.path)", reason: $0.text + "; its last known content stays") }
        return SnapshotResponse(
            taken: isNew, number: row.number, kind: row.kind.text, time: Timestamp(milliseconds: row.time).iso8601,
            entriesChanged: isNew ? statistics.entriesChanged : 0, bytesAdded: isNew ? statistics.bytesAdded : 0,
            message: isNew ? "snapshot \(row.number) taken" : "nothing has changed since snapshot \(row.number)",
            problems: missing + outcome.problems)
    }
}
