// Brings entries of a snapshot back into a directory.
// In: a snapshot, paths, a target.  Out: files, and a report that names everything that is not as it was.
// Invariant: nothing outside the target is touched; nothing that stands there is written through or half replaced: a file
// takes the place of another by rename. A crash leaves whole files, and temporary names that begin with ".auto-backup-".
//
// Steps: directories as they come (mode 0700), files in batches frame by frame, then hard links, symlinks and
// specials, and at last the metadata of directories.

internal import Archiving
package import Cataloging
package import Encrypting
internal import Kernel

package final class Restorer {
    /// A batch ends at so many files, or four times as many chunks: bounds memory, whatever the snapshot's size.
    static let batchLimit = 100_000

    private let catalog: Catalog
    private let request: RestoreRequest
    private let tree: TargetTree
    private let queue: FrameQueue
    private let progress: @Sendable (RestoreProgress) -> Void
    private let isCancelled: @Sendable () -> Bool

    private var admission: EntryAdmission
    private var batch = FileBatch()
    private var written = RestoreProgress()
    private var late: [(place: Path, entry: Entry)] = []
    /// The place of the first name of each file with several.
    private var firstNames: [FileIdentity: Path] = [:]
    private var links: [(place: Path, first: Path)] = []

    private struct Cancellation: Error {}

    /// - Throws: `Errno` when the target cannot be made or opened; nothing else is touched.
    package init(
        _ request: RestoreRequest, catalog: Catalog, shelf: ArchiveShelf, keys: [SecretKey],
        progress: @escaping @Sendable (RestoreProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws {
        self.request = request
        self.catalog = catalog
        self.progress = progress
        self.isCancelled = isCancelled
        admission = EntryAdmission(request.filter)
        // A dry run looks at what is there, and makes nothing.
        let target = request.isDryRun && !request.target.exists ? nil : try TargetDirectory(request.target)
        tree = TargetTree(target, overwrite: request.overwrite, isDryRun: request.isDryRun)
        queue = FrameQueue(shelf: shelf, keys: keys, copies: { try catalog.locations(of: $0) }, isCancelled: isCancelled)
    }

    /// Restores everything that was asked for. A problem with one path is in the report and never ends the rest.
    /// When it is cancelled, whole files stay, nothing is half done, and `cutShort` says it.
    ///
    /// - Throws: `CatalogError` when the snapshot cannot be looked up; what was restored so far stays.
    package func run() throws -> RestoreReport {
        do {
            for selection in request.selections {
                try catalog.forEachEntry(below: selection.path, at: request.snapshot, includingContent: true) { entry in
                    if isCancelled() { throw Cancellation() }
                    for entry in admission.admit(entry) {
                        try take(entry, at: selection.place.appending(path: entry.path.suffix(below: selection.path)))
                    }
                }
            }
            try finishBatch()
            for link in links { tree.makeLink(link.place, to: link.first) }
            for (place, entry) in late { takeLate(entry, at: place) }
        } catch is Cancellation {
            tree.report.cutShort = ExchangeError(.cancelled, "the restore was cancelled", path: request.target)
        }
        tree.finish()
        return tree.report
    }

    /// What there is to restore, each file once: what stands there already counts too, for that is not known before.
    ///
    /// - Throws: `CatalogError` when the snapshot cannot be looked up.
    /// - Complexity: 500,000 entries a second.
    package func total() throws -> RestoreProgress {
        var total = RestoreProgress()
        var admission = EntryAdmission(request.filter)
        var known: Set<FileIdentity> = []
        for selection in request.selections {
            try catalog.forEachEntry(below: selection.path, at: request.snapshot, includingContent: false) { entry in
                for entry in admission.admit(entry) where entry.kind == .file {
                    if let identity = FileIdentity(entry), !known.insert(identity).inserted { continue }
                    total.files += 1
                    total.bytes &+= entry.size
                }
            }
        }
        return total
    }

    private func take(_ entry: Entry, at place: Path) throws {
        guard !tree.isBlocked(place), tree.makeParents(of: place) else { return }
        if entry.kind == .directory { return tree.addDirectory(entry, at: place) }
        let identity = FileIdentity(entry)
        if entry.kind == .file, let identity, let first = firstNames[identity] {
            if case .free = tree.standing(at: place, for: entry) { links.append((place, first)) }
            return
        }
        switch tree.standing(at: place, for: entry) {
        case .taken:
            return
        case .same:
            tree.dress(entry, at: place)
            if let identity { firstNames[identity] = place }
        case .free:
            if entry.kind != .file { return late.append((place, entry)) }
            if let identity { firstNames[identity] = place }
            try takeFile(entry, at: place)
        }
    }

    private func takeFile(_ entry: Entry, at place: Path) throws {
        if request.isDryRun {
            tree.report.files += 1
            tree.report.bytes &+= entry.size
            return
        }
        batch.add(entry, at: place)
        if batch.files.count >= Restorer.batchLimit || batch.chunks.count >= 4 * Restorer.batchLimit { try finishBatch() }
    }

    private func finishBatch() throws {
        guard let target = tree.target, !batch.files.isEmpty else { return }
        let pieces = batch.takePieces(try catalog.locations(of: batch.chunks))
        let writer = FileWriter(
            target: target, metadata: tree.metadata, files: batch.files, doneBefore: written, progress: progress)
        batch = FileBatch()
        writer.begin()
        queue.run(pieces) { pieces, payload in writer.write(pieces, payload) }
        let outcome = writer.finish()
        written = outcome.done
        tree.report.files = written.files
        tree.report.bytes = written.bytes
        tree.add(outcome.problems)
        if isCancelled() { throw Cancellation() }
    }

    private func takeLate(_ entry: Entry, at place: Path) {
        if let identity = FileIdentity(entry) {
            if let first = firstNames[identity] { return tree.makeLink(place, to: first) }
            firstNames[identity] = place
        }
        tree.makeSpecial(entry, at: place)
    }
}

/// What two names of one file have in common. Size and time are there because device numbers change with every boot:
/// what was recorded at different times can have the same numbers by chance.
struct FileIdentity: Hashable {
    private let device: UInt64
    private let inode: UInt64
    private let size: UInt64
    private let modified: Timestamp
    private let kind: FileKind
    private let content: Content
    private let target: [UInt8]
    private let special: DeviceNumber

    /// Nil for a file with one name.
    init?(_ entry: Entry) {
        guard entry.links > 1, entry.kind != .directory else { return nil }
        device = entry.device
        inode = entry.inode
        size = entry.size
        modified = entry.modified
        kind = entry.kind
        content = entry.content
        target = entry.target
        special = entry.special
    }
}

extension Path {
    /// `suffix` is empty or the bytes of a path.
    fileprivate func appending(path suffix: ArraySlice<UInt8>) -> Path {
        suffix.isEmpty ? self : appending(suffix)
    }
}
