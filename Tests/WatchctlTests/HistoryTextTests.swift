import Archiving
import Cataloging
import Controlling
import Kernel
import Testing

@testable import Agent
@testable import watchctl

struct HistoryTextTests {
    private func version(
        _ first: UInt64, _ last: UInt64, until: UInt64?, size: UInt64, changed: [String], followsDeletion: Bool = false
    ) -> PathVersion {
        func moment(_ number: UInt64) -> DatedVersion.Moment { .init(snapshot: number, time: present.milliseconds + Int64(number) * 1000) }
        return PathVersion(
            version: DatedVersion(
                first: moment(first), last: last, until: until.map(moment), entry: listed(path("/home/me/a"), size: size).entry),
            changed: changed, followsDeletion: followsDeletion)
    }

    private func time(_ number: Int64) -> String { Timestamp(seconds: present.seconds + number).localText }

    @Test func aLineForEachVersionAndEachDeletion() {
        let lines = HistoryText.lines([
            version(1, 7, until: 8, size: 5, changed: ["new"]), version(8, 8, until: 9, size: 1234, changed: ["content", "mtime"]),
            version(12, 40, until: 41, size: 6, changed: ["new"], followsDeletion: true),
        ])
        #expect(
            lines == [
                "TIME                 SNAPSHOTS  MODE        SIZE  CHANGED",
                "\(time(1))  1…7        -rw-r--r--     5  new",
                "\(time(8))  8          -rw-r--r--  1234  content, mtime",
                "\(time(9))  9                            deleted",
                "\(time(12))  12…40      -rw-r--r--     6  new",
                "\(time(41))  41                           deleted",
            ])
    }

    @Test func oneElementForEachVersion() throws {
        let text = String(decoding: try ControlJSON.encode(HistoryElement(version(8, 9, until: nil, size: 12, changed: ["mode"]))), as: UTF8.self)
        #expect(
            text == """
                {"changed":["mode"],"first_snapshot":8,"gid":100,"last_snapshot":9,"mode":420,"mtime":"\(present.iso8601)",\
                "path":"/home/me/a","size":12,"time":"\(Timestamp(seconds: present.seconds + 8).iso8601)","type":"file","uid":1000,\
                "until":null}
                """)
    }

    /// What `EntryDifference` says when one member of an entry changes.
    @Test func everyMemberHasAWord() {
        let old = Entry(path: path("/a"), kind: .file, mode: 0o644, size: 100, content: Content(chunks: [], holes: [Hole(offset: 0, length: 8)]))
        func words(_ change: (inout Entry) -> Void) -> [String] {
            var new = old
            change(&new)
            return EntryDifference.names(from: old, to: new)
        }
        #expect(words { $0.kind = .directory } == ["type"])
        #expect(words { $0.content.holes = [] } == ["content"])
        #expect(words { $0.content.holes = [Hole(offset: 0, length: 4096)] } == ["content"])
        #expect(words { $0.target = [0x61] } == ["target"])
        #expect(words { $0.special = DeviceNumber(major: 1, minor: 2) } == ["device"])
        #expect(words { $0.mode = 0o600 } == ["mode"])
        #expect(words { $0.uid = 7 } == ["owner"])
        #expect(words { $0.groupName = [0x67] } == ["group"])
        #expect(words { $0.modified = present } == ["mtime"])
        #expect(words { $0.attributes = [ExtendedAttribute(name: [0x61], value: [])] } == ["attributes"])
        #expect(words { $0.inodeFlags = 8 } == ["flags"])
        #expect(words { $0.links = 2 } == ["links"])
        #expect(words { $0.inode = 99 } == ["inode"])
        #expect(words { $0.changed = present } == ["status"])
        #expect(words { $0.mode = 0; $0.uid = 1; $0.size = 3 } == ["content", "mode", "owner"])
    }
}
