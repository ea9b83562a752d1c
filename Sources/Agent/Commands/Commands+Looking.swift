// What a person can ask about the past, the space and the next snapshot. Nothing is changed, and no daemon is asked.
// In: paths, the catalog, the sources.  Out: versions of a path, sums, what a snapshot would take.

internal import Archiving
package import Cataloging
package import Controlling
package import Kernel
internal import Scanning
internal import Storing

/// A version of a path, and what sets it apart from the one before.
package struct PathVersion: Hashable, Sendable {
    package var version: DatedVersion
    /// `new` for one that follows nothing or a deletion.
    package var changed: [String]
    /// True when the path was gone before this one.
    package var followsDeletion: Bool
}

/// What the next snapshot would take.
package struct SnapshotPreview: Hashable, Sendable {
    package enum Letter: String, Codable, Sendable {
        case added = "A"
        case modified = "M"
        case deleted = "D"
    }

    package struct Change: Hashable, Sendable {
        package var letter: Letter
        package var path: Path
    }

    /// The snapshot that everything is compared with; nil before the first.
    package var base: UInt64?
    package var added: UInt64 = 0
    package var modified: UInt64 = 0
    package var deleted: UInt64 = 0
    /// Files that are read again because their metadata cannot tell, and may turn out equal. They are among `modified`.
    package var uncertain: UInt64 = 0
    package var bytesToRead: UInt64 = 0
    /// The first of them, in tree order.
    package var first: [Change] = []
    /// What could not be looked at; its last known content stays.
    package var problems: [PathProblem] = []

    static let shown = 20
}

extension Commands {
    /// Every version of a path that a kept snapshot shows, the oldest first.
    ///
    /// - Throws: `AgentError.failed` when none shows it.
    package func history(_ path: Path) throws -> [PathVersion] {
        let versions = try openForReading().catalog.datedHistory(of: path)
        if versions.isEmpty { throw AgentError.failed("\(path) is in no snapshot that is kept") }
        var result: [PathVersion] = []
        for version in versions {
            let before = result.last?.version
            let isContinued = before?.until?.snapshot == version.first.snapshot
            let changed = before.flatMap { isContinued ? EntryDifference.names(from: $0.entry, to: version.entry) : nil } ?? ["new"]
            result.append(PathVersion(version: version, changed: changed, followsDeletion: before != nil && !isContinued))
        }
        return result
    }

    /// Where the space of the repository goes.
    ///
    /// - Complexity: O(versions + entries): a few seconds for a million entries.
    package func statistics() throws -> StatisticsReport { try StatisticsReport(openForReading().catalog) }

    /// Compares all of the sources with the newest snapshot, as a snapshot would.
    ///
    /// - Throws: `AgentError.rolledBack`, `.interrupted`.
    package func preview(
        _ request: SnapshotRequest, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> SnapshotPreview {
        let session = try openForReading()
        try session.checkRollback()
        let rereading: Rereading = request.rehash || request.standalone ? .everything : .whatDiffers
        let plan: SnapshotPlan
        do {
            plan = try Scanner(state: session.catalog, rules: installation.rules, rereading: rereading).plan(.whole, isCancelled: isCancelled)
        } catch is ScanCancelled {
            throw AgentError.interrupted
        }
        return try SnapshotPreview(plan, session.catalog)
    }
}

extension SnapshotPreview {
    fileprivate init(_ plan: SnapshotPlan, _ catalog: Catalog) throws {
        base = try catalog.newest()?.number
        deleted = UInt64(plan.deletions.count)
        bytesToRead = plan.upserts.bytesToRead
        for planned in plan.upserts {
            // Before the first snapshot the catalog need not be asked.
            let known = base == nil ? nil : try catalog.liveStatus(planned.path)
            if known == nil { added += 1 } else { modified += 1 }
            if let known, known.mayBeRestored(as: planned) { uncertain += 1 }
            if first.count < SnapshotPreview.shown { first.append(Change(letter: known == nil ? .added : .modified, path: planned.path)) }
        }
        first += plan.deletions.prefix(SnapshotPreview.shown).map { Change(letter: .deleted, path: $0) }
        first = Array(first.sorted { $0.path < $1.path }.prefix(SnapshotPreview.shown))
        problems = plan.problems.map(PathProblem.init)
            + plan.unavailable.map { PathProblem(path: "\($0.path)", reason: $0.reason.text + "; its last known content stays") }
    }
}

extension KnownStatus {
    /// True when only a reading of the content can tell that it differs: nothing else that a restore brings back does.
    func mayBeRestored(as planned: PlannedEntry) -> Bool {
        guard planned.reading == .compareContent, let status = try? FileStatus(of: planned.path) else { return false }
        return mode == status.mode && uid == status.uid && gid == status.gid && links == status.links && size == status.size
            && modified == status.modified
    }
}

/// What differs between two states of one path, in short words.
enum EntryDifference {
    /// Never empty: where nothing that a restore brings back differs, `status`.
    static func names(from old: Entry, to new: Entry) -> [String] {
        if old.kind != new.kind { return ["type"] }
        var result: [String] = []
        func note(_ name: String, _ differs: Bool) { if differs { result.append(name) } }
        note("content", old.content != new.content || new.kind == .file && old.size != new.size)
        note("target", old.target != new.target)
        note("device", old.special != new.special)
        note("mode", old.mode != new.mode)
        note("owner", old.uid != new.uid || old.userName != new.userName)
        note("group", old.gid != new.gid || old.groupName != new.groupName)
        note("mtime", old.modified != new.modified)
        note("attributes", old.attributes != new.attributes)
        note("flags", old.inodeFlags != new.inodeFlags)
        note("links", new.kind != .directory && old.links != new.links)
        // Another file of the same name, as editors make it that write anew and rename.
        note("inode", old.inode != new.inode)
        return result.isEmpty ? ["status"] : result
    }
}
