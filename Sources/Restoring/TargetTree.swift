// What is made below a target, apart from the content of files: directories, links, special files.
// In: entries and their places.  Out: the tree, and the report.
// Invariant: nothing that stands there is written through: it stays, or a new thing takes its place by rename. Directories
// are made with mode 0700 and get their metadata last, the deepest first, for each new name changes the time of its directory.

internal import Archiving
internal import Kernel

final class TargetTree {
    /// Nil when this is a dry run and the target does not exist yet.
    let target: TargetDirectory?
    let metadata = MetadataRestorer()
    var report = RestoreReport()
    private let overwrite: RestoreRequest.Overwrite
    private let isDryRun: Bool
    private var directories: [Path: Entry] = [:]
    /// Directories that were made because something is below them, before they came themselves, if they do.
    private var parents: Set<Path> = []
    /// Places where what was to be restored is not.
    private var absent: Set<Path> = []
    /// A place that cannot be descended into, for something else stands there and stays.
    private var blocked: Path?
    private var latestParent: Path?

    /// What stands at the place of an entry that is not a directory.
    enum Standing {
        /// Nothing, or what will be replaced.
        case free
        /// What is to be restored, as far as size and time tell.
        case same
        /// What stays; the report says so.
        case taken
    }

    init(_ target: TargetDirectory?, overwrite: RestoreRequest.Overwrite, isDryRun: Bool = false) {
        self.target = target
        self.overwrite = overwrite
        self.isDryRun = isDryRun
    }

    /// The entry at `place` is not restored.
    func fail(_ place: Path, _ reason: String) {
        report.problems.append(RestoreProblem(place: place, reason: reason, isLoss: true))
        absent.insert(place)
    }

    func add(_ problems: [RestoreProblem]) {
        for problem in problems { fail(problem.place, problem.reason) }
    }

    func isBlocked(_ place: Path) -> Bool {
        blocked.map { place.isAtOrBelow($0) } ?? false
    }

    func standing(at place: Path, for entry: Entry) -> Standing {
        guard let target else { return .free }
        do throws(Errno) {
            guard let present = try target.status(of: place) else { return .free }
            if present.kind == .directory {
                // An empty one can go without loss.
                if overwrite != .never, removeEmptyDirectory(place, in: target) { return .free }
                fail(place, "a directory stands there")
                return .taken
            }
            switch overwrite {
            case .always:
                return .free
            case .changed:
                let isSame = present.kind == entry.kind && present.size == entry.size && present.modified == entry.modified
                return isSame ? .same : .free
            case .never:
                report.skipped.append(place)
                absent.insert(place)
                return .taken
            }
        } catch {
            fail(place, "its place cannot be looked at: \(error)")
            return .taken
        }
    }

    /// Gives what stands there already the metadata of `entry`, whose content it has.
    func dress(_ entry: Entry, at place: Path) {
        guard let target, !isDryRun else { return }
        do throws(Errno) {
            if entry.kind == .file {
                let file = try target.open(place, [.read, .noFollow, .nonBlocking])
                // Setting what is set already would still move the change time.
                if try metadata.isDressed(entry, file) { return }
                metadata.apply(entry, at: place, to: file)
                metadata.applyFlags(of: entry, at: place, to: file)
            } else {
                metadata.apply(entry, at: place, to: NamedEntry(TargetDirectory.name(place.name), in: try target.directory(ofParent: place)))
            }
        } catch {
            metadata.shortfalls.add("its metadata cannot be set: \(error)", at: place)
        }
    }

    private func removeEmptyDirectory(_ place: Path, in target: TargetDirectory) -> Bool {
        guard !isDryRun, !place.isRoot, let parent = try? target.directory(place.parent ?? .root) else { return false }
        return (try? parent.remove(TargetDirectory.name(place.name), .directory)) != nil
    }

    /// Makes the directories above `place` that are missing.
    ///
    /// - Returns: False when there can be none; the report says so, once for all that is below.
    func makeParents(of place: Path) -> Bool {
        guard let target, !isDryRun, let parent = place.parent, parent != latestParent else { return true }
        do throws(Errno) {
            do throws(Errno) {
                _ = try target.directory(parent)
            } catch .noSuchFileOrDirectory {
                parents.formUnion(try target.makeDirectories(parent))
            }
            latestParent = parent
            return true
        } catch {
            let cause = error == .tooManySymbolicLinkLevels ? "a symlink stands on the way, and is not followed" : "\(error)"
            fail(parent, "nothing can be restored into this directory: \(cause)")
            blocked = parent
            return false
        }
    }

