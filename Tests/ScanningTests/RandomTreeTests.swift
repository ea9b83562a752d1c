// Seeded random changes to a tree: the known state with the plan applied is what an independent walk finds.

import Archiving
import Encrypting
import Kernel
import Testing
import Tracking

@testable import Scanning

struct RandomTreeTests {
    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func thePlanAppliedIsWhatAWalkFinds(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let settings = ExcludeSettings(patterns: ["*.tmp", "/x1/", "!keep.tmp", "d0/**/x0"], ignoreFiles: [".ignore"])
        let fixture = try Fixture(settings, sources: ["one", "two"])
        for _ in 0..<60 { mutate(fixture, &random) }
        try fixture.take(try fixture.plan())
        try expectSame(fixture, "seed \(seed), first")
        for round in 0..<12 {
            var changes: [Change] = []
            for _ in 0..<(1 + random.below(8)) { changes += mutate(fixture, &random) }
            let scope: ScanScope = random.chance(15) ? .whole : .changes(promoted(changes, &random))
            try fixture.take(try fixture.plan(scope))
            if random.chance(50) { fixture.state.trustOld(before: .now().adding(.milliseconds(-50))) }
            try expectSame(fixture, "seed \(seed), round \(round), \(scope)")
        }
    }

    /// What a watcher would report, now and then with less detail.
    private func promoted(_ changes: [Change], _ random: inout SeededGenerator) -> [Change] {
        changes.map { change in
            guard random.chance(20), let parent = change.path.parent else { return change }
            if change.scope == .entry { return Change(path: parent, scope: random.chance(50) ? .children : .subtree) }
            return Change(path: parent, scope: .subtree)
        }.shuffled(using: &random)
    }

    @discardableResult
    private func mutate(_ fixture: Fixture, _ random: inout SeededGenerator) -> [Change] {
        let tree = fixture.tree
        let known = walk(fixture, includingExcluded: true).keys.sorted()
        let directories = known.filter { (try? FileStatus(of: $0))?.kind == .directory }
        let below = known.filter { path in !fixture.sources.contains(path) }
        let directory = random.pick(directories)
        let target = directory.appending(Array(random.pick(["x0", "x1", "d0", "d1", "a", "b.tmp", "keep.tmp", "é\u{1}", "c"]).utf8))
        let relative = { (path: Path) in String(decoding: path.suffix(below: tree.root), as: UTF8.self) }
        let victim = below.isEmpty ? target : random.pick(below)
        let kind = (try? FileStatus(of: victim))?.kind
        do {
            switch random.below(11) {
            case 0, 1, 2:
                if target.exists { return [] }
                try tree.write(relative(target), String(repeating: "x", count: random.below(5)))
                return [Change(path: target, scope: .entry)]
            case 3:
                if target.exists { return [] }
                try tree.makeDirectory(relative(target) + "/d0")
                try tree.write(relative(target) + "/inner")
                return [Change(path: target, scope: .entry)]
            case 4:
                if target.exists { return [] }
                try tree.makeSymlink(relative(target), to: "nowhere")
                return [Change(path: target, scope: .entry)]
            case 5, 6:
                guard kind == .file else { return [] }
                try tree.write(relative(victim), String(repeating: "y", count: random.below(5)))
                return [Change(path: victim, scope: .entry)] + names(of: victim, known)
            case 7:
                guard kind != nil else { return [] }
                let others = names(of: victim, known)
                try tree.remove(relative(victim))
                return [Change(path: victim, scope: .entry)] + others
            case 8:
                guard kind != nil, !target.isAtOrBelow(victim), !victim.isAtOrBelow(target) else { return [] }
                let others = names(of: victim, known) + names(of: target, known)
                try tree.rename(relative(victim), to: relative(target))
                return [Change(path: victim, scope: .entry), Change(path: target, scope: .subtree)] + others
            case 9:
                guard kind == .file, !target.exists else { return [] }
                try tree.link(relative(victim), as: relative(target))
                return [Change(path: target, scope: .entry)] + names(of: victim, known)
            default:
                let ignore = directory.appending(Array(".ignore".utf8))
                if ignore.exists { try ignore.removeFile() } else { try tree.write(relative(ignore), random.pick(["c\n", "/d1/\n", "!b.tmp\na\n"])) }
                return [Change(path: ignore, scope: .entry)]
            }
        } catch {
            // A step that the tree does not allow, such as a file in place of a full directory.
            return [Change(path: victim, scope: .subtree), Change(path: target, scope: .subtree), Change(path: directory, scope: .subtree)]
        }
    }

    /// All names of the file: a watcher does not report that the number of links changed.
    private func names(of path: Path, _ known: [Path]) -> [Change] {
        guard let status = try? FileStatus(of: path), status.kind != .directory else {
            // A directory goes with all in it, among them names of files that have others elsewhere.
            return known.filter { $0.isBelow(path) }.flatMap { inner in
                (try? FileStatus(of: inner)).map { $0.kind == .directory ? [] : names(of: inner, known) } ?? []
            }
        }
        return known.filter { (try? FileStatus(of: $0))?.inode == status.inode }.map { Change(path: $0, scope: .entry) }
    }

    // MARK: An independent walk

    private struct Seen: Equatable {
        var kind: FileKind
        var mode: UInt16
        var modified: Timestamp
        var changed: Timestamp
        var inode: UInt64
        var links: UInt32
        var size: UInt64
        var content: [UInt8]
    }

    private func walk(_ fixture: Fixture, includingExcluded: Bool = false) -> [Path: Seen] {
        var result: [Path: Seen] = [:]
        var pending = fixture.sources
        while let path = pending.popLast() {
            guard let status = try? FileStatus(of: path) else { continue }
            let verdict = fixture.rules.verdict(for: path, kind: status.kind) { try? $0.readFile() }
            if verdict.isExcluded, !includingExcluded { continue }
            let digest = status.kind == .file ? ((try? path.readFile()).map { $0.isEmpty ? [] : SHA256.digest(of: $0).bytes } ?? []) : []
            result[path] = Seen(
                kind: status.kind, mode: status.mode, modified: status.modified, changed: status.changed, inode: status.inode,
                links: status.links, size: status.kind == .directory ? 0 : status.size, content: digest)
            if status.kind == .directory { pending += ((try? DirectoryStream.names(in: path)) ?? []).map { path.appending($0) } }
        }
        return result
    }

    private func expectSame(_ fixture: Fixture, _ comment: String) throws {
        let walked = walk(fixture)
        let recorded = fixture.state.entries.mapValues {
            Seen(
                kind: $0.kind, mode: $0.mode, modified: $0.modified, changed: $0.changed, inode: $0.inode, links: $0.links,
                size: $0.kind == .directory ? 0 : $0.size, content: $0.content.chunks.first?.digest.bytes ?? [])
        }
        for path in Set(walked.keys).union(recorded.keys).sorted() where walked[path] != recorded[path] {
            Issue.record("\(comment): \(path) is \(String(describing: walked[path])), recorded as \(String(describing: recorded[path]))")
        }
    }
}

extension MemoryState {
    /// Clears the doubt about files whose times lie before `moment`.
    fileprivate mutating func trustOld(before moment: Timestamp) {
        for (path, entry) in entries where max(entry.modified, entry.changed) < moment { change(path) { $0.marks.remove(.racy) } }
    }
}
