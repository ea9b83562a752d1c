import Agent
import Controlling
import Kernel
import Restoring
import Testing

@testable import watchctl

struct TextTests {
    @Test func counts() {
        #expect(SafeText.count(0) == "0")
        #expect(SafeText.count(999) == "999")
        #expect(SafeText.count(16613) == "16,613")
        #expect(SafeText.count(1_234_567) == "1,234,567")
        #expect(SafeText.count(-123_456) == "-123,456")
        #expect(SafeText.count(1, "path") == "1 path")
        #expect(SafeText.count(2, "entry", plural: "entries") == "2 entries")
    }

    /// Nothing that a file's name, a tag or a daemon's message holds may move the cursor.
    @Test func textsCannotTouchTheTerminal() {
        #expect(SafeText.cleaned("a\u{1B}[2Jb") == "a\\x1b[2Jb")
        #expect(SafeText.cleaned("\u{202E}txt.exe").utf8.contains(0xE2) == false)
        #expect(SafeText.cleaned("a\r\nb") == "a\\x0d\\x0ab")
    }

    /// Paths in messages are escaped by whoever wrote the message, and once is enough.
    @Test func escapedTextIsNotEscapedAgain() {
        #expect(SafeText.cleaned("/home/a\\xffb: gone") == "/home/a\\xffb: gone")
        #expect(SafeText.cleaned("Müller \\\\ 日本") == "Müller \\\\ 日本")
    }

    @Test func longLinesAreCut() {
        #expect(SafeText.fitted("abcdef", to: 6) == "abcdef")
        #expect(SafeText.fitted("abcdefg", to: 6) == "abc...")
        #expect(SafeText.fitted("abcdefg", to: 2) == "ab")
        #expect(SafeText.fitted("abc", to: 0) == "")
    }

    @Test func distancesTellTheirDirection() {
        #expect(SafeText.distance(Timestamp(seconds: present.seconds - 720), now: present) == "12m ago")
        #expect(SafeText.distance(Timestamp(seconds: present.seconds + 8), now: present) == "in 8.0s")
    }

    @Test func tablesAlign() {
        var table = TextTable([("N", .right), ("KIND", .left), ("X", .left)])
        table.add(["1", "full", ""])
        table.add(["42", "incremental", "pinned"])
        #expect(table.lines == [" N  KIND         X", " 1  full", "42  incremental  pinned"])
    }

    @Test func snapshotTable() {
        let lines = SnapshotsText.table(
            [
                SnapshotListing(
                    number: 7, kind: "full", time: present.iso8601, archives: 1, entries: 174_140, entriesChanged: 174_140,
                    bytesSource: 0, bytesAdded: 2048, tags: ["before\u{1B}move"], pinned: true)
            ], now: present).lines
        #expect(lines[0].split(separator: " ") == ["NUMBER", "KIND", "TIME", "ENTRIES", "CHANGED", "ADDED", "REMARKS"])
        #expect(lines[1].contains(present.localText))
        #expect(lines[1].hasSuffix("174,140  174,140  2 KiB  pinned, before\\x1bmove"))
    }

