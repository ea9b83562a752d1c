// What to say of a path that a snapshot does not have: when it was there, and the command that gets it.

internal import Cataloging
internal import Kernel

extension Session {
    /// - Parameter command: The part of `watchctl` that was asked for it: `restore`, `cat`, `ls` …
    func absent(_ path: Path, at number: UInt64, _ command: String) throws -> AgentError {
        let versions = try catalog.datedHistory(of: path)
        func hint(_ number: UInt64, _ words: String) throws -> String {
            let time = try catalog.snapshot(number).map { " (\(Timestamp(milliseconds: $0.time).localText))" } ?? ""
            return "; \(words) snapshot \(number)\(time): watchctl \(command) --at \(number) \(path.shellText)"
        }
        if let last = versions.last(where: { $0.last < number }) {
            return .notInSnapshot(path: "\(path)", number: number, hint: try hint(last.last, "it was last in"))
        }
        if let first = versions.first(where: { $0.first.snapshot > number }) {
            return .notInSnapshot(path: "\(path)", number: number, hint: try hint(first.first.snapshot, "it came with"))
        }
        return .notInSnapshot(path: "\(path)", number: number, hint: ", nor in any other; why: watchctl explain \(path.shellText)")
    }
}

extension Path {
    /// As one word of a shell's command line, all bytes included: `'/home/me/a b'`. Source: bash(1), "QUOTING".
    var shellText: String {
        let plain = bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "/._-+,@%:".utf8.contains(byte)
            }
        }
        if plain { return "/" + String(decoding: bytes, as: UTF8.self) }
        let quote = UInt8(ascii: "'")
        // Printable but for its backslashes: nothing else is escaped.
        if !bytes.contains(quote), !bytes.contains(UInt8(ascii: "\\")), printable(bytes).utf8.elementsEqual(bytes) { return "'/\(printable(bytes))'" }
        return "$'/" + bytes.map { $0 == quote ? "\\'" : printable([$0]) }.joined() + "'"
    }
}
