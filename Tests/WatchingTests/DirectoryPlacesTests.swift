// What events of a whole file system mean, without a kernel: the orders that are too rare to bring about.

import Kernel
import Testing
import Tracking

@testable import Watching

struct DirectoryPlacesTests {
    /// Directories with their handles, and what the kernel would say of them.
    final class FileSystem {
        var paths: [UInt8: String] = [:]
        var errors: [UInt8: Errno] = [:]
        var tooDeep: Set<UInt8> = []
        var asked = 0

        func locate(_ handle: FileHandle) throws(Errno) -> Location {
            asked += 1
            guard let number = (0...255).first(where: { DirectoryPlacesTests.handle($0) == handle }) else { return .gone }
            if let error = errors[number] { throw error }
            guard let text = paths[number], let path = Path(text) else { return .gone }
            return tooDeep.contains(number) ? .below([path]) : .at([path])
        }
    }

    static func handle(_ number: UInt8) -> FileHandle? {
        [number].withUnsafeBytes { FileHandle(fileSystem: 1, type: 1, bytes: $0) }
    }

    let fileSystem = FileSystem()

    init() {
        fileSystem.paths = [1: "/real/s", 2: "/real/s/a", 3: "/real/s/a/deep", 4: "/real", 5: "/elsewhere", 6: "/real/s/cache/in"]
    }

    /// The source /s, which stands at /real/s.
    static func places(capacity: Int = 100) -> DirectoryPlaces {
        DirectoryPlaces(
            roots: [.init(source: Path(unchecked: Array("s".utf8)), place: Path(unchecked: Array("real/s".utf8)))], capacity: capacity,
            isExcluded: { path, _ in path.components.contains { $0.elementsEqual("cache".utf8) } })
    }

    func apply(
        _ events: [(directory: UInt8, kinds: Fanotify.Events, name: String)], to places: inout DirectoryPlaces
    ) -> EventOutcome {
        var outcome = EventOutcome()
        for event in events {
            Array(event.name.utf8).withUnsafeBytes { name in
                places.apply(
                    FanotifyEvent(kinds: event.kinds, directory: DirectoryPlacesTests.handle(event.directory), name: name), to: &outcome
                ) { handle throws(Errno) in try fileSystem.locate(handle) }
            }
        }
        return outcome
    }

    func texts(_ outcome: EventOutcome) -> [String] { outcome.batch.changes.map { "\($0.path) \($0.scope)" } }

    @Test func pathsAreThoseOfTheSource() {
        var places = DirectoryPlacesTests.places()
        let outcome = apply([(3, [.modified], "file"), (1, [.created, .closedAfterWriting], "new"), (2, [.attributes], "")], to: &places)
        #expect(texts(outcome) == ["/s/a/deep/file entry", "/s/new entry", "/s entry", "/s/a entry"])
        #expect(outcome.batch.changes.map(\.settled) == [false, true, false, false])
        #expect(outcome.jobs.isEmpty && !outcome.hasOverflowed)
    }

    @Test func whatIsElsewhereOrExcludedIsAskedForOnce() {
        var places = DirectoryPlacesTests.places()
        let events: [(UInt8, Fanotify.Events, String)] = [(5, [.modified], "x"), (6, [.modified], "x"), (9, [.deleted], "of a removed one")]
        let outcome = apply(events + events + events, to: &places)
        #expect(texts(outcome).isEmpty && !outcome.hasOverflowed)
        #expect(fileSystem.asked == 3)
    }

    @Test func renameOfADirectoryMakesThePathsNew() {
        var places = DirectoryPlacesTests.places()
        _ = apply([(3, [.modified], "file")], to: &places)
        fileSystem.paths[2] = "/real/s/b"
        fileSystem.paths[3] = "/real/s/b/deep"
        // Until the rename is read, the old path stands: the rename covers it.
        let before = apply([(3, [.modified], "file")], to: &places)
        #expect(texts(before) == ["/s/a/deep/file entry"])
        let rename = apply(
            [(1, [.movedFrom, .isDirectory], "a"), (1, [.movedTo, .isDirectory], "b"), (3, [.modified], "file")], to: &places)
        #expect(texts(rename) == ["/s/a subtree", "/s entry", "/s/b subtree", "/s entry", "/s/b/deep/file entry"])
    }

