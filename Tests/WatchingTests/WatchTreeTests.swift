// The tree of watches against a plain model of it.

import Kernel
import Testing

@testable import Watching

struct WatchTreeTests {
    static let source = Path(unchecked: Array("home/u".utf8))

    static func tree(_ paths: [(Int32, Int32, String)]) -> WatchTree {
        var tree = WatchTree(sources: [source])
        _ = tree.insertRoot(1, source: 0, identity: 0)
        for (watch, parent, name) in paths { _ = tree.insert(watch, parent, name) }
        return tree
    }

    @Test func pathsAreMadeOfTheNamesAboveThem() {
        let tree = WatchTreeTests.tree([(2, 1, "a"), (3, 2, "b")])
        #expect(tree.path(of: 1)?.text == "/home/u")
        #expect(tree.path(of: 3)?.text == "/home/u/a/b")
        #expect(tree.path(of: 4) == nil)
        #expect(tree.find(WatchTreeTests.source.appending("a/b".utf8)) == 3)
        #expect(tree.find(WatchTreeTests.source.appending("a/c".utf8)) == nil)
    }

    @Test func rootDirectoryAsASourceHasNoDoubleSlash() {
        var tree = WatchTree(sources: [.root])
        _ = tree.insertRoot(5, source: 0, identity: 0)
        _ = tree.insert(6, 5, "etc")
        _ = tree.insert(7, 6, "ssh")
        #expect(tree.path(of: 5)?.text == "/")
        #expect(tree.path(of: 7)?.text == "/etc/ssh")
    }

    @Test func renameCarriesEverythingBelow() {
        var tree = WatchTreeTests.tree([(2, 1, "a"), (3, 2, "b"), (4, 3, "c"), (5, 1, "z")])
        tree.detach(2)
        #expect(tree.path(of: 4)?.text == "/home/u/a/b/c")
        #expect(tree.child(1, "a") == nil)
        let isAttached = tree.attach(2, 5, "new")
        #expect(isAttached)
        #expect(tree.path(of: 4)?.text == "/home/u/z/new/b/c")
        #expect(tree.child(5, "new") == 2)
    }

    @Test func directoryNeverComesBelowItself() {
        var tree = WatchTreeTests.tree([(2, 1, "a"), (3, 2, "b")])
        let results = [tree.attach(2, 3, "x"), tree.attach(2, 2, "x"), tree.attach(1, 3, "x")]
        #expect(results == [false, false, false])
        #expect(tree.path(of: 3)?.text == "/home/u/a/b")
    }

    @Test func insertAtATakenNameGivesTheOldWatches() {
        var tree = WatchTreeTests.tree([(2, 1, "a"), (3, 2, "b")])
        let removed = tree.insert(9, 1, "a")
        #expect(removed.map { Set($0) } == [2, 3])
        #expect(tree.count == 2)
        #expect(tree.child(1, "a") == 9)
        let orphan = tree.insert(10, 77, "x")
        #expect(orphan == nil)
    }

    @Test func removalTakesDetachedChildrenAlong() {
        var tree = WatchTreeTests.tree([(2, 1, "a"), (3, 2, "b")])
        tree.detach(3)
        let removed = Set(tree.remove(2))
        #expect(removed == [2, 3])
        #expect(tree.count == 1)
        #expect(tree.path(of: 3) == nil)
    }

    @Test func sweepRemovesWhatWasNotSeenAgain() {
        var tree = WatchTreeTests.tree([(2, 1, "a"), (3, 2, "b"), (4, 1, "c")])
        tree.beginEpoch()
        tree.mark(1)
        tree.mark(4)
        _ = tree.insert(5, 4, "new")
        let removed = Set(tree.sweep())
        #expect(removed == [2, 3])
        #expect(tree.path(of: 5)?.text == "/home/u/c/new")
    }

