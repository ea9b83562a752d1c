// A known state in memory: what a catalog would say after the snapshots that a test took.

import Archiving
import Kernel
import Tracking

@testable import Cataloging
@testable import Scanning

struct MemoryState: KnownState {
    private(set) var entries: [Path: Entry] = [:]
    var sources: [Path] = []
    /// What happens while a scan has come to a directory.
    var whenListed: (@Sendable (Path) throws -> Void)?
    private var rows: [Path: Int64] = [.root: 1]
    private var paths: [Int64: Path] = [1: .root]
    private var children: [Path: [Path]] = [:]

    init() {}

    mutating func apply(_ upserts: [Entry], _ deletions: [Path], sources: [Path]) {
        for path in deletions { entries[path] = nil }
        for entry in upserts { entries[entry.path] = entry }
        self.sources = sources
        index()
    }

    /// As if all of it had been read long after it was written.
    mutating func trustEverything() {
        for path in entries.keys { entries[path]?.marks.remove(.racy) }
    }

    mutating func change(_ path: Path, _ body: (inout Entry) -> Void) {
        guard var entry = entries[path] else { return }
        body(&entry)
        entries[path] = entry
    }

    private mutating func index() {
        children = [:]
        for path in entries.keys {
            guard var parent = path.parent else { continue }
            children[parent, default: []].append(path)
            while rows[parent] == nil {
                rows[parent] = Int64(rows.count + 1)
                paths[Int64(rows.count)] = parent
                parent = parent.parent ?? .root
            }
        }
        for (path, entry) in entries where entry.kind == .directory && rows[path] == nil {
            rows[path] = Int64(rows.count + 1)
            paths[Int64(rows.count)] = path
        }
        for path in children.keys { children[path]?.sort { $0.name.lexicographicallyPrecedes($1.name) } }
    }

    func liveSources() throws -> [Path] { sources }
    func node(of path: Path) throws -> NodeID? { rows[path].map { NodeID(directory: $0) } }

    func liveChildren(of node: NodeID) throws -> [KnownChild] {
        guard let path = paths[node.directory] else { return [] }
        try whenListed?(path)
        return try (children[path] ?? []).map {
            let status = try liveStatus($0)!
            return KnownChild(name: Array($0.name), node: status.kind == .directory ? try self.node(of: $0) : nil, status: status)
        }
    }

    func liveStatus(_ path: Path) throws -> KnownStatus? {
        entries[path].map {
            KnownStatus(
                kind: $0.kind, mode: $0.mode, uid: $0.uid, gid: $0.gid, size: $0.size, modified: $0.modified,
                changed: $0.changed, device: $0.device, inode: $0.inode, links: $0.links, marks: $0.marks)
        }
    }

    func liveEntry(_ path: Path) throws -> Entry? { entries[path] }

    func liveNames(ofInode inode: UInt64, device: UInt64?) throws -> [Path] {
        entries.values.filter { $0.inode == inode && $0.kind != .directory && (device == nil || $0.device == device) }
            .map(\.path).sorted()
    }

    func liveOrphans(below sources: [Path]) throws -> [Path] {
        entries.keys.filter { path in
            sources.contains { path.isBelow($0) } && path.parent.map { entries[$0]?.kind != .directory } ?? false
        }.sorted()
    }
}

/// A source in a temporary directory, the rules for it, and what the snapshots taken so far know.
final class Fixture {
    let tree: TemporaryTree
    var settings: ExcludeSettings
    var sources: [Path]
    var ownPaths: [Path] = []
    var state = MemoryState()
    var workers = 2

    init(_ settings: ExcludeSettings = ExcludeSettings(), sources: [String] = ["src"]) throws {
        tree = try TemporaryTree()
        self.settings = settings
        self.sources = sources.map { [tree] in tree.path($0) }
        for source in sources { try tree.makeDirectory(source) }
    }

    var rules: ExcludeRules { ExcludeRules(settings: settings, sources: sources, home: nil, ownPaths: ownPaths) }

    func plan(_ scope: ScanScope = .whole, _ rereading: Rereading = .whatDiffers) throws -> SnapshotPlan {
        try Scanner(state: state, rules: rules, rereading: rereading, workers: workers, priority: .normal).plan(scope)
    }

    func plan(_ first: (String, Change.Scope), _ rest: (String, Change.Scope)...) throws -> SnapshotPlan {
        try plan(.changes(([first] + rest).map { Change(path: tree.path($0.0), scope: $0.1) }))
    }

    /// Reads what is planned and takes it into the known state.
    @discardableResult
    func take(_ plan: SnapshotPlan) throws -> [Entry] {
        let reader = FileReader(state: state, sources: sources)
        let entries = try plan.upserts.map { try reader.read($0) { _, _, _, _ in }.entry }
        state.apply(entries, plan.deletions, sources: sources)
        return entries
    }

    /// A first snapshot whose files are all beyond doubt.
    func takeFirst() throws {
        try take(try plan())
        state.trustEverything()
    }

    /// Paths relative to the tree.
    func upserts(_ plan: SnapshotPlan) -> [String] { names(plan.upserts.map(\.path)) }
    func deletions(_ plan: SnapshotPlan) -> [String] { names(plan.deletions) }

    func names(_ paths: [Path]) -> [String] { paths.map(relative) }

    func relative(_ path: Path) -> String { String(decoding: path.suffix(below: tree.root), as: UTF8.self) }
}