    @Test func directoryThatIsMovedInOrOutIsFollowed() {
        var places = DirectoryPlacesTests.places()
        _ = apply([(5, [.modified], "file"), (3, [.modified], "file")], to: &places)
        fileSystem.paths[5] = "/real/s/in"
        fileSystem.paths[3] = "/elsewhere/deep"
        let outcome = apply(
            [(1, [.movedTo, .isDirectory], "in"), (2, [.movedFrom, .isDirectory], "deep"), (5, [.modified], "file"), (3, [.modified], "file")],
            to: &places)
        #expect(texts(outcome) == ["/s/in subtree", "/s entry", "/s/a/deep subtree", "/s/a entry", "/s/in/file entry"])
    }

    /// The directory that one was moved out of is gone by the time that its event is read.
    @Test func renameInARemovedDirectoryMakesThePathsNew() {
        var places = DirectoryPlacesTests.places()
        _ = apply([(3, [.modified], "file")], to: &places)
        fileSystem.paths[2] = nil
        fileSystem.paths[3] = "/real/s/deep"
        let outcome = apply([(2, [.movedFrom, .isDirectory], "deep"), (3, [.modified], "file")], to: &places)
        #expect(texts(outcome) == ["/s/deep/file entry"])
    }

    @Test func fileRenamesForgetNothing() {
        var places = DirectoryPlacesTests.places()
        _ = apply([(2, [.movedFrom], "x"), (2, [.movedTo], "y"), (5, [.movedTo, .isDirectory], "not ours"), (2, [.modified], "y")], to: &places)
        #expect(fileSystem.asked == 2)
    }

    @Test func whatHappensToARootIsNoChange() {
        var places = DirectoryPlacesTests.places()
        let outcome = apply(
            [(4, [.movedFrom, .isDirectory], "s"), (4, [.created], "file"), (4, [.deleted, .isDirectory], "other")], to: &places)
        #expect(texts(outcome).isEmpty)
        guard outcome.jobs.count == 1, case .sourcesMoved(let moved) = outcome.jobs[0] else { Issue.record("the source is not looked at"); return }
        #expect(moved.map(\.description) == ["/s"])
    }

    @Test func directoryThatCannotBeNamedIsCoveredFromAbove() {
        var places = DirectoryPlacesTests.places()
        fileSystem.tooDeep = [3]
        let outcome = apply([(3, [.modified], "a"), (3, [.modified], "b")], to: &places)
        #expect(texts(outcome) == ["/s/a/deep subtree"])
    }

    @Test func whatCannotBeAskedCountsAsLost() {
        var places = DirectoryPlacesTests.places()
        fileSystem.errors[2] = .tooManyOpenFiles
        #expect(apply([(2, [.modified], "a")], to: &places).hasOverflowed)
        // And is asked again.
        fileSystem.errors = [:]
        #expect(texts(apply([(2, [.modified], "a")], to: &places)) == ["/s/a/a entry"])
        #expect(apply([(1, [.overflowed], "")], to: &places).hasOverflowed)
    }

    /// In one batch a change is recognised by the number of its directory, which must not come to mean another one.
    @Test func whatIsForgottenForWantOfRoomIsFoundAgain() {
        var places = DirectoryPlacesTests.places(capacity: 1)
        let outcome = apply([(1, [.modified], "x"), (2, [.modified], "x"), (3, [.modified], "x"), (1, [.modified], "x")], to: &places)
        #expect(Set(texts(outcome)) == ["/s/x entry", "/s/a/x entry", "/s/a/deep/x entry"])
    }
}
