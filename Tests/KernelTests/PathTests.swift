import Kernel
import Testing

struct PathTests {
    @Test func textIsResolvedByItsLetters() {
        #expect(Path("/a/./b/../c//d/")?.description == "/a/c/d")
        #expect(Path("x/../../y", relativeTo: Path("/home/me")!)?.description == "/home/y")
        #expect(Path("/..")?.isRoot == true)
        #expect(Path("/a\0b") == nil)
        #expect(Path("/" + String(repeating: "n", count: 256)) == nil)
    }

    @Test(arguments: ["/a", "a//b", "a/", "a/./b", "a/../b", "..", "a\0b"])
    func pathsOfASnapshotThatBreakTheRulesAreRefused(_ text: String) {
        #expect(Path(validating: Array(text.utf8)) == nil)
    }

    @Test func bytesThatAreNotTextAreKept() {
        let path = Path(validating: [0x61, 0x2F, 0xFF, 0xFE])
        #expect(path?.bytes == [0x61, 0x2F, 0xFF, 0xFE])
        #expect(path?.description == "/a/\\xff\\xfe")
    }

    @Test func confusingCharactersAreEscaped() {
        #expect(printable("a\u{1B}[31m\n\u{202E}b\\".utf8) == "a\\x1b[31m\\x0a\\xe2\\x80\\xaeb\\\\")
        #expect(printable("Grüße 日本".utf8) == "Grüße 日本")
    }

    @Test func treeOrderPutsContentBehindItsDirectory() {
        let sorted = ["a", "a/b", "a/b/c", "a/b.c", "a-b", "ab"].compactMap { Path(validating: Array($0.utf8)) }
        for (left, right) in zip(sorted, sorted.dropFirst()) {
            #expect(left < right, "\(left) \(right)")
            #expect(!(right < left))
        }
    }

    @Test func kinship() {
        let home = Path("/home/me")!
        #expect(Path("/home/me/x")!.isBelow(home))
        #expect(!Path("/home/meander")!.isAtOrBelow(home))
        #expect(home.isAtOrBelow(home) && !home.isBelow(home))
        #expect(home.isBelow(.root))
        #expect(home.parent?.description == "/home" && home.parent?.parent == .root && Path.root.parent == nil)
        #expect(Array(Path("/home/me/a/b")!.suffix(below: home)) == Array("a/b".utf8))
    }
}
