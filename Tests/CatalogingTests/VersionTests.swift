// What each snapshot shows of a path, over changes, deletions and re-creations.

import Archiving
import Encrypting
import Kernel
import Testing

@testable import Cataloging

struct VersionTests {
    @Test func eachSnapshotShowsItsOwnState() throws {
        let fixture = try CatalogFixture()
        let old = file("/home/me/a", "one")
        let new = file("/home/me/a", "one", "two", mode: 0o600)
        try fixture.record([.upsert(folder("/home/me")), .upsert(old)])
        try fixture.record([.upsert(new)])
        try fixture.record([.deletion(old.path)])
        #expect(try fixture.catalog.entry(old.path, at: 1) == old)
        #expect(try fixture.catalog.entry(old.path, at: 2) == new)
        #expect(try fixture.catalog.entry(old.path, at: 3) == nil)
        #expect(try fixture.entries(at: 1) == [folder("/home/me"), old])
        #expect(try fixture.entries(at: 3) == [folder("/home/me")])
        #expect(
            try fixture.catalog.history(of: old.path) == [
                VersionRow(first: 1, until: 2, entry: old), VersionRow(first: 2, until: 3, entry: new),
            ])
    }

    @Test func aPathCanComeBackAsAnotherType() throws {
        let fixture = try CatalogFixture()
        let inner = file("/home/me/a/inner", "x")
        var link = Entry(path: path("/home/me/a"), kind: .symlink, mode: 0o777)
        link.target = Array("../b".utf8)
        try fixture.record([.upsert(folder("/home/me")), .upsert(folder("/home/me/a")), .upsert(inner)])
        try fixture.record([.upsert(link), .deletion(inner.path)])
        try fixture.record([.deletion(link.path)])
        try fixture.record([.upsert(file("/home/me/a", "y"))])
        #expect(try fixture.entries(at: 1).map(\.path) == [path("/home/me"), path("/home/me/a"), inner.path])
        #expect(try fixture.entries(at: 2) == [folder("/home/me"), link])
        #expect(try fixture.entries(at: 3) == [folder("/home/me")])
        #expect(try fixture.catalog.entry(link.path, at: 4) == file("/home/me/a", "y"))
        #expect(try fixture.catalog.children(of: link.path, at: 2).isEmpty)
        #expect(try fixture.catalog.children(of: link.path, at: 1).map(\.entry.path) == [inner.path])
    }

    @Test func everyFieldComesBack() throws {
        let fixture = try CatalogFixture()
        var full = file("/home/me/full", "a", "b", "a")
        full.content.holes = [Hole(offset: 100, length: 1 << 40), Hole(offset: 1 << 50, length: 1)]
        full.size = .max
        full.inode = .max
        full.device = .max
        full.links = .max
        full.mode = 0o7777
        full.uid = .max
        full.modified = Timestamp(seconds: .min, nanoseconds: 999_999_999)
        full.attributes = [
            ExtendedAttribute(name: Array("user.note".utf8), value: [0, 255, 10]), ExtendedAttribute(name: [0xFF], value: []),
        ]
        full.inodeFlags = .max
        full.marks = [.changedWhileRead, .racy]
        var device = Entry(path: path("/home/me/null"), kind: .characterDevice, mode: 0o666)
        device.special = DeviceNumber(major: 1, minor: .max)
        try fixture.record([.upsert(full), .upsert(device)])
        #expect(try fixture.catalog.entry(full.path, at: 1) == full)
        #expect(try fixture.catalog.liveEntry(device.path) == device)
        #expect(try fixture.entries(at: 1) == [full, device])
    }

    @Test func namesAreBytes() throws {
        let fixture = try CatalogFixture()
        let long = [UInt8](repeating: 0xFE, count: 255)
        let names: [[UInt8]] = [[0x01], [0xFF, 0x0A], Array("a b".utf8), Array("a-".utf8), Array("a".utf8), long, [0xC3, 0x28]]
        var entries = [Entry(path: Path(validating: [0xFF])!, kind: .directory, mode: 0o755)]
        for name in names {
            entries.append(Entry(path: entries[0].path.appending(name), kind: .directory, mode: 0o700))
            entries.append(Entry(path: entries[0].path.appending(name).appending([0x80]), kind: .fifo, mode: 0o600))
        }
        entries.sort { $0.path < $1.path }
        try fixture.record(entries.map { .upsert($0) })
        #expect(try fixture.entries(at: 1) == entries)
        #expect(try fixture.catalog.children(of: entries[0].path, at: 1).count == names.count)
        #expect(try fixture.catalog.liveDescendants(of: .root) == entries.map(\.path))
        for entry in entries { #expect(try fixture.catalog.entry(entry.path, at: 1) == entry) }
    }

    @Test func theRootDirectoryCanBeASource() throws {
        let fixture = try CatalogFixture()
        let root = Entry(path: .root, kind: .directory, mode: 0o755)
        try fixture.record([.upsert(root), .upsert(folder("/etc"))])
        try fixture.record([.deletion(.root), .upsert(file("/etc/a"))])
        #expect(try fixture.entries(at: 1) == [root, folder("/etc")])
        #expect(try fixture.entries(at: 2) == [folder("/etc"), file("/etc/a")])
        #expect(try fixture.changes(from: 1, to: 2) == [.deletion(.root), .upsert(file("/etc/a"))])
    }

    @Test func directoriesAboveASourceAreImplicit() throws {
        let fixture = try CatalogFixture()
        try fixture.record([.upsert(folder("/home/me")), .upsert(file("/home/me/a"))])
        try fixture.record([.deletion(path("/home/me")), .deletion(path("/home/me/a")), .upsert(folder("/srv/data"))])
        let top = try fixture.catalog.children(of: .root, at: 1)
        #expect(top.map(\.entry.path) == [path("/home")])
        #expect(top.map(\.isImplicit) == [true])
        #expect(try fixture.catalog.children(of: path("/home"), at: 1).map(\.isImplicit) == [false])
        #expect(try fixture.catalog.children(of: .root, at: 2).map(\.entry.path) == [path("/srv")])
        #expect(try fixture.catalog.entry(path("/home"), at: 1) == nil)
        #expect(try fixture.entries(at: 1, below: path("/home")).map(\.path) == [path("/home/me"), path("/home/me/a")])
    }

    /// A source that shrinks to a part of itself leaves directories above it, which are not listed any more.
    @Test func whatIsBelowADeletedDirectoryLivesOn() throws {
        let fixture = try CatalogFixture()
        let deep = file("/a/b/c/d", "x")
        try fixture.record(["/a", "/a/b", "/a/b/c"].map { .upsert(folder($0)) } + [.upsert(deep)])
        try fixture.record(["/a", "/a/b", "/a/b/c"].map { .deletion(path($0)) })
        #expect(try fixture.entries(at: 2) == [deep])
        #expect(try fixture.catalog.children(of: .root, at: 2).map(\.isImplicit) == [true])
        #expect(try fixture.catalog.liveDescendants(of: path("/a")) == [deep.path])
        try fixture.recordFull([deep])
        #expect(try fixture.entries(at: 3) == [deep])
        try fixture.catalog.checkIntegrity()
    }

    @Test func anUpsertThatChangesNothingOpensNoVersion() throws {
        let fixture = try CatalogFixture()
        let same = file("/home/me/a", "x")
        try fixture.record([.upsert(same)])
        try fixture.record([.upsert(same)])
        #expect(try fixture.catalog.history(of: same.path) == [VersionRow(first: 1, until: nil, entry: same)])
        #expect(try fixture.changes(from: 1, to: 2).isEmpty)
    }

    @Test func aFullManifestTakesTheStateOver() throws {
        let fixture = try CatalogFixture()
        let kept = file("/home/me/kept", "k")
        let changed = file("/home/me/changed", "c")
        let gone = file("/home/me/d/gone", "g")
        try fixture.record([folder("/home/me"), changed, folder("/home/me/d"), gone, kept].map { .upsert($0) })
        let after = [folder("/home/me"), file("/home/me/added", "n"), file("/home/me/changed", "d"), kept]
        try fixture.recordFull(after)
        #expect(try fixture.entries(at: 2) == after)
        #expect(try fixture.catalog.history(of: kept.path) == [VersionRow(first: 1, until: nil, entry: kept)])
        #expect(try fixture.catalog.history(of: gone.path) == [VersionRow(first: 1, until: 2, entry: gone)])
        #expect(
            try fixture.changes(from: 1, to: 2).map(\.path)
                == ["/home/me/added", "/home/me/changed", "/home/me/d", "/home/me/d/gone"].map { path($0) })
        #expect(try fixture.entries(at: 1).count == 5)
    }

    /// A name that was alone when it was recorded got a second one since: the kernel announces the new name only, and the
    /// old one was left behind with another link count.
    @Test func hardLinksAreFound() throws {
        let fixture = try CatalogFixture()
        let names = ["/home/me/alone", "/home/me/x/b", "/home/me/x-a", "/srv/c"]
        let alone = file(names[0], "s", inode: 77)
        try fixture.record(([alone] + names.dropFirst().map { file($0, "s", inode: 77, links: 3) }).sorted { $0.path < $1.path }.map { .upsert($0) })
        #expect(try fixture.catalog.liveNames(ofInode: 77, device: nil) == names.map { path($0) })
        #expect(try fixture.catalog.liveNames(ofInode: 77, device: 8 << 32 | 1).count == 4)
        #expect(try fixture.catalog.liveNames(ofInode: 77, device: 5).isEmpty)
        try fixture.record([.deletion(path(names[1]))])
        #expect(try fixture.catalog.liveNames(ofInode: 77, device: nil) == [path(names[0]), path(names[2]), path(names[3])])
    }

    @Test func aScanWalksTheNewestState() throws {
        let fixture = try CatalogFixture()
        let a = file("/home/me/a", "one", inode: 5)
        try fixture.record([folder("/home/me"), a, folder("/home/me/d"), file("/home/me/d/e")].map { .upsert($0) })
        try fixture.record([.upsert(file("/home/me/a", "two", mode: 0o600, inode: 6))])
        let node = try #require(try fixture.catalog.node(of: path("/home/me")))
        let children = try fixture.catalog.liveChildren(of: node)
        #expect(children.map(\.name) == [Array("a".utf8), Array("d".utf8)])
        #expect(children[0].status.inode == 6)
        #expect(children[0].status.mode == 0o600)
        #expect(children[0].status.uid == 1000)
        #expect(children[0].status.changed == Timestamp(seconds: -1, nanoseconds: 999_999_999))
        #expect(children[0].node == nil)
        let below = try #require(children[1].node)
        #expect(try fixture.catalog.liveChildren(of: below).map(\.name) == [Array("e".utf8)])
        #expect(try fixture.catalog.liveChildren(of: path("/nowhere")).isEmpty)
        #expect(try fixture.catalog.liveStatus(path("/home/me/a")) == children[0].status)
    }

    @Test func twentyThousandEntriesComeBack() throws {
        let fixture = try CatalogFixture()
        var entries = [folder("/home/me")]
        for directory in 0..<200 {
            entries.append(folder("/home/me/d\(directory)"))
            for name in 0..<99 { entries.append(file("/home/me/d\(directory)/f\(name)", "c\(directory * 99 + name)")) }
        }
        entries.sort { $0.path < $1.path }
        try fixture.recordFull(entries)
        #expect(try fixture.entries(at: 1) == entries)
        let gone = Set(entries.indices.filter { $0 % 3 == 1 })
        let rest = entries.indices.filter { !gone.contains($0) }.map { entries[$0] }
        try fixture.recordFull(rest)
        #expect(try fixture.entries(at: 2) == rest)
        #expect(try fixture.entries(at: 1) == entries)
        #expect(try fixture.changes(from: 1, to: 2) == gone.sorted().map { .deletion(entries[$0].path) })
        #expect(try fixture.catalog.liveDescendants(of: .root) == rest.map(\.path))
        try fixture.catalog.checkIntegrity()
    }
}
