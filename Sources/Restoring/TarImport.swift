// Restores the entries of a tar stream below a target.
// In: the stream's bytes, which may be hostile, in pieces.  Out: files, links, directories; the report of the tree.
// Invariant: a path that leads out of the target is named and left out; nothing is written through what stands there,
// be it a symlink that the same stream made before.

internal import Archiving
internal import Kernel

final class TarImport {
    let tree: TargetTree
    /// True when an entry has come.
    private(set) var hasBegun = false
    private let target: TargetDirectory
    private let progress: (RestoreProgress) -> Void
    private var reader = TarReader()
    private var file: IncomingFile?
    /// Of a file above it, progress is told at each multiple.
    private static let progressStep: UInt64 = 16 << 20

    /// - Throws: `Errno` when the target cannot be made or opened.
    init(to path: Path, overwrite: RestoreRequest.Overwrite, progress: @escaping (RestoreProgress) -> Void) throws(Errno) {
        target = try TargetDirectory(path)
        tree = TargetTree(target, overwrite: overwrite)
        self.progress = progress
    }

    /// Takes the next piece.
    ///
    /// - Throws: `ArchiveError` for what is no tar. What is whole so far is restored.
    func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        var position = 0
        while let event = try reader.next(in: bytes, at: &position) {
            switch event {
            case .entry(let entry):
                hasBegun = true
                take(entry)
            case .content(let range):
                takeContent(UnsafeRawBufferPointer(rebasing: bytes[range]))
            case .end:
                return
            }
        }
    }

    /// The end of the stream.
    ///
    /// - Throws: `truncated` when the end of the tar file has not come.
    func finish() throws(ArchiveError) {
        try reader.finish()
    }

    /// To be called in any case: an unfinished file goes, and the directories get their metadata.
    func end() -> RestoreReport {
        if let file {
            tree.fail(file.place, "the archive ends within its content")
            self.file = nil
        }
        tree.finish()
        return tree.report
    }

    private func take(_ entry: TarEntry) {
        do throws(ArchiveError) {
            let place = try entry.snapshotPath()
            guard !tree.isBlocked(place), tree.makeParents(of: place) else { return }
            if let entry = try entry.snapshotEntry() {
                take(entry, at: place)
            } else {
                takeLink(place, to: try entry.linkedPath(), of: entry)
            }
        } catch {
            tree.fail(.root, error.reason)
        }
    }

    private func take(_ entry: Entry, at place: Path) {
        if entry.kind == .directory { return tree.addDirectory(entry, at: place) }
        guard case .free = tree.standing(at: place, for: entry) else { return }
        if entry.kind != .file { return tree.makeSpecial(entry, at: place) }
        do throws(Errno) {
            file = try IncomingFile(entry, at: place, in: target)
        } catch {
            return tree.fail(place, "it cannot be written: \(error)")
        }
        if entry.size == 0 { completeFile() }
    }

    /// Its header repeats the metadata of its file, except the size.
    private func takeLink(_ place: Path, to first: Path, of entry: TarEntry) {
        var present = Entry(path: place, kind: .file, mode: entry.mode, modified: entry.modified)
        present.size = (try? target.status(of: first))?.size ?? 0
        if case .free = tree.standing(at: place, for: present) { tree.makeLink(place, to: first) }
    }

    private func takeContent(_ bytes: UnsafeRawBufferPointer) {
        // Nil for a file that is left out.
        guard let file else { return }
        let before = file.written / TarImport.progressStep
        do throws(Errno) {
            try file.write(bytes)
        } catch {
            tree.fail(file.place, "it cannot be written: \(error)")
            return self.file = nil
        }
        if file.remaining == 0 { return completeFile() }
        if file.written / TarImport.progressStep != before {
            progress(RestoreProgress(files: tree.report.files, bytes: tree.report.bytes + file.written))
        }
    }

    private func completeFile() {
        guard let file else { return }
        self.file = nil
        do throws(Errno) {
            try file.complete(tree.metadata)
        } catch {
            return tree.fail(file.place, "it cannot be written: \(error)")
        }
        tree.report.files += 1
        tree.report.bytes += file.entry.size
        progress(RestoreProgress(files: tree.report.files, bytes: tree.report.bytes))
    }
}
