import Agent
import Kernel
import Testing

@testable import watchctl

struct ArgumentTests {
    @Test func everyByteSurvivesTheParser() {
        let bytes = Array(UInt8.min...UInt8.max)
        #expect(ArgumentText.decode(ArgumentText.encode(bytes)) == bytes)
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let pair = [UInt8(ascii: "a"), first, second, 0xE2, 0x82]
                #expect(ArgumentText.decode(ArgumentText.encode(pair)) == pair)
            }
        }
    }

    @Test func textStaysText() {
        for text in ["--at", "Müller/日本語", "😀", ""] {
            #expect(ArgumentText.encode(Array(text.utf8)) == text)
            #expect(ArgumentText.isText(text))
        }
    }

    /// The characters that stand for bytes are names of files too.
    @Test func theDisguiseItselfSurvives() {
        let bytes = Array("a\u{10FEFF}b\u{10FE00}".utf8)
        #expect(ArgumentText.decode(ArgumentText.encode(bytes)) == bytes)
        #expect(!ArgumentText.isText(ArgumentText.encode([0x61, 0xFF])))
    }

    @Test func pathsAreRelativeToTheWorkingDirectory() throws {
        let base = path("/home/me/desk")
        func resolved(_ text: String) throws -> String { "\(try #require(PathArgument(argument: text)).resolved(against: base))" }
        #expect(try resolved("a/b") == "/home/me/desk/a/b")
        #expect(try resolved("./a//b/") == "/home/me/desk/a/b")
        #expect(try resolved("../../x") == "/home/x")
        #expect(try resolved("../../../../..") == "/")
        #expect(try resolved(".") == "/home/me/desk")
        #expect(try resolved("/etc/../x") == "/x")
        #expect(try resolved("..x/...") == "/home/me/desk/..x/...")
    }

    @Test func pathsAreBytes() throws {
        let name: [UInt8] = [0x61, 0xFF, 0x62]
        let argument = try #require(PathArgument(argument: ArgumentText.encode(name)))
        #expect(try argument.resolved(against: .root).bytes == name)
    }

    /// A backslash is a character of a name: what is printed escaped is not read back.
    @Test func escapesAreNotInterpreted() throws {
        let argument = try #require(PathArgument(argument: "a\\xffb"))
        #expect(try argument.resolved(against: .root).bytes == Array("a\\xffb".utf8))
    }

    @Test func impossiblePathsAreWrongUsage() throws {
        #expect(PathArgument(argument: "") == nil)
        let long = try #require(PathArgument(argument: String(repeating: "n", count: 256)))
        let error = #expect(throws: AgentError.self) { try long.resolved(against: .root) }
        #expect(error.map { ExitStatus.of($0) } == ExitStatus.usage)
    }

    @Test func onlyTheFirstLineIsThePassphrase() {
        #expect(Passphrase.firstLine(of: Array("correct horse\n".utf8)) == Array("correct horse".utf8))
        #expect(Passphrase.firstLine(of: Array("a b \r\nsecond\n".utf8)) == Array("a b ".utf8))
        #expect(Passphrase.firstLine(of: Array("no end".utf8)) == Array("no end".utf8))
        #expect(Passphrase.firstLine(of: Array("\n".utf8)).isEmpty)
    }

    @Test func namesAreOneLineOfText() {
        #expect(TextArgument(argument: "before the move")?.text == "before the move")
        #expect(TextArgument(argument: "") == nil)
        #expect(TextArgument(argument: "a\nb") == nil)
        #expect(TextArgument(argument: ArgumentText.encode([0xFF])) == nil)
    }
}
