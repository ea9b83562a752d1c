// What a tree of files is, as a plain dictionary: what the model of a repository is made of.
// In: a directory, or a snapshot.  Out: an equal value for equal trees.

import Agent
import Archiving
import Cataloging
import Encrypting
import Kernel
import Restoring
import Storing

struct TreeState: Equatable {
    struct Line: Hashable {
        var kind: FileKind
        var mode: UInt16
        var modified: Timestamp
        /// Of a file.
        var size: UInt64
        /// Of a file's content.
        var digest: Digest?
        var target: [UInt8]
        /// Tells names of one file.
        var inode: UInt64
        var links: UInt32
    }

    var lines: [Path: Line] = [:]

    init() {}

    /// What stands at and below a directory now.
    init(at root: Path) throws {
        var pending = [root]
        while let path = pending.popLast() {
            let status = try FileStatus(of: path)
            lines[path] = try Line(status, path)
            if status.kind == .directory { pending += try DirectoryStream.names(in: path).map { path.appending($0) } }
        }
    }

    /// In words, the first of them.
    func differences(from other: TreeState) -> [String] {
        Set(lines.keys).union(other.lines.keys).sorted().compactMap { path in
            let (left, right) = (lines[path], other.lines[path])
            return left == right ? nil : "\(path): \(left.map { "\($0)" } ?? "missing"), not \(right.map { "\($0)" } ?? "missing")"
        }
    }

    mutating func remove(below path: Path) { lines = lines.filter { !$0.key.isAtOrBelow(path) } }

    /// What a restore elsewhere can bring back: names of one file by the first of them, paths from `root` on.
    func restorable(below root: Path) -> [Path: RestoredLine] {
        var first: [UInt64: Path] = [:]
        var result: [Path: RestoredLine] = [:]
        for path in lines.keys.sorted() where path.isAtOrBelow(root) {
            guard let line = lines[path] else { continue }
            let place = Path(unchecked: Array(path.suffix(below: root)))
            var name = place
            if line.kind != .directory {
                name = first[line.inode] ?? place
                first[line.inode] = name
            }
            result[place] = RestoredLine(
                kind: line.kind, mode: line.mode, modified: line.modified, digest: line.digest, target: line.target, firstName: name)
        }
        return result
    }
}

struct RestoredLine: Hashable {
    var kind: FileKind
    var mode: UInt16
    var modified: Timestamp
    var digest: Digest?
    var target: [UInt8]
    var firstName: Path
}

extension TreeState.Line {
    init(_ status: FileStatus, _ path: Path) throws {
        kind = status.kind
        mode = status.mode
        modified = status.modified
        inode = status.inode
        size = status.kind == .file ? status.size : 0
        digest = status.kind == .file ? SHA256.digest(of: try path.readFile()) : nil
        target = status.kind == .symlink ? try Descriptor.ofParent(of: path).readSymlink(path.name.map { CChar(bitPattern: $0) } + [0]) : []
        links = status.kind == .directory ? 1 : status.links
    }

    init(_ entry: Entry, digest: Digest?) {
        kind = entry.kind
        mode = entry.mode
        modified = entry.modified
        inode = entry.inode
        size = entry.kind == .file ? entry.size : 0
        self.digest = digest
        target = entry.target
        links = entry.kind == .directory ? 1 : entry.links
    }
}

/// Reads every snapshot back through the archives, each content once.
struct SnapshotReader {
    private let session: Session
    private var content: ContentReader
    private var digests: [Content: Digest?] = [:]

    init(_ session: Session) throws {
        self.session = session
        let names = Dictionary(try session.catalog.archives().map { ($0.archive.name.number, $0.archive.name) }, uniquingKeysWith: { $1 })
        let shelf = ArchiveShelf { number in
            guard let name = names[number] else { throw StorageError(.missing, "archive \(number) is missing", at: session.repository.path) }
            return try session.reader(of: name)
        }
        content = try ContentReader(catalog: session.catalog, shelf: shelf, keys: session.keys)
    }

    /// A file whose content cannot be read has no digest.
    mutating func state(of snapshot: UInt64) throws -> TreeState {
        var state = TreeState()
        var entries: [Entry] = []
        try session.catalog.forEachEntry(below: .root, at: snapshot, includingContent: true) { entries.append($0) }
        try readContents(of: entries)
        for entry in entries { state.lines[entry.path] = .init(entry, digest: entry.kind == .file ? digest(of: entry) : nil) }
        return state
    }

    /// In the order of the archives, so that each frame is decoded once.
    private mutating func readContents(of entries: [Entry]) throws {
        let unread = entries.filter { $0.kind == .file && !$0.content.chunks.isEmpty && digests[$0.content] == nil }
        let places = try session.catalog.locations(of: unread.map { $0.content.chunks[0] })
            .map { ($0?.archive ?? 0, $0?.frame ?? 0) }
        for (entry, _) in zip(unread, places).sorted(by: { $0.1 < $1.1 }) { _ = digest(of: entry) }
    }

    private mutating func digest(of entry: Entry) -> Digest? {
        if let known = digests[entry.content] { return known }
        var hasher = SHA256Hasher()
        let isRead = (try? content.forEachPiece(of: entry) { hasher.update($0) }) != nil
        let digest = isRead ? hasher.finish() : nil
        digests[entry.content] = .some(digest)
        return digest
    }
}
