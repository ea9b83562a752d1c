// Removes paths from all of history: from every manifest that lists them, and the content that only they had.
// In: paths.  Out: the same snapshots without them.
// Invariant: what is to be purged is remembered until it is done, so that a crash, or a catalog that is made anew in between, does not
// leave half of it: no command shows it from then on, and the next run begins again. Everything else stays restorable at every moment.

internal import Archiving
internal import Cataloging
package import Controlling
package import Kernel
internal import Rotating
internal import Storing

package struct PurgeRun {
    private let session: Session

    package init(session: Session) {
        self.session = session
    }

    /// - Parameter paths: Each with everything below it. None to finish what an earlier run began.
    /// - Throws: `AgentError.failed` when no kept snapshot has any of them, or while another process reads; `StorageError`, `CatalogError`:
    ///   it is gone on with at the next start.
    package func run(_ paths: [Path]) throws -> MessageResponse {
        try session.checkRollback()
        try session.catchUp()
        if try session.isBroken { throw AgentError.failed("nothing is purged while archives are missing or cannot be used; see: watchctl repair") }
        let begun = session.record.purging.map { Path(unchecked: $0) }
        for path in paths where try !begun.contains(path) && session.catalog.versionCount(below: path) == 0 {
            throw AgentError.failed("no kept snapshot has \(path)")
        }
        let all = begun + paths.filter { !begun.contains($0) }
        var freed = Freed()
        // What an earlier run left undone: the catalog forgets the paths before their lists are written.
        var snapshots = Set(session.record.purgingSnapshots).intersection(try session.catalog.snapshots().map(\.number))
        for path in all { snapshots.formUnion(try session.catalog.snapshotsListing(below: path)) }
        try session.rememberForSure { record in
            record.purging = all.map(\.bytes)
            record.purgingSnapshots = snapshots.sorted()
        }
        let consolidator = try session.consolidator()
        for path in all { try session.catalog.purge(below: path) }
        let needed = try session.neededChunks()
        // The newest first: a manifest names what its parent has and it has not.
        for number in snapshots.sorted(by: >) {
            let isStandalone = try session.catalog.snapshot(number)?.record.isStandalone ?? false
            let replacement = try consolidator.merge(MergeGroup(dropped: [], into: number), needed, .purge, takesData: isStandalone)
            guard let replaced = try session.replace(consolidator, with: replacement) else { throw PurgeRun.readerThere }
            freed += replaced
        }
        freed += try rewriteContent(consolidator, needed)
        _ = try session.catalog.pruneChunks()
        // Only then is it forgotten: neither the catalog nor an archive from before comes back after a power cut.
        try session.catalog.makeDurable()
        try session.storage.makeRemovalsDurable()
        session.remember { record in
            record.purging = []
            record.purgingSnapshots = []
        }
        return MessageResponse(
            message: "purged from \(snapshots.count) snapshots; \(freed.archives) archives were rewritten")
    }

    /// Archives whose manifests did not list the paths may still hold their content.
    private func rewriteContent(_ consolidator: Consolidator, _ needed: NeededChunks) throws -> Freed {
        var freed = Freed()
        for row in try session.catalog.archives() where row.archive.name.kind != .record {
            let usage = try session.catalog.usage(of: row.archive.name.number, needed: needed)
            if usage.liveBytes == usage.bytes { continue }
            if let snapshot = row.snapshot {
                let replacement = try consolidator.merge(MergeGroup(dropped: [], into: snapshot), needed, .purge)
                guard let replaced = try session.replace(consolidator, with: replacement) else { throw PurgeRun.readerThere }
                freed += replaced
            } else {
                let evacuation = try consolidator.evacuate(row.archive, needed, .purge)
                if let damage = evacuation.damage.first { throw damage }
                guard let removed = try session.removeData([row.archive], needed) else { throw PurgeRun.readerThere }
                freed += removed
            }
        }
        return freed
    }

    private static let readerThere = AgentError.failed(
        "another process is reading the repository; what is left is purged at the next start of the daemon, or by the same command")
}

extension Session {
    /// A catalog from before a crash, or one that was made anew from archives, shows again what is being purged.
    ///
    /// - Throws: `CatalogError`; `AgentError.failed` when it cannot be remembered which lists are to be written anew: nothing is forgotten then.
    func forgetPurged() throws {
        let paths = record.purging.map { Path(unchecked: $0) }
        guard try paths.contains(where: { try catalog.versionCount(below: $0) > 0 }) else { return }
        var snapshots = Set(record.purgingSnapshots)
        for path in paths { snapshots.formUnion(try catalog.snapshotsListing(below: path)) }
        try rememberForSure { $0.purgingSnapshots = snapshots.sorted() }
        for path in paths { try catalog.purge(below: path) }
    }
}