    /// Many inserts, renames and removals; the plain model keeps a dictionary from watch to parent and name.
    @Test func agreesWithAPlainModel() {
        let seed = UInt64.random(in: 0 ... .max)
        print("WatchTreeTests seed \(seed)")
        var random = SeededRandom(seed: seed)
        var tree = WatchTreeTests.tree([])
        var model: [Int32: (parent: Int32, name: String)] = [:]
        func path(_ watch: Int32) -> String {
            model[watch].map { path($0.parent) + "/" + $0.name } ?? "/home/u"
        }
        func isAtOrBelow(_ watch: Int32, _ ancestor: Int32) -> Bool {
            watch == ancestor || model[watch].map { isAtOrBelow($0.parent, ancestor) } ?? false
        }
        func removeFromModel(_ watch: Int32) -> Set<Int32> {
            let gone = model.keys.filter { isAtOrBelow($0, watch) }
            for each in gone { model[each] = nil }
            return Set(gone)
        }
        var nextWatch: Int32 = 2
        for _ in 0..<6000 {
            let watches = model.keys.sorted()
            let parent = watches.randomElement(using: &random) ?? 1
            let name = String(repeating: "n", count: Int.random(in: 1...40, using: &random)) + "\(random.next() % 50)"
            let taken = model.first { $0.value.parent == parent && $0.value.name == name }?.key
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6 where model.count < 400:
                let gone = taken.map { removeFromModel($0) } ?? []
                let removed = tree.insert(nextWatch, parent, name)
                #expect(removed.map { Set($0) } == gone)
                model[nextWatch] = (parent, name)
                nextWatch += 1
            case 6..<8:
                guard taken == nil, let moved = watches.randomElement(using: &random) else { continue }
                let isPossible = !isAtOrBelow(parent, moved)
                if Bool.random(using: &random), isPossible { tree.detach(moved) }
                let isAttached = tree.attach(moved, parent, name)
                #expect(isAttached == isPossible)
                if isPossible { model[moved] = (parent, name) }
            default:
                guard let victim = watches.randomElement(using: &random) else { continue }
                let removed = Set(tree.remove(victim))
                #expect(removed == removeFromModel(victim))
            }
            #expect(tree.count == model.count + 1)
        }
        for watch in model.keys {
            #expect(tree.path(of: watch)?.text == path(watch), "seed \(seed)")
            #expect(model[watch].flatMap { tree.child($0.parent, $0.name) } == watch, "seed \(seed)")
        }
        let removed = Set(tree.remove(1))
        #expect(removed == Set(model.keys).union([1]))
        #expect(tree.count == 0)
    }

    @Test func tableFindsEveryPairDespiteEqualHashes() {
        var random = SeededRandom(seed: 11)
        var table = IndexTable()
        var model: [Int32: UInt32] = [:]
        for _ in 0..<20_000 {
            let number = Int32.random(in: 0..<500, using: &random)
            if let hash = model.removeValue(forKey: number) {
                table.remove(hash: hash, number)
            } else {
                // Few hashes near the end of the slots: long runs that wrap around.
                let hash = UInt32.random(in: 0..<8, using: &random) &+ (Bool.random(using: &random) ? 1020 : 0)
                table.insert(hash: hash, number)
                model[number] = hash
            }
        }
        #expect(table.count == model.count)
        for number in 0..<Int32(500) {
            let found = model[number].flatMap { table.first(hash: $0) { $0 == number } }
            #expect((found != nil) == (model[number] != nil))
        }
    }
}

extension WatchTree {
    mutating func insert(_ watch: Int32, _ parent: Int32, _ name: String) -> [Int32]? {
        Array(name.utf8).withUnsafeBytes { insert(watch, parent: parent, name: $0, identity: 0) }
    }

    mutating func attach(_ watch: Int32, _ parent: Int32, _ name: String) -> Bool {
        Array(name.utf8).withUnsafeBytes { attach(watch, parent: parent, name: $0) }
    }

    func child(_ parent: Int32, _ name: String) -> Int32? {
        Array(name.utf8).withUnsafeBytes { child(of: parent, name: $0) }
    }
}
