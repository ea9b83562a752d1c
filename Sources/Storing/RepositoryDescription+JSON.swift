// repository.json as bytes.
// In: bytes that may be damaged, or of a newer version.  Out: the description, or an error that names the member.
// Invariant: what was read and not changed is written again with every member that it had.

internal import Archiving
internal import Encrypting
package import Kernel

extension RepositoryDescription {
    /// - Parameter path: Of the file, for the errors.
    /// - Throws: `.newerFormat` before anything else is looked at; `.malformed`.
    package init(bytes: [UInt8], at path: Path) throws(StorageError) {
        guard let json = JSONValue(bytes: bytes) else {
            throw StorageError(.malformed, "the file is not JSON", at: path, remedy: RepositoryDescription.remedy)
        }
        do throws(JSONFault) {
            let object = try JSONObject(json, at: "")
            let format = try object.count("format")
            if format > RepositoryDescription.format { throw .newer(format) }
            try self.init(object)
        } catch {
            switch error {
            case .newer(let format):
                throw StorageError(
                    .newerFormat, "the repository has format \(format), and this program knows up to \(RepositoryDescription.format)",
                    at: path, remedy: "use a newer version of Auto-Backup")
            case .unexpected:
                throw StorageError(.malformed, error.reason, at: path, remedy: RepositoryDescription.remedy)
            }
        }
    }

    private static let remedy = "restore the file from a copy: it holds the repository's id and the locked copies of its key"

    private init(_ object: JSONObject) throws(JSONFault) {
        id = try object.value("id", "32 hexadecimal digits") { JSONValue.id($0) }
        created = try object.timestamp("created")
        let owner = try object.object("owner")
        self.owner = RepositoryOwner(
            machine: try owner.string("machine"), configuration: try owner.string("configuration"), host: try owner.string("host"))
        self.owner.unknown = owner.members(without: ["machine", "configuration", "host"])
        keys = []
        for key in try object.objects("keys") { keys.append(try KeyRecord(key)) }
        keys.sort { $0.id < $1.id }
        unknown = object.members(without: ["format", "id", "created", "owner", "keys"])
    }

    /// Indented JSON; nil only when an unknown member cannot be written.
    package var bytes: [UInt8]? {
        var members = unknown
        members["format"] = .integer(Int64(RepositoryDescription.format))
        members["id"] = .string(id.description)
        members["created"] = .string(created.iso8601)
        var owner = owner.unknown
        owner["machine"] = .string(self.owner.machine)
        owner["configuration"] = .string(self.owner.configuration)
        owner["host"] = .string(self.owner.host)
        members["owner"] = .object(owner)
        members["keys"] = .array(keys.map(\.json))
        return JSONValue.object(members).bytes
    }
}

extension KeyRecord {
    fileprivate init(_ object: JSONObject) throws(JSONFault) {
        id = try object.count("id")
        created = try object.timestamp("created")
        check = try object.string("check")
        slots = []
        for slot in try object.objects("slots") { slots.append(try SlotRecord(slot)) }
        unknown = object.members(without: ["id", "created", "check", "slots"])
        // What is no token opens nothing, as a damaged one does, and stays as it is.
        if case .string(let token) = unknown["wrapped"] {
            wrapped = token
            unknown["wrapped"] = nil
        }
    }

    fileprivate var json: JSONValue {
        var members = unknown
        members["id"] = .integer(Int64(id))
        members["created"] = .string(created.iso8601)
        members["check"] = .string(check)
        if let wrapped { members["wrapped"] = .string(wrapped) }
        members["slots"] = .array(slots.map(\.json))
        return .object(members)
    }
}

extension SlotRecord {
    fileprivate static let derivation = "scrypt"

    fileprivate init(_ object: JSONObject) throws(JSONFault) {
        id = try object.count("id")
        // Only the slot itself is lost with what is not understood, and a newer version may open it.
        slot = try? KeySlot(object, id: id)
        unknown = object.members(without: slot == nil ? ["id"] : ["kdf", "id", "n", "r", "p", "salt", "token", "created"])
    }

    fileprivate var json: JSONValue {
        var members = unknown
        members["id"] = .integer(Int64(id))
        guard let slot else { return .object(members) }
        members["kdf"] = .string(SlotRecord.derivation)
        members["n"] = .integer(Int64(slot.cost.n))
        members["r"] = .integer(Int64(slot.cost.r))
        members["p"] = .integer(Int64(slot.cost.p))
        members["salt"] = .string(String(decoding: Base64URL.encode(slot.salt), as: UTF8.self))
        members["token"] = .string(slot.token)
        members["created"] = .string(slot.created)
        return .object(members)
    }
}

extension KeySlot {
    fileprivate init(_ object: JSONObject, id: Int) throws(JSONFault) {
        _ = try object.value("kdf", "\"scrypt\"") { $0 == .string(SlotRecord.derivation) ? true : nil }
        self.init(
            id: String(id),
            cost: DerivationCost(n: try object.count("n"), r: try object.count("r"), p: try object.count("p")),
            salt: try object.value("salt", "base64url") { value in
                if case .string(let text) = value { Base64URL.decode(Array(text.utf8)) } else { nil }
            },
            token: try object.string("token"), created: try object.timestamp("created").iso8601)
    }
}

extension JSONObject {
    fileprivate func timestamp(_ name: String) throws(JSONFault) -> Timestamp {
        try value(name, "a time such as 2026-11-23T05:18:00.000Z") { value in
            guard case .string(let text) = value else { return nil }
            return Timestamp(iso8601: text)
        }
    }

    fileprivate func members(without known: Set<String>) -> [String: JSONValue] {
        members.filter { !known.contains($0.key) }
    }
}

extension JSONValue {
    fileprivate static func id(_ value: JSONValue) -> RepositoryID? {
        guard case .string(let text) = value, let bytes = Hex.decode(text) else { return nil }
        return RepositoryID(bytes: bytes)
    }
}
