// The quick JSON of snapshots is the JSON of everything else.

import Testing

@testable import Controlling

struct SnapshotListingTests {
    private func listing(_ number: UInt64, tags: [String] = [], pinned: Bool = false) -> SnapshotListing {
        SnapshotListing(
            number: number, kind: "incremental", time: "2026-11-23T05:18:00.123Z", archives: 2, entries: 0, entriesChanged: 10,
            bytesSource: .max, bytesAdded: 1234, tags: tags, pinned: pinned)
    }

    @Test func rowsAreAsTheEncoderWritesThem() throws {
        let lists = [
            [listing(1)], [listing(9), listing(10, tags: ["before the move"], pinned: true)],
            [listing(.max, tags: ["a/b \"c\" \\ \u{7}", "é\n", ""])],
        ]
        for list in lists {
            let bytes = try SnapshotListing.json(list)
            #expect(String(decoding: bytes, as: UTF8.self) == String(decoding: try ControlJSON.encode(list, pretty: true), as: UTF8.self))
            #expect(try ControlJSON.decode([SnapshotListing].self, from: bytes) == list)
        }
    }

    /// It trapped, as nothing else that writes JSON does.
    @Test func anyCountIsWritten() throws {
        var row = listing(1)
        row.archives = -1
        #expect(try ControlJSON.decode([SnapshotListing].self, from: SnapshotListing.json([row])) == [row])
    }

    @Test func anEmptyListIsJSON() throws {
        #expect(try ControlJSON.decode([SnapshotListing].self, from: SnapshotListing.json([])) == [])
    }
}
