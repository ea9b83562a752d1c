// The other end of the control API: one request, one answer, over a blocking Unix socket.
// In: a call and its body.  Out: the decoded answer, or the daemon's `Problem`.
// Invariant: nothing that the daemon sends can make this trap or hold more than 64 MiB.

package import Kernel

/// Why a call did not come to an answer.
package enum ControlError: Error, Sendable, CustomStringConvertible {
    /// No daemon listens there.
    case notRunning(socket: Path)
    case connection(socket: Path, Errno)
    /// The daemon runs, and does not even answer for its status.
    case hanging(socket: Path)
    /// What came back is not HTTP/1.1 with JSON.
    case malformed(String)

    package var description: String {
        switch self {
        case .notRunning(let socket): "no daemon answers at \(socket); start it with: watchctl start"
        case .connection(let socket, let errno): "the daemon's socket \(socket) failed: \(errno)"
        case .hanging(let socket): "the daemon does not answer at \(socket); end it and start it anew with: watchctl restart"
        case .malformed(let what): "the daemon's answer is not understood: \(what)"
        }
    }
}

package struct ControlClient: Sendable {
    package let socket: Path
    /// After so long without an answer for its status a daemon hangs: it gives that at once, whatever it is doing.
    package let patience: Duration

    package init(socket: Path, patience: Duration = .seconds(5)) {
        self.socket = socket
        self.patience = patience
    }

    /// - Throws: `ControlError.hanging` when it does not come in time.
    package func status() throws -> StatusReport { try call("GET", "/v1/status", nil, StatusReport.self, takesLong: false) }

    package func explain(_ path: Path) throws -> PathWatch {
        try call("GET", "/v1/explain?path=/\(PercentCoding.encode(path.bytes))", nil, PathWatch.self)
    }

    package func post<Output: Decodable>(_ path: String, _ body: (some Encodable)?, _ output: Output.Type) throws -> Output {
        try call("POST", path, try body.map { try ControlJSON.encode($0) }, output)
    }

    package func post<Output: Decodable>(_ path: String, _ output: Output.Type) throws -> Output {
        try call("POST", path, nil, output)
    }

    /// Calls `body` with each report of `/v1/events`, until it throws or the daemon ends.
    package func events(_ body: (StatusReport) throws -> Void) throws {
        let connection = try connect()
        do throws(Errno) {
            try connection.write(Array("GET /v1/events HTTP/1.1\r\nhost: watchd\r\n\r\n".utf8))
        } catch {
            throw ControlError.connection(socket: socket, error)
        }
        // Each event is one line of JSON; chunk sizes and other fields of the stream are lines of their own.
        var lines = LineBuffer(limit: 4 << 20)
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count: Int
            do {
                count = try piece.withUnsafeMutableBytes { try connection.read(into: $0) }
            } catch let error as Errno {
                throw ControlError.connection(socket: socket, error)
            }
            if count == 0 { return }
            for line in try lines.add(piece[..<count]) where line.starts(with: Array("data: ".utf8)) {
                try body(try ControlJSON.decode(StatusReport.self, from: Array(line.dropFirst(6))))
            }
        }
    }

    private func connect(patience: Duration? = nil) throws -> Descriptor {
        do throws(Errno) {
            return try Descriptor.connectToUnixSocket(socket, patience: patience)
        } catch {
            switch error {
            case .wouldBlock: throw ControlError.hanging(socket: socket)
            case .noSuchFileOrDirectory, .connectionRefused, .notDirectory: throw ControlError.notRunning(socket: socket)
            default: throw ControlError.connection(socket: socket, error)
            }
        }
    }

    /// - Parameter takesLong: The answer may take any time, as long as the daemon answers for its status meanwhile.
    private func call<Output: Decodable>(
        _ method: String, _ path: String, _ body: [UInt8]?, _ output: Output.Type, takesLong: Bool = true
    ) throws -> Output {
        let connection = try connect(patience: patience)
        var request = "\(method) \(path) HTTP/1.1\r\nhost: watchd\r\nconnection: close\r\n"
        if let body { request += "content-type: application/json\r\ncontent-length: \(body.count)\r\n" }
        request += "\r\n"
        do throws(Errno) {
            try connection.write(Array(request.utf8) + (body ?? []))
        } catch {
            throw error == .wouldBlock ? ControlError.hanging(socket: socket) : .connection(socket: socket, error)
        }
        let response = try HTTPAnswer(try answer(on: connection, takesLong: takesLong))
        if response.status >= 400 {
            if let problem = try? ControlJSON.decode(Problem.self, from: response.body) { throw problem }
            throw ControlError.malformed("HTTP status \(response.status)")
        }
        do {
            return try ControlJSON.decode(output, from: response.body)
        } catch {
            throw ControlError.malformed("\(error)")
        }
    }

    /// Everything that comes until the daemon closes the connection.
    private func answer(on connection: borrowing Descriptor, takesLong: Bool) throws -> [UInt8] {
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count: Int
            do {
                count = try piece.withUnsafeMutableBytes { try connection.read(into: $0) }
            } catch let error as Errno {
                guard error == .wouldBlock else { throw ControlError.connection(socket: socket, error) }
                guard takesLong else { throw ControlError.hanging(socket: socket) }
                _ = try status()
                continue
            }
            if count == 0 { return answer }
            answer += piece[..<count]
            if answer.count > 64 << 20 { throw ControlError.malformed("it is too long") }
        }
    }
}

