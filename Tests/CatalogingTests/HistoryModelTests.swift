// Random histories against a model that keeps every snapshot's whole tree in memory.
// After any sequence of changes, full manifests and merges the catalog answers as the model does, and so does a second
// catalog that is rebuilt from the manifests of the first.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

@testable import Cataloging

private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    // SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

private typealias Tree = [Path: Entry]

private final class History {
    let fixture: CatalogFixture
    var random: Seeded
    /// Kept snapshots.
    var states: [UInt64: Tree] = [:]
    var newest: UInt64 = 0
    let names: [[UInt8]] = [Array("a".utf8), Array("a-".utf8), Array("b".utf8), [0xFF], Array("a0".utf8)]

    init(seed: UInt64) throws {
        random = Seeded(state: seed)
        fixture = try CatalogFixture()
    }

    var numbers: [UInt64] { states.keys.sorted() }

    private func randomPath() -> Path {
        var result = Path.root
        for _ in 0..<Int.random(in: 1...4, using: &random) { result = result.appending(names.randomElement(using: &random)!) }
        return Int.random(in: 0..<40, using: &random) == 0 ? .root : result
    }

    private func randomEntry(_ path: Path) -> Entry {
        switch Int.random(in: 0..<5, using: &random) {
        case 0, 1:
            return Entry(path: path, kind: .directory, mode: UInt16.random(in: 0o700...0o702, using: &random))
        case 2:
            var link = Entry(path: path, kind: .symlink, mode: 0o777)
            link.target = names.randomElement(using: &random)!
            return link
        default:
            let chunks = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                Chunk(digest: digest("chunk \(Int.random(in: 0..<60, using: &random))"), length: 100)
            }
            var file = Entry(
                path: path, kind: .file, mode: 0o644, uid: UInt32.random(in: 0...2, using: &random), content: Content(chunks: chunks))
            file.userName = Bool.random(using: &random) ? Array("me".utf8) : []
            return file
        }
    }

    /// The newest tree with a few random changes; now and then a directory goes without what is below it.
    private func changed(_ tree: Tree) -> Tree {
        var tree = tree
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            let isKnown = Int.random(in: 0..<3, using: &random) == 0
            let path = (isKnown ? tree.keys.sorted().randomElement(using: &random) : nil) ?? randomPath()
            let keepsBelow = Int.random(in: 0..<4, using: &random) == 0
            if Int.random(in: 0..<3, using: &random) == 0 {
                tree[path] = nil
                if !keepsBelow { tree = tree.filter { !$0.key.isBelow(path) } }
            } else {
                let entry = randomEntry(path)
                tree[path] = entry
                if entry.kind != .directory && !keepsBelow { tree = tree.filter { !$0.key.isBelow(path) } }
            }
        }
        return tree
    }

    func takeSnapshot() throws {
        let old = states[newest] ?? [:]
        let tree = changed(old)
        let isFull = newest == 0 || Int.random(in: 0..<5, using: &random) == 0
        let isComplete = isFull && Bool.random(using: &random)
        let records = isComplete ? sorted(tree).map { ManifestRecord.upsert($0) } : differences(old, tree)
        let used = Set(tree.values.flatMap { $0.content.chunks.map(\.digest) }).sorted()
        let known = try used.map { try fixture.catalog.isStored($0) }
        let new = zip(used, known).filter { !$0.1 }.map(\.0)
        let stored = new.enumerated().map { StoredChunk(digest: $1, frame: 0, offset: UInt32($0) * 100, length: 100) }
        let record = fixture.snapshotRecord(newest + 1, parent: newest == 0 ? nil : newest)
        let (archive, contents) = fixture.archive(isFull ? .full : .incremental, chunks: stored, snapshot: record)
        try fixture.catalog.record(
            snapshot: archive, contents: contents, mode: isComplete ? .completeManifest : .changes, records: feed(records))
        newest += 1
        states[newest] = tree
    }

    /// Drops a random run of snapshots, with the records that a consolidation would write.
    func merge() throws {
        let numbers = numbers
        guard numbers.count > 2 else { return }
        let start = Int.random(in: 0..<numbers.count - 1, using: &random)
        let end = Int.random(in: start + 1..<min(numbers.count, start + 5), using: &random)
        let before = start == 0 ? nil : numbers[start - 1]
        let into = numbers[end]
        let removed = try numbers[start...end].map { try #require(try fixture.catalog.snapshot($0)).archive }
        let expected = differences(before.map { states[$0] ?? [:] } ?? [:], states[into] ?? [:])
        #expect(try fixture.changes(from: before, to: into) == expected)
        let dropped = Array(numbers[start..<end])
        let references = try fixture.catalog.references(kept: numbers.filter { !dropped.contains($0) }, dropping: [dropped])
        let needed = NeededChunks(references, merging: 0)
        let moved = try removed.flatMap { try fixture.catalog.chunks(in: $0, needed: needed) }.filter { $0.isNeeded && $0.isPrimary }
        let stored = moved.enumerated().map { StoredChunk(digest: $1.digest, frame: 1, offset: UInt32($0) * 100, length: $1.length) }
        let record = fixture.snapshotRecord(into, parent: before, coversFrom: numbers[start])
        let (archive, contents) = fixture.archive(before == nil ? .full : .incremental, chunks: stored, snapshot: record)
        try fixture.catalog.replace(
            MergeRecord(dropped: dropped, into: into, archive: archive, contents: contents, removedArchives: removed), needed: needed)
        for number in dropped { states[number] = nil }
    }

    func check(_ catalog: CatalogFixture) throws {
        let archives = Set(try fixture.catalog.archives().map(\.archive.name.number))
        #expect(try catalog.catalog.snapshots().map(\.number) == numbers)
        for (number, tree) in states {
            #expect(try catalog.entries(at: number) == sorted(tree))
            let below = randomPath()
            #expect(try catalog.entries(at: number, below: below) == sorted(tree.filter { $0.key.isAtOrBelow(below) }))
            let listed = try catalog.catalog.children(of: below, at: number)
            #expect(listed.map(\.entry.path) == children(below, tree))
            for item in listed { #expect(item.isImplicit == (tree[item.entry.path] == nil)) }
            for entry in tree.values {
                #expect(try catalog.catalog.entry(entry.path, at: number) == entry)
                for location in try fixture.catalog.locations(of: entry.content.chunks) {
                    #expect(archives.contains(try #require(location).archive))
                }
            }
        }
        #expect(try catalog.catalog.liveDescendants(of: .root) == sorted(states[newest] ?? [:]).map(\.path).filter { !$0.isRoot })
        for path in Set(states.values.flatMap(\.keys)) { #expect(try catalog.catalog.history(of: path) == versions(of: path)) }
        try checkFinding(catalog.catalog)
        try checkDifferences(catalog.catalog)
        try catalog.catalog.checkIntegrity()
    }

    /// Names are chosen before their entries are made; of all snapshots together each path comes once.
    private func checkFinding(_ catalog: Catalog) throws {
        let wanted = names.randomElement(using: &random)!
        let below = randomPath()
        let choice: Catalog.Choice = { name, directory, isDirectory in
            #expect(directory.isEmpty || directory.last == UInt8(ascii: "/"))
            return name.elementsEqual(wanted) && !isDirectory
        }
        for (number, tree) in states {
            var found: [Path] = []
            try catalog.forEachEntry(below: below, at: number, includingContent: false, where: choice) { found.append($0.path) }
            let expected = tree.values.filter { $0.path.isAtOrBelow(below) && $0.path.name.elementsEqual(wanted) && $0.kind != .directory }
            #expect(found == expected.map(\.path).sorted())
        }
        var known: [Path] = []
        try catalog.forEachKnownPath(below: below, where: { name, _, _ in name.elementsEqual(wanted) }) { path in
            if try !catalog.datedHistory(of: path).isEmpty { known.append(path) }
        }
        let expected = Set(states.values.flatMap(\.keys)).filter { $0.isBelow(below) && $0.name.elementsEqual(wanted) }
        #expect(known == expected.sorted())
    }

    private func checkDifferences(_ catalog: Catalog) throws {
        let pair = [numbers.randomElement(using: &random)!, numbers.randomElement(using: &random)!].sorted()
        guard pair[0] < pair[1], let old = states[pair[0]], let new = states[pair[1]] else { return }
        var found: [PathDifference] = []
        try catalog.forEachDifference(from: pair[0], to: pair[1]) { found.append($0) }
        let expected = Set(old.keys).union(new.keys).sorted().filter { old[$0] != new[$0] }
        #expect(found.map(\.path) == expected)
        for difference in found {
            var (before, after) = (old[difference.path], new[difference.path])
            #expect(difference.isSameContent == (before.map(\.content) == after.map(\.content)))
            before?.content = .empty
            after?.content = .empty
            #expect(difference.old == before)
            #expect(difference.new == after)
        }
    }

    /// A second catalog, from the records that the archives of the kept snapshots would hold.
    func rebuilt() throws -> CatalogFixture {
        let result = try CatalogFixture()
        var before: UInt64?
        for number in numbers {
            let (archive, contents) = result.archive(
                before == nil ? .full : .incremental, snapshot: result.snapshotRecord(number, parent: before))
            try result.catalog.record(
                snapshot: archive, contents: contents, mode: before == nil ? .completeManifest : .changes,
                records: feed(try fixture.changes(from: before, to: number)))
            before = number
        }
        return result
    }

    private func sorted(_ tree: Tree) -> [Entry] {
        tree.values.sorted { $0.path < $1.path }
    }

    private func differences(_ old: Tree, _ new: Tree) -> [ManifestRecord] {
        Set(old.keys).union(new.keys).sorted().compactMap { path in
            if let entry = new[path] { return entry == old[path] ? nil : .upsert(entry) }
            return .deletion(path)
        }
    }

    private func children(_ path: Path, _ tree: Tree) -> [Path] {
        let below = tree.keys.filter { $0.isBelow(path) }
        return Set(below.map { path.appending($0.suffix(below: path).prefix { $0 != UInt8(ascii: "/") }) }).sorted()
    }

    private func versions(of path: Path) -> [VersionRow] {
        var result: [VersionRow] = []
        for number in numbers {
            let entry = states[number]?[path]
            if let last = result.last, last.until == nil {
                if last.entry == entry { continue }
                result[result.count - 1].until = number
            }
            if let entry { result.append(VersionRow(first: number, until: nil, entry: entry)) }
        }
        return result
    }
}

struct HistoryModelTests {
    @Test(arguments: 1...12)
    func randomHistoriesAreAnsweredAsTheModelDoes(seed: UInt64) throws {
        // The seed is the test's argument, and so part of any failure.
        let history = try History(seed: seed)
        for _ in 0..<6 {
            for _ in 0..<Int.random(in: 1...7, using: &history.random) { try history.takeSnapshot() }
            try history.check(history.fixture)
            try history.merge()
            try history.merge()
            try history.check(history.fixture)
        }
        try history.check(try history.rebuilt())
    }
}
