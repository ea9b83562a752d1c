// What stands below a directory, with everything that a restore must bring back.

import Encrypting
import Kernel
import Testing

struct TreeListing {
    struct Line: Hashable {
        var kind: FileKind
        var mode: UInt16
        var uid: UInt32
        var gid: UInt32
        var size: UInt64
        var modified: Timestamp
        var links: UInt32
        var special: DeviceNumber
        var digest: Digest?
        var target: [UInt8]
        var attributes: [[UInt8]: [UInt8]]
        /// The first of all names of the same file.
        var firstName: Path
    }

    /// By the path below the directory.
    var lines: [Path: Line] = [:]

    init(_ root: Path) throws {
        var firstNames: [UInt64: Path] = [:]
        var pending: [Path] = [.root]
        while let directory = pending.popLast() {
            let below = directory.bytes.isEmpty ? root : root.appending(directory.bytes)
            for name in try DirectoryStream.names(in: below).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
                let line = directory.appending(name)
                try add(root.appending(line.bytes), as: line)
                if lines[line]?.kind == .directory { pending.append(line) }
            }
        }
        for path in lines.keys.sorted() {
            let inode = try FileStatus(of: root.appending(path.bytes)).inode
            firstNames[inode] = firstNames[inode] ?? path
            lines[path]?.firstName = firstNames[inode] ?? path
        }
    }

    private mutating func add(_ path: Path, as line: Path) throws {
        let status = try FileStatus(of: path)
        let attributes = try ExtendedAttribute.all(ofUnopened: path)
        let place = try Descriptor.ofParent(of: path)
        lines[line] = Line(
            kind: status.kind, mode: status.mode, uid: status.uid, gid: status.gid,
            size: status.kind == .directory ? 0 : status.size, modified: status.modified,
            links: status.kind == .directory ? 1 : status.links, special: status.special,
            digest: status.kind == .file ? SHA256.digest(of: try path.readFile(limit: 1 << 30)) : nil,
            target: status.kind == .symlink ? try place.readSymlink(path.name.map { CChar(bitPattern: $0) } + [0]) : [],
            attributes: Dictionary(uniqueKeysWithValues: attributes.map { ($0.name, $0.value) }), firstName: line)
    }

    /// In words, one for each path.
    func differences(from other: TreeListing) -> [String] {
        Set(lines.keys).union(other.lines.keys).sorted().compactMap { path in
            let (left, right) = (lines[path], other.lines[path])
            return left == right ? nil : "\(path): \(left.map { "\($0)" } ?? "missing"), not \(right.map { "\($0)" } ?? "missing")"
        }
    }

    func without(_ kind: FileKind) -> TreeListing {
        var result = self
        result.lines = lines.filter { $0.value.kind != kind }
        return result
    }
}

/// Expects that the tree at `restored` is that at `original`, in everything.
func expectSame(
    _ restored: Path, _ original: Path, except kind: FileKind? = nil, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    var expected = try TreeListing(original)
    if let kind { expected = expected.without(kind) }
    #expect(!expected.lines.isEmpty, sourceLocation: sourceLocation)
    #expect(try TreeListing(restored).differences(from: expected) == [], sourceLocation: sourceLocation)
}
