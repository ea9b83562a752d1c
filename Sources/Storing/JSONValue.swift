// JSON as a tree, so that members which this version does not know survive a rewrite of repository.json.
// In: bytes of a small file.  Out: values by name, with errors that name the member; the same bytes again, sorted.

internal import FoundationEssentials

indirect enum JSONValue: Hashable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Nil when the bytes are not JSON.
    init?(bytes: [UInt8]) {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes)) else { return nil }
        self = value
    }

    /// Indented, members sorted by name, with a newline at the end. Nil when a number is not finite.
    var bytes: [UInt8]? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { return nil }
        return Array(data) + [UInt8(ascii: "\n")]
    }
}

extension JSONValue: Codable {
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .boolean(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// One object of repository.json, and where it stands in the file.
struct JSONObject {
    let members: [String: JSONValue]
    /// For messages: `keys[0].slots[1]`.
    let place: String

    init(_ value: JSONValue, at place: String) throws(JSONFault) {
        guard case .object(let members) = value else { throw JSONFault(place: place, expected: "an object") }
        self.members = members
        self.place = place
    }

    func value<Value>(
        _ name: String, _ expected: String, _ convert: (JSONValue) -> Value?
    ) throws(JSONFault) -> Value {
        guard let member = members[name], let value = convert(member) else {
            throw JSONFault(place: path(name), expected: expected)
        }
        return value
    }

    func string(_ name: String) throws(JSONFault) -> String {
        try value(name, "a string") { if case .string(let text) = $0 { text } else { nil } }
    }

    /// A whole number of 0 or more. Above 2^53 other programs lose digits, and the next one could not be counted to.
    func count(_ name: String) throws(JSONFault) -> Int {
        try value(name, "a whole number") { if case .integer(let number) = $0, 0...(1 << 53) ~= number { Int(exactly: number) } else { nil } }
    }

    func object(_ name: String) throws(JSONFault) -> JSONObject {
        try JSONObject(value(name, "an object") { $0 }, at: path(name))
    }

    func objects(_ name: String) throws(JSONFault) -> [JSONObject] {
        let items: [JSONValue] = try value(name, "an array") { if case .array(let items) = $0 { items } else { nil } }
        var result: [JSONObject] = []
        for (index, item) in items.enumerated() {
            result.append(try JSONObject(item, at: "\(path(name))[\(index)]"))
        }
        return result
    }

    func path(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }
}

enum JSONFault: Error, Hashable {
    /// A member that is missing or of another type.
    case unexpected(place: String, expected: String)
    /// A format above ours.
    case newer(Int)

    init(place: String, expected: String) {
        self = .unexpected(place: place, expected: expected)
    }

    var reason: String {
        switch self {
        case .unexpected(let place, let expected):
            "\(place.isEmpty ? "the file" : "its member \(place)") must hold \(expected)"
        case .newer(let format): "its format is \(format)"
        }
    }
}