    @Test func progressTellsWhatIsLeft() {
        let half = ProgressAmounts(files: 1200, filesTotal: 3000, bytes: 512 << 20, bytesTotal: 1 << 30)
        #expect(
            ProgressLine.text("snapshot", half, elapsed: .seconds(4))
                == "snapshot: [#########-----------] 1,200 of 3,000 files, 512 MiB of 1 GiB, 128 MiB/s, 4.0s left")
        // A narrow terminal shows what matters most.
        #expect(
            ProgressLine.text("snapshot", half, elapsed: .seconds(4), columns: 90)
                == "snapshot: [#########-----------] 1,200 of 3,000 files, 512 MiB of 1 GiB, 4.0s left")
        #expect(ProgressLine.text("snapshot", half, elapsed: .seconds(4), columns: 60) == "snapshot: 1,200 of 3,000 files, 512 MiB of 1 GiB, 4.0s left")
        #expect(ProgressLine.text("snapshot", half, elapsed: .seconds(4), columns: 39) == "snapshot: 512 MiB of 1 GiB, 4.0s left")
        let unknown = ProgressAmounts(files: 3, bytes: 2048)
        #expect(ProgressLine.text("restoring", unknown, elapsed: .seconds(2)) == "restoring: 3 files, 2 KiB, 1 KiB/s")
        #expect(ProgressLine.text("verifying", ProgressAmounts(), elapsed: .zero) == "verifying: 0 B, 0 B/s")
        // A total that turned out too small, and numbers of a broken peer.
        _ = ProgressLine.text("x", ProgressAmounts(bytes: .max, bytesTotal: .max), elapsed: .zero)
        _ = ProgressLine.text("x", ProgressAmounts(bytes: 1, bytesTotal: .max), elapsed: .seconds(1))
    }

    @Test func snapshotSaysWhatItDid() {
        var response = SnapshotResponse(
            taken: true, number: 43, kind: "incremental", time: present.iso8601, entriesChanged: 1, bytesAdded: 2048, message: "",
            problems: [])
        #expect(
            SnapshotText.line(response, now: present)
                == "snapshot 43 (incremental) of \(present.localText): 1 entry changed, 2 KiB added")
        response.taken = false
        response.message = "nothing has changed since snapshot 43"
        #expect(SnapshotText.line(response, now: present) == "nothing has changed since snapshot 43")
    }

    @Test func rotationSaysWhy() {
        let response = RotateResponse(
            snapshots: [.init(number: 1, keep: true, reasons: ["pinned", "hourly"]), .init(number: 12, keep: false, reasons: [])],
            removedArchives: 3, freedBytes: 1 << 20, message: "")
        #expect(
            RotateText.lines(response, isDryRun: false) == [
                "NUMBER  VERDICT  BECAUSE", "     1  keep     pinned, hourly", "    12  remove", "3 archives removed, 1 MiB freed",
            ])
        #expect(RotateText.lines(response, isDryRun: true).last == "1 snapshot would be removed; nothing was")
    }

    @Test func damageNamesWhatIsLost() {
        let finding = VerifyFinding(
            archive: "000000000012.enc", frame: 3, reason: "authentication failed",
            affected: [.init(path: "/home/me/a", firstSnapshot: 2, lastSnapshot: 9), .init(path: "/home/me/b", firstSnapshot: 2, lastSnapshot: 2)])
        #expect(
            VerifyText.lines(finding) == [
                "000000000012.enc, frame 3: authentication failed", "    /home/me/a in snapshots 2 to 9", "    /home/me/b in snapshot 2",
            ])
    }

    @Test func restoreNamesEverythingThatIsNotAsItWas() {
        var restored = RestoreReport()
        restored.files = 12
        restored.directories = 1
        restored.bytes = 2048
        restored.skipped = [path("/a/b")]
        restored.problems = [RestoreProblem(place: path("/c"), reason: "no space left", isLoss: true)]
        let result = RestoreResult(restored, target: path("/tmp/restored-42"), snapshot: 42, isDryRun: false)
        #expect(result.summary(from: "snapshot 42") == "restored 12 files, 1 directory, 0 others, 2 KiB from snapshot 42 to /tmp/restored-42")
        #expect(result.complaints.first == "/tmp/restored-42/a/b: exists and was left as it is")
        #expect(result.complaints.contains("/tmp/restored-42/c: no space left"))
        #expect(result.complaints.contains { $0.contains("--overwrite") })
        restored.skipped = (0..<1022).map { path("/a/\($0)") }
        let lines = RestoreResult(restored, target: path("/t"), snapshot: 42, isDryRun: false).complaints
        #expect(lines.count { $0.hasSuffix("left as it is") } == 20)
        #expect(lines.contains("… and 1,002 others; --json names all of them"))
        #expect(lines.contains { $0.hasPrefix("1,022 paths left as they were") })
        let complete = RestoreResult(RestoreReport(), target: .root, snapshot: 1, isDryRun: true)
        #expect(complete.complaints.isEmpty)
        #expect(complete.summary(from: "snapshot 1").hasPrefix("would restore"))
    }
}