/// A whole HTTP/1.1 response. Source: RFC 9112.
package struct HTTPAnswer: Hashable, Sendable {
    package var status: Int
    package var body: [UInt8]

    /// - Throws: `ControlError.malformed` for anything that is not a complete response.
    package init(_ bytes: [UInt8]) throws {
        guard let headEnd = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { throw ControlError.malformed("it has no end of header") }
        let lines = String(decoding: bytes[..<headEnd.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw ControlError.malformed("it has no status line")
        }
        self.status = status
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            fields[line[..<colon].lowercased()] = value.lowercased()
        }
        let rest = bytes[headEnd.upperBound...]
        if fields["transfer-encoding"] == "chunked" {
            body = try HTTPAnswer.joinChunks(rest)
        } else if let text = fields["content-length"] {
            guard let count = Int(text), count >= 0, count <= rest.count else { throw ControlError.malformed("it is cut off") }
            body = Array(rest.prefix(count))
        } else {
            body = Array(rest)
        }
    }

    private static func joinChunks(_ bytes: ArraySlice<UInt8>) throws -> [UInt8] {
        var rest = bytes
        var result: [UInt8] = []
        while let lineEnd = rest.firstRange(of: Array("\r\n".utf8)) {
            let digits = String(decoding: rest[..<lineEnd.lowerBound].prefix { $0 != UInt8(ascii: ";") }, as: UTF8.self)
            guard let count = Int(digits, radix: 16), count >= 0 else { break }
            if count == 0 { return result }
            rest = rest[lineEnd.upperBound...]
            guard rest.count >= count, rest.count - count >= 2 else { break }
            result += rest.prefix(count)
            rest = rest.dropFirst(count + 2)
        }
        throw ControlError.malformed("it is cut off")
    }
}

extension Collection where Element: Equatable, SubSequence: Collection {
    /// Where `pattern` first stands.
    fileprivate func firstRange(of pattern: [Element]) -> Range<Index>? {
        var start = startIndex
        while start != endIndex {
            if self[start...].starts(with: pattern) { return start..<index(start, offsetBy: pattern.count) }
            formIndex(after: &start)
        }
        return nil
    }
}

/// Cuts a stream of bytes into lines.
struct LineBuffer {
    private var rest: [UInt8] = []
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    /// The lines that are complete now, without their ends.
    ///
    /// - Throws: `ControlError.malformed` when a line is above the limit.
    mutating func add(_ bytes: ArraySlice<UInt8>) throws -> [ArraySlice<UInt8>] {
        rest += bytes
        var lines = rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        rest = Array(lines.removeLast())
        if rest.count > limit { throw ControlError.malformed("a line is too long") }
        return lines.map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }
    }
}
