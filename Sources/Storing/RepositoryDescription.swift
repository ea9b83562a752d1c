// repository.json: whose repository this is, and the locked copies of its key.
// In: the bytes of the file.  Out: its members, and the bytes again with one part changed.
// Invariant: nothing secret in the clear; members that this version does not know stay through a rewrite.
// Source: RepositoryFormat, "repository.json".

package import Archiving
package import Encrypting
package import Kernel

package struct RepositoryDescription: Hashable, Sendable {
    package var id: RepositoryID
    package var created: Timestamp
    package var owner: RepositoryOwner
    /// By ascending id; at least one.
    package var keys: [KeyRecord]
    var unknown: [String: JSONValue] = [:]

    /// The newest format that this version reads, and the one that it writes.
    package static let format = 1
}

/// Whose snapshots a repository holds.
package struct RepositoryOwner: Hashable, Sendable {
    /// 32 hexadecimal digits made of the machine's id.
    package var machine: String
    /// 32 random hexadecimal digits of one configuration.
    package var configuration: String
    /// For people.
    package var host: String
    var unknown: [String: JSONValue] = [:]

    package init(machine: String, configuration: String, host: String) {
        self.machine = machine
        self.configuration = configuration
        self.host = host
    }

    /// This machine, with the configuration's id that it made at `init` or takes over with.
    package static func thisMachine(configuration: String) -> RepositoryOwner {
        RepositoryOwner(
            machine: machine(of: ProcessIdentity.machineID), configuration: configuration, host: ProcessIdentity.hostName)
    }

    /// The first 32 hexadecimal digits of SHA-256 over `auto-backup ` and the machine's id.
    package static func machine(of machineID: String) -> String {
        String(SHA256.digest(of: Array("auto-backup \(machineID)".utf8)).hex.prefix(32))
    }

    /// A new random id of a configuration.
    package static func newConfiguration() -> String { ArchiveID.random().description }

    /// True when both are the same configuration on the same machine. Host names may change.
    package func isSame(as other: RepositoryOwner) -> Bool {
        machine == other.machine && configuration == other.configuration
    }
}

/// One secret key that archives may be sealed with, and the passphrases that open it.
package struct KeyRecord: Hashable, Sendable {
    /// From 1, never used twice.
    package var id: Int
    package var created: Timestamp
    /// A Fernet token of the repository's id, so that a wrong key is known at once.
    package var check: String
    /// Of an older key: a Fernet token under the newest one that holds it. Nil of the newest.
    package var wrapped: String?
    package var slots: [SlotRecord]
    var unknown: [String: JSONValue] = [:]
}

/// The key, locked by one passphrase.
package struct SlotRecord: Hashable, Sendable {
    /// From 1, unique among the slots of its key. `slot.id` is the same as text.
    package var id: Int
    /// Nil when this version does not understand how a passphrase opens it: it is passed over, and written again as it was.
    package var slot: KeySlot?
    /// Of a slot that is not understood, all members but the id.
    var unknown: [String: JSONValue] = [:]

    /// ISO 8601 in UTC, for a person; empty when that is not known.
    package var created: String {
        if let slot { return slot.created }
        guard case .string(let text) = unknown["created"], Timestamp(iso8601: text) != nil else { return "" }
        return text
    }
}
