// Events of marked directories, in the words of inotify.

import Kernel
import Testing
import Tracking

@testable import Watching

struct MarkTableTests {
    typealias Event = (kinds: Inotify.Events, directory: UInt8?, name: String, target: (directory: UInt8, name: String)?)
    struct Said: Equatable {
        var watch: Int32
        var kinds: Inotify.Events
        var name: String
        var isPaired = false
    }

    static func handle(_ number: UInt8) throws -> FileHandle {
        try #require([number, 0, 0, 0].withUnsafeBytes { FileHandle(fileSystem: 1, type: 1, bytes: $0) })
    }

    /// Directory 1 has number 1, directory 2 number 2.
    private func translated(_ events: [Event], _ table: inout MarkTable) throws -> [Said] {
        if table.count == 0 { for number in 1...2 as ClosedRange<UInt8> { _ = table.add(try MarkTableTests.handle(number)) } }
        var result: [Said] = []
        for event in events {
            let directory = try event.directory.map(MarkTableTests.handle)
            let target = try event.target.map { (try MarkTableTests.handle($0.directory), Array($0.name.utf8)) }
            Array(event.name.utf8).withUnsafeBytes { name in
                (target?.1 ?? []).withUnsafeBytes { newName in
                    let place = target.map { ($0.0, newName) }
                    table.translate(FanotifyEvent(kinds: event.kinds, directory: directory, name: name, target: place)) { event in
                        result.append(
                            Said(
                                watch: event.watch, kinds: event.kinds, name: String(decoding: event.name, as: UTF8.self),
                                isPaired: event.cookie != 0))
                    }
                }
            }
        }
        return result
    }

    private func translated(_ events: Event...) throws -> [Said] {
        var table = MarkTable()
        return try translated(events, &table)
    }

    @Test func whatHappenedToAFileIsSaidAtOnce() throws {
        let kinds: Inotify.Events = [.created, .modified, .closedAfterWriting, .deleted]
        #expect(try translated((kinds, 1, "file", nil)) == [Said(watch: 1, kinds: kinds, name: "file")])
    }

    @Test func renameIsAPair() throws {
        #expect(
            try translated(([.renamed], 1, "a", (2, "b"))) == [
                Said(watch: 1, kinds: .movedFrom, name: "a", isPaired: true), Said(watch: 2, kinds: .movedTo, name: "b", isPaired: true),
            ])
    }

    /// What happened to the old name later may have been added to an event before this one.
    @Test func whereADirectoryWasIsLookedAt() throws {
        #expect(
            try translated(([.renamed, .isDirectory], 1, "a", (2, "b"))) == [
                Said(watch: 1, kinds: [.movedFrom, .isDirectory], name: "a", isPaired: true),
                Said(watch: 2, kinds: [.movedTo, .isDirectory], name: "b", isPaired: true),
                Said(watch: 1, kinds: [.created, .isDirectory], name: "a"),
            ])
        #expect(try translated(([.deleted, .isDirectory], 1, "a", nil)).last == Said(watch: 1, kinds: [.created, .isDirectory], name: "a"))
    }

    @Test func halfOfARenameIsEnough() throws {
        #expect(try translated(([.renamed], 1, "a", nil)).map(\.kinds) == [.movedFrom])
        #expect(try translated(([.renamed], nil, "", (2, "b"))).map(\.kinds) == [.movedTo])
        #expect(try translated(([.renamed], 9, "a", (2, "b"))).map(\.kinds) == [.movedTo])
    }

    @Test func manyThingsAtOnceEndWithALook() throws {
        let kinds: Inotify.Events = [.created, .deleted, .movedFrom, .movedTo, .isDirectory]
        #expect(
            try translated((kinds, 1, "a", nil)).map(\.kinds) == [
                [.movedFrom, .isDirectory], [.deleted, .isDirectory], [.created, .movedTo, .isDirectory],
            ])
    }

    @Test func endOfADirectoryIsTheEndOfItsNumber() throws {
        var table = MarkTable()
        let said = try translated([([.selfDeleted, .attributes, .isDirectory], 2, "", nil), ([.modified], 2, "late", nil)], &table)
        #expect(said.map(\.kinds) == [[.selfDeleted, .attributes, .isDirectory], .ignored])
        #expect(table.count == 1)
        #expect(table.add(try MarkTableTests.handle(2)) == 3, "a new one")
    }

    @Test func strangersAreSilentButForTheirMode() throws {
        #expect(try translated(([.modified], 9, "file", nil), ([.selfMoved, .isDirectory], 9, "", nil)).isEmpty)
        #expect(try translated(([.attributes, .isDirectory], 9, "", nil)).map(\.watch) == [MarkTable.stranger])
    }

    @Test func overflowIsHandedOn() throws {
        #expect(try translated((.overflowed, nil, "", nil)) == [Said(watch: -1, kinds: .overflowed, name: "")])
    }

    @Test func numbersAreFoundAgainAndNeverGivenTwice() throws {
        var table = MarkTable()
        var given: [Int32] = []
        for round in 0..<3 {
            for number in 0..<200 as Range<UInt8> { given.append(table.add(try MarkTableTests.handle(number))) }
            for number in 0..<200 as Range<UInt8> {
                #expect(table.number(of: try MarkTableTests.handle(number)) == given[round * 200 + Int(number)])
            }
            #expect(table.numbers { _ in true } == Set(given.suffix(200)))
            for number in given.suffix(200) { table.remove(number) }
            #expect(table.count == 0)
        }
        #expect(Set(given).count == 600)
    }

    /// Process 1 makes a directory, process 2 removes it, process 1 makes it again: the kernel adds the last to the first, and what was
    /// watched when the first was read loses its watch by the second.
    @Test func directoryThatIsMadeAgainIsLookedAtAfterItsRemoval() throws {
        var table = MarkTable()
        var state = WatchStateTests.state()
        var outcome = EventOutcome()
        _ = table.add(try MarkTableTests.handle(1))
        try Array("a".utf8).withUnsafeBytes { name in
            table.translate(FanotifyEvent(kinds: [.deleted, .isDirectory], directory: try MarkTableTests.handle(1), name: name)) {
                state.apply($0, to: &outcome)
            }
        }
        #expect(state.tree.child(1, "a") == nil)
        #expect(WatchStateTests.attached(outcome) == ["1/a"])
    }
}
