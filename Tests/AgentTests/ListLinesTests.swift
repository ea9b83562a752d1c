import Testing

@testable import Agent

struct ListLinesTests {
    private let text = """
        sources = ["/home/me"]

        [keep]
        patterns = ["not this one"]

        [exclude]
        # patterns = ["nor this"]
        patterns = [
            "a", 'b',   # "not" a ] pattern
            "c \\" ] #", \"""
        over
        lines\""", '''d'''
        ,"e"]
        larger_than = "1KiB"
        """

    @Test(arguments: [(0, 9), (1, 9), (2, 10), (3, 10), (4, 12), (5, 13)])
    func eachItemHasItsLine(index: Int, line: Int) {
        #expect(ListLines.line(ofItem: index, in: "patterns", section: "exclude", of: text) == line)
    }

    @Test func whatIsNotThereHasNone() {
        #expect(ListLines.line(ofItem: 6, in: "patterns", section: "exclude", of: text) == nil)
        #expect(ListLines.line(ofItem: 0, in: "ignore_files", section: "exclude", of: text) == nil)
        #expect(ListLines.line(ofItem: 0, in: "patterns", section: "exclude", of: "[exclude]\npatterns = [\"open") == 2)
        #expect(ListLines.line(ofItem: 1, in: "patterns", section: "exclude", of: "[exclude]\npatterns = [\"open") == nil)
    }

    @Test func aDottedKeyIsFound() {
        #expect(ListLines.line(ofItem: 1, in: "patterns", section: "exclude", of: "exclude.patterns = [\"a\",\n\"b\"]") == 2)
    }
}