    func addDirectory(_ entry: Entry, at place: Path) {
        do throws(Errno) {
            if let target, let present = try target.status(of: place) {
                if present.kind == .directory {
                    report.directories += 1
                    // One that was there keeps its metadata unless replacing was asked for.
                    let isOwn = directories[place] != nil || parents.contains(place)
                    if overwrite != .never && !place.isRoot || isOwn { directories[place] = entry }
                    return
                }
                if overwrite == .never {
                    report.skipped.append(place)
                    blocked = place
                    return
                }
                if !isDryRun { try target.directory(ofParent: place).remove(TargetDirectory.name(place.name)) }
            }
            if let target, !isDryRun {
                try target.directory(ofParent: place).makeDirectory(TargetDirectory.name(place.name), mode: 0o700)
                directories[place] = entry
            }
            report.directories += 1
        } catch {
            fail(place, "the directory cannot be made: \(error)")
            blocked = place
        }
    }

    /// A second name for what was restored at `first`.
    func makeLink(_ place: Path, to first: Path) {
        guard let target, !isDryRun else { return report.others += 1 }
        if absent.contains(first) { return fail(place, "it is another name of \(first), which is not restored") }
        do throws(Errno) {
            let from = try target.directory(ofParent: first)
            let to = try target.directory(ofParent: place)
            try replacing(place, in: to) { name throws(Errno) in try from.link(TargetDirectory.name(first.name), as: name, in: to) }
            report.others += 1
        } catch {
            fail(place, "it cannot be linked to \(first): \(error)")
        }
    }

    /// A symlink, FIFO, socket or device.
    func makeSpecial(_ entry: Entry, at place: Path) {
        guard let target, !isDryRun else { return report.others += 1 }
        do throws(Errno) {
            let directory = try target.directory(ofParent: place)
            try replacing(place, in: directory) { name throws(Errno) in
                if entry.kind == .symlink {
                    try directory.makeSymlink(name, target: entry.target)
                } else {
                    try directory.makeSpecial(name, kind: entry.kind, mode: entry.mode & 0o700, device: entry.special)
                }
            }
            metadata.apply(entry, at: place, to: NamedEntry(TargetDirectory.name(place.name), in: directory))
            report.others += 1
        } catch {
            fail(place, "it cannot be made: \(error)")
        }
    }

    /// Makes something under its own name, or where another thing stands under a temporary one, and renames it into place.
    private func replacing(
        _ place: Path, in directory: borrowing Descriptor, _ make: ([CChar]) throws(Errno) -> Void
    ) throws(Errno) {
        let name = TargetDirectory.name(place.name)
        do throws(Errno) {
            try make(name)
        } catch .fileExists where overwrite != .never {
            let temporary = TemporaryName.make()
            try make(temporary)
            // After a successful rename of two names of one file, which does nothing, the temporary one is still there.
            defer { try? directory.remove(temporary) }
            try directory.rename(temporary, to: name, in: directory)
        }
    }

    /// The last step: what would have stood in the way of the others, and what is to be said once.
    func finish() {
        guard let target, !isDryRun else { return }
        metadata.seal(in: target)
        for place in directories.keys.sorted(by: >) {
            guard let entry = directories[place] else { continue }
            do throws(Errno) {
                let directory = try target.open(place, [.read, .directory, .noFollow])
                metadata.apply(entry, at: place, to: directory)
                metadata.applyFlags(of: entry, at: place, to: directory)
            } catch {
                metadata.shortfalls.add("its metadata cannot be set: \(error)", at: place)
            }
        }
        directories = [:]
        report.problems += metadata.shortfalls.take()
        report.ownersNotSet = metadata.ownersNotSet
    }
}

/// Names of unfinished files: they begin with ".auto-backup-", so that a person knows what a crash left.
enum TemporaryName {
    static func prefix() -> [UInt8] {
        Array(".auto-backup-\(String(UInt64.random(in: 0 ... .max), radix: 36))-".utf8)
    }

    static func make() -> [CChar] { TargetDirectory.name((prefix() + [UInt8(ascii: "0")])[...]) }
}
