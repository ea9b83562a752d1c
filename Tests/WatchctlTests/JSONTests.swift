import Archiving
import Cataloging
import Controlling
import FoundationEssentials
import Kernel
import Restoring
import Testing

@testable import watchctl

/// Names and types of members are relied on by scripts: they may only grow.
struct JSONTests {
    private func object(_ value: some Encodable) throws -> String {
        String(decoding: try ControlJSON.encode(value), as: UTF8.self)
    }

    @Test func listing() throws {
        let text = try object(ListingElement(listed(path("/home/me/a\tü"), mode: 0o4644, size: 12), snapshot: 42))
        #expect(
            text == """
                {"gid":100,"mode":2468,"mtime":"\(present.iso8601)","path":"/home/me/a\\tü","size":12,"snapshot":42,\
                "type":"file","uid":1000}
                """)
    }

    @Test func listingOfNamesThatAreNotText() throws {
        let name: [UInt8] = [0x61, 0xFF, 0xFE]
        let text = try object(ListingElement(listed(path("/d").appending(name), .directory), snapshot: 1))
        let element = try #require(try JSONDecoder().decode([String: Either].self, from: Data(text.utf8))["path_base64"]?.text)
        #expect(try #require(Data(base64Encoded: element)) == Data("/d/".utf8) + Data(name))
        #expect(text.contains("\"path\":\"/d/a\u{FFFD}"))
    }

    @Test func listingOfWhatIsAboveTheSources() throws {
        let above = ListedEntry(entry: Entry(path: path("/home"), kind: .directory, mode: 0o755), isImplicit: true)
        #expect(try object(ListingElement(above, snapshot: 1)).contains("\"implicit\":true"))
    }

    @Test(arguments: FileKind.allCases) func typesHaveNames(kind: FileKind) throws {
        let names = ["file", "directory", "symlink", "fifo", "socket", "character-device", "block-device"]
        #expect(names.contains(EntryText.typeName(kind)))
    }

    @Test(arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"]) func base64(text: String) {
        #expect(Base64.encode(Array(text.utf8)) == Data(text.utf8).base64EncodedString())
    }

    @Test func restoring() throws {
        var restored = RestoreReport()
        restored.files = 1
        restored.skipped = [path("/a")]
        restored.problems = [RestoreProblem(place: path("/b"), reason: "no", isLoss: false)]
        let text = try object(RestoreResult(restored, target: path("/t"), snapshot: 3, isDryRun: false))
        #expect(
            text == """
                {"bytes":0,"directories":0,"dry_run":false,"files":1,"others":0,"owners_not_set":0,\
                "problems":[{"loss":false,"others":0,"path":"/t/b","reason":"no"}],"skipped":["/t/a"],"snapshot":3,"target":"/t"}
                """)
    }

    @Test func rotationIsExactlyWhatTheInterfaceSays() throws {
        #expect(
            try object([RotationVerdict(number: 1, keep: true, reasons: ["pinned"])]) == #"[{"keep":true,"number":1,"reasons":["pinned"]}]"#)
    }

    @Test func snapshots() throws {
        let listing = SnapshotListing(
            number: 1, kind: "full", time: "t", archives: 1, entries: 2, entriesChanged: 3, bytesSource: 4, bytesAdded: 5, tags: ["a"],
            pinned: false)
        #expect(
            try object([listing]) == """
                [{"archives":1,"bytes_added":5,"bytes_source":4,"entries":2,"entries_changed":3,"kind":"full","number":1,\
                "pinned":false,"tags":["a"],"time":"t"}]
                """)
    }

    @Test func statusKeys() throws {
        let text = try object(report(.degraded, reasons: [.init(code: "paused", message: "m", remedy: "r")]))
        let keys = try JSONDecoder().decode([String: Either].self, from: Data(text.utf8)).keys.sorted()
        #expect(
            keys == [
                "activity", "as_of", "confirmed", "daemon", "latest_full", "latest_snapshot", "pending", "reasons", "repository", "schema",
                "sources", "verdict", "watch",
            ])
    }

    /// A member that is text, or anything else.
    private struct Either: Decodable {
        var text: String?

        init(from decoder: any Decoder) throws {
            text = try? decoder.singleValueContainer().decode(String.self)
        }
    }
}
