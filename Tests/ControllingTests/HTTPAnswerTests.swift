import Controlling
import Testing

struct HTTPAnswerTests {
    private func answer(_ text: String) throws -> HTTPAnswer { try HTTPAnswer(Array(text.utf8)) }

    @Test func bodiesByLengthByChunksAndToTheEnd() throws {
        #expect(try answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!").body == Array("hi".utf8))
        #expect(try answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n3;x\r\n yo\r\n0\r\n\r\n").body == Array("hi yo".utf8))
        #expect(try answer("HTTP/1.1 404 Not Found\r\n\r\nrest") == answer("HTTP/1.1 404 Nope\r\n\r\nrest"))
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 many\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhi", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhi",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7fffffffffffffff\r\nhi\r\n0\r\n\r\n",
    ])
    func whatIsCutOffOrStrangeIsAnError(_ text: String) {
        #expect(throws: ControlError.self) { try answer(text) }
    }

    @Test func randomBytesNeverTrap() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let noise = (0..<Int.random(in: 0...80, using: &generator)).map { _ in UInt8.random(in: 0...127, using: &generator) }
            _ = try? HTTPAnswer(Array("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".utf8) + noise)
        }
    }
}
