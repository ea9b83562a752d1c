import Archiving
import Cataloging
import Kernel
import Testing

@testable import watchctl

struct EntryTests {
    @Test(arguments: [
        (FileKind.file, 0o644, "-rw-r--r--"), (.directory, 0o755, "drwxr-xr-x"), (.symlink, 0o777, "lrwxrwxrwx"),
        (.file, 0o4755, "-rwsr-xr-x"), (.file, 0o4644, "-rwSr--r--"), (.file, 0o2755, "-rwxr-sr-x"), (.directory, 0o2745, "drwxr-Sr-x"),
        (.directory, 0o1777, "drwxrwxrwt"), (.directory, 0o1776, "drwxrwxrwT"), (.fifo, 0o600, "prw-------"),
        (.socket, 0o000, "s---------"), (.characterDevice, 0o660, "crw-rw----"), (.blockDevice, 0o7777, "brwsrwsrwt"),
    ] as [(FileKind, UInt16, String)])
    func modes(kind: FileKind, mode: UInt16, text: String) {
        #expect(EntryText.mode(kind, mode) == text)
    }

    @Test func namesAreShortAndSafe() {
        let directory = path("/home/me")
        #expect(EntryText.name(listed(path("/home/me/a/b")).entry, below: directory) == "a/b")
        #expect(EntryText.name(listed(path("/home/me/a")).entry, below: path("/home/me/a")) == "a")
        #expect(EntryText.name(listed(path("/home")).entry, below: .root) == "home")
        let hostile = Path.root.appending([0x1B, 0x5B, 0x32, 0x4A, 0xFF])
        #expect(EntryText.name(listed(hostile).entry, below: .root) == "\\x1b[2J\\xff")
    }

    @Test func longListingAligns() {
        var owned = listed(path("/d/large"), size: 123_456)
        owned.entry.userName = Array("me".utf8)
        owned.entry.groupName = Array("users".utf8)
        var link = listed(path("/d/link"), .symlink, mode: 0o777, size: 6)
        link.entry.target = Array("to\u{7}me".utf8)
        var device = listed(path("/d/null"), .characterDevice, mode: 0o666)
        device.entry.special = DeviceNumber(major: 1, minor: 3)
        let above = ListedEntry(entry: Entry(path: path("/d/up"), kind: .directory, mode: 0o755), isImplicit: true)
        let entries = [owned, link, device, above]
        let listing = LongListing(entries, below: path("/d"))
        let time = present.localText
        #expect(
            entries.map(listing.line) == [
                "-rw-r--r-- me   users 123456 \(time) large", "lrwxrwxrwx 1000 100        6 \(time) link -> to\\x07me",
                "crw-rw-rw- 1000 100     1, 3 \(time) null", "drwxr-xr-x -    -          - -                   up",
            ])
    }
}
