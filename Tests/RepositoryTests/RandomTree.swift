// A source that someone works in: files come, grow, change, move, are linked, and go.
// In: a generator.  Out: a changed tree; the same changes for the same seed.
// Contents are pieces of one pool of noise, so that files share chunks without being equal.

import Kernel
import Testing

struct RandomTree {
    let root: Path
    private let pool: [UInt8]
    private static let poolSize = 2 << 20

    init(_ root: Path, seed: UInt64) {
        self.root = root
        pool = noise(RandomTree.poolSize, seed: seed)
    }

    /// One to eight changes.
    func change(_ generator: inout SeededGenerator) throws {
        for _ in 0..<Int.random(in: 1...8, using: &generator) { try changeOnce(&generator) }
    }

    private func changeOnce(_ generator: inout SeededGenerator) throws {
        let all = try paths()
        let files = all.filter { $0.kind == .file }.map(\.path)
        let directories = [root] + all.filter { $0.kind == .directory }.map(\.path)
        guard let file = files.randomElement(using: &generator), let directory = directories.randomElement(using: &generator) else {
            return try write(newPlace(in: root, &generator), &generator)
        }
        switch Int.random(in: 0..<22, using: &generator) {
        case 0..<6: try write(newPlace(in: directory, &generator), &generator)
        case 6..<9: try edit(file, &generator)
        case 9: try truncate(file, &generator)
        case 10, 11: try file.removeFile()
        case 12: try remove(directory, among: all)
        case 13, 14: try newPlace(in: directory, &generator).makeDirectories(mode: 0o755)
        case 15: try move(all.map(\.path).randomElement(using: &generator) ?? file, into: directory, &generator)
        case 16: try copy(file, to: newPlace(in: directory, &generator))
        case 17: try symlink(newPlace(in: directory, &generator), to: file.name)
        case 18: try link(file, as: newPlace(in: directory, &generator))
        case 19: try setMode(file, [0o600, 0o640, 0o755, 0o604].randomElement(using: &generator) ?? 0o600)
        case 20: try touch(file, Int64.random(in: -1000...2_000_000_000, using: &generator))
        default: if all.count > 60 { try remove(directory, among: all) }
        }
    }

    private func paths() throws -> [(path: Path, kind: FileKind)] {
        var result: [(path: Path, kind: FileKind)] = []
        var pending = [root]
        while let directory = pending.popLast() {
            for name in try DirectoryStream.names(in: directory).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
                let path = directory.appending(name)
                let kind = try FileStatus(of: path).kind
                result.append((path, kind))
                if kind == .directory { pending.append(path) }
            }
        }
        return result
    }

    private func newPlace(in directory: Path, _ generator: inout SeededGenerator) -> Path {
        var name = Array("\(["a", "bee", "c.txt", "d d", "e.log"].randomElement(using: &generator) ?? "a")\(Int.random(in: 0..<40, using: &generator))".utf8)
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: name += [0xFF, 0xFE]
        case 1: name += [0x0A, 0x22]
        default: break
        }
        return directory.appending(name)
    }
}

// MARK: Single changes

extension RandomTree {
    private func write(_ path: Path, _ generator: inout SeededGenerator) throws {
        if let kind = try? FileStatus(of: path).kind, kind != .file { return }
        let size = switch Int.random(in: 0..<10, using: &generator) {
        case 0: 0
        case 1..<7: Int.random(in: 1...4000, using: &generator)
        case 7, 8: Int.random(in: 60_000...250_000, using: &generator)
        default: Int.random(in: 300_000...700_000, using: &generator)
        }
        // Few places to begin at, so that contents come again.
        let start = Int.random(in: 0..<12, using: &generator) * 100_000
        try path.replaceFile(with: Array(pool[start..<start + size]), mode: 0o644, .atomic)
    }

    private func edit(_ path: Path, _ generator: inout SeededGenerator) throws {
        let file = try Descriptor.open(path, [.readWrite])
        let size = try file.status().size
        let offset = UInt64.random(in: 0...size, using: &generator)
        let start = Int.random(in: 0..<RandomTree.poolSize - 3000, using: &generator)
        let bytes = Array(pool[start..<start + Int.random(in: 1...3000, using: &generator)])
        try file.seek(to: offset)
        try file.write(bytes)
    }

    private func truncate(_ path: Path, _ generator: inout SeededGenerator) throws {
        let file = try Descriptor.open(path, [.readWrite])
        // Beyond its end it gets a hole.
        try file.truncate(to: UInt64.random(in: 0...(file.status().size + 100_000), using: &generator))
    }

    private func remove(_ directory: Path, among all: [(path: Path, kind: FileKind)]) throws {
        if directory == root { return }
        for (path, kind) in all.reversed() where path.isAtOrBelow(directory) && kind != .directory { try path.removeFile() }
        let directories = all.filter { $0.kind == .directory && $0.path.isAtOrBelow(directory) }.map(\.path)
        for path in directories.sorted(by: >) { try Descriptor.ofParent(of: path).remove(name(path), .directory) }
    }

    private func move(_ path: Path, into directory: Path, _ generator: inout SeededGenerator) throws {
        let target = newPlace(in: directory, &generator)
        if target.isAtOrBelow(path) || target.exists { return }
        try Descriptor.ofParent(of: path).rename(name(path), to: name(target), in: Descriptor.ofParent(of: target))
    }

    private func copy(_ path: Path, to target: Path) throws {
        if target.exists { return }
        try target.replaceFile(with: try path.readFile(), mode: 0o600, .atomic)
    }

    private func symlink(_ path: Path, to target: ArraySlice<UInt8>) throws {
        if path.exists { return }
        try Descriptor.ofParent(of: path).makeSymlink(name(path), target: Array(target))
    }

    private func link(_ path: Path, as target: Path) throws {
        if target.exists { return }
        try Descriptor.ofParent(of: path).link(name(path), as: name(target), in: Descriptor.ofParent(of: target))
    }

    private func setMode(_ path: Path, _ mode: UInt16) throws { try Descriptor.open(path, [.read]).setMode(mode) }

    private func touch(_ path: Path, _ seconds: Int64) throws {
        try Descriptor.open(path, [.read]).setModified(Timestamp(seconds: seconds, nanoseconds: 123_456_789))
    }

    private func name(_ path: Path) -> [CChar] { path.name.map { CChar(bitPattern: $0) } + [0] }
}
