// What the daemon knows of one path: whether it would notice a change, and what becomes of those that it knows.
// The answer to `GET /v1/explain?path=…`, the path's bytes percent-encoded.

package struct PathWatch: Codable, Hashable, Sendable {
    /// A change that is in no snapshot yet.
    package struct Pending: Codable, Hashable, Sendable {
        /// The path itself, or the directory that stands for it.
        package var path: String
        /// When the oldest and the newest of the changes were noticed.
        package var first: String
        package var last: String
        /// When it has rested long enough, or its deadline has come.
        package var due: String

        package init(path: String, first: String, last: String, due: String) {
            self.path = path
            self.first = first
            self.last = last
            self.due = due
        }
    }

    package var path: String
    /// An event tells when it changes.
    package var watched: Bool
    /// The directory, at or above the path, that is not watched, and why.
    @Nullable package var unwatched: StatusReport.Unwatched?
    @Nullable package var pending: Pending?
    /// For a path that changes all the time: how long it must rest now, at most, before it is saved.
    @Nullable package var backoffSeconds: Double?
    /// What the daemon does next, and what it waits for.
    @Nullable package var next: StatusReport.Next?

    package init(
        path: String, watched: Bool, unwatched: StatusReport.Unwatched?, pending: Pending?, backoffSeconds: Double?, next: StatusReport.Next?
    ) {
        self.path = path
        self.watched = watched
        self.unwatched = unwatched
        self.pending = pending
        self.backoffSeconds = backoffSeconds
        self.next = next
    }
}

/// Bytes of a path in a URI. Source: RFC 3986, "Percent-Encoding".
enum PercentCoding {
    static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var result = ""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }

    /// Nil when a percent sign is not followed by two hexadecimal digits.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var result: [UInt8] = []
        var rest = Substring(text).utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy({ $0.isHexadecimalDigit }), let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            else { return nil }
            result.append(value)
            rest = rest.dropFirst(2)
        }
        return result
    }
}

extension UInt8 {
    fileprivate var isHexadecimalDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
        default: false
        }
    }
}
