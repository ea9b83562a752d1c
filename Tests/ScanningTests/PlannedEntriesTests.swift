// The packed entries of a plan behave as an array of them would.

import Kernel
import Testing

@testable import Scanning

struct PlannedEntriesTests {
    private func entry(_ path: String, size: UInt64 = 0) -> PlannedEntry {
        PlannedEntry(path: Path(path)!, kind: .file, size: size, reading: .content)
    }

    private func packed(_ entries: [PlannedEntry]) -> PlannedEntries {
        var result = PlannedEntries()
        for entry in entries { result.append(entry) }
        return result
    }

    @Test func entriesComeBackAsTheyWereGiven() {
        let entries = ["/", "/a", "/a/b", "/b", "/a/c", "/a.b"].map { entry($0, size: 7) }
        #expect(Array(packed(entries)) == entries)
        #expect(packed(entries).bytesToRead == 42)
        #expect(packed(entries).name(at: 2).elementsEqual("b".utf8))
        var joined = packed(Array(entries[..<3]))
        joined.append(contentsOf: packed(Array(entries[3...])))
        #expect(Array(joined) == entries)
    }

    @Test func treeOrderPutsContentBehindItsDirectory() {
        var entries = packed(["/a.b", "/a/x/y", "/", "/a/x.y", "/a", "/a/x", "/b/c"].map { entry($0) })
        entries.arrange()
        #expect(entries.map(\.path.text) == ["/", "/a", "/a/x", "/a/x/y", "/a/x.y", "/a.b", "/b/c"])
    }

    @Test func ofSeveralAtOnePathTheLastStays() {
        var entries = packed([entry("/a", size: 1), entry("/b/c", size: 2), entry("/a", size: 3), entry("/b/c", size: 4), entry("/a", size: 5)])
        entries.arrange()
        #expect(entries.map(\.size) == [5, 4])
    }

    @Test func positionsAreThoseOfTheTree() {
        var entries = packed(["/a.b", "/a/x/y", "/a/x.y", "/a", "/a/x", "/b/c"].map { entry($0) })
        entries.arrange()
        #expect(entries.indices.allSatisfy { entries.position(of: entries[$0].path) == $0 })
        #expect(entries.position(of: Path("/a/w")!) == nil && entries.position(of: Path("/c")!) == nil)
        var asked: [Path] = []
        let positions = entries.positions(inDirectories: { directory in
            asked.append(directory)
            return directory.text == "/a" || directory.text == "/b"
        })
        #expect(positions.map { entries[$0].path.text } == ["/a/x", "/a/x.y", "/b/c"])
        #expect(asked == asked.sorted() && asked.count == 4)
    }

    @Test func removalTakesNothingElse() {
        var entries = packed(["/a", "/a/b", "/b", "/b/a"].map { entry($0) })
        entries.remove([Path("/a")!, Path("/b/a")!, Path("/c")!])
        #expect(entries.map(\.path.text) == ["/a/b", "/b"])
    }

    @Test func agreesWithSortedArrays() {
        var generator = SystemRandomNumberGenerator()
        let parts = ["a", "b", "a.b", "a b", "é", "zz", "a0"]
        for _ in 0..<200 {
            let entries = (0..<Int.random(in: 0...60, using: &generator)).map { number in
                let depth = Int.random(in: 1...4, using: &generator)
                return entry("/" + (0..<depth).map { _ in parts.randomElement(using: &generator)! }.joined(separator: "/"), size: UInt64(number))
            }
            var latest: [Path: PlannedEntry] = [:]
            for entry in entries { latest[entry.path] = entry }
            let cut = Int.random(in: 0...entries.count, using: &generator)
            var plan = packed(Array(entries[..<cut]))
            plan.append(contentsOf: packed(Array(entries[cut...])))
            plan.arrange()
            #expect(Array(plan) == latest.values.sorted { $0.path < $1.path }, "\(entries.map(\.path))")
        }
    }
}
