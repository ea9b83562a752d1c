// The bodies of the control API's requests. Members are only ever added, and all that can be left out have a preset.

/// `POST /v1/snapshots`
package struct SnapshotRequest: Codable, Hashable, Sendable {
    /// Record a complete manifest after looking at everything.
    package var full: Bool
    /// Read all content again, whatever the metadata says.
    package var rehash: Bool
    /// Store everything anew and reference nothing older.
    package var standalone: Bool
    /// Answer when it is durable; else as soon as it is asked for.
    package var wait: Bool
    package var tag: String?

    package init(full: Bool = false, rehash: Bool = false, standalone: Bool = false, wait: Bool = true, tag: String? = nil) {
        self.full = full
        self.rehash = rehash
        self.standalone = standalone
        self.wait = wait
        self.tag = tag
    }
}

/// `POST /v1/verify`
package struct VerifyRequest: Codable, Hashable, Sendable {
    package enum Depth: String, Codable, Sendable {
        /// The SHA-256 of every archive's bytes; needs no key.
        case digests
        /// Some archives in full.
        case sample
        /// Every frame and every chunk.
        case data
    }

    package var depth: Depth
    /// 0...1, of the repository's bytes; for a sample.
    package var share: Double

    package init(depth: Depth, share: Double = 0.05) {
        self.depth = depth
        self.share = share
    }
}

/// `POST /v1/rotate`
package struct RotateRequest: Codable, Hashable, Sendable {
    package var dryRun: Bool
    /// Bytes that all kept snapshots together may take, this time; nil: as configured.
    package var size: UInt64?

    package init(dryRun: Bool = false, size: UInt64? = nil) {
        self.dryRun = dryRun
        self.size = size
    }
}

/// `POST /v1/forget`
package struct ForgetRequest: Codable, Hashable, Sendable {
    package var snapshots: [UInt64]

    package init(snapshots: [UInt64]) {
        self.snapshots = snapshots
    }
}

/// `POST /v1/purge`: paths from the root directory, each with everything below it.
package struct PurgeRequest: Codable, Hashable, Sendable {
    /// Their bytes.
    package var paths: [[UInt8]]

    package init(paths: [[UInt8]]) {
        self.paths = paths
    }
}

/// `POST /v1/repair`
package struct RepairRequest: Codable, Hashable, Sendable {
    /// Mend what is known, without reading everything first.
    package var known: Bool

    package init(known: Bool = false) {
        self.known = known
    }
}

/// `POST /v1/pause`
package struct PauseRequest: Codable, Hashable, Sendable {
    /// Nil: until `resume`.
    package var seconds: Double?

    package init(seconds: Double? = nil) {
        self.seconds = seconds
    }
}

/// `POST /v1/remarks`: pins and tags.
package struct RemarkRequest: Codable, Hashable, Sendable {
    package enum Action: String, Codable, Sendable {
        case pin, unpin, tag, untag
    }

    package var action: Action
    package var snapshot: UInt64
    package var text: String

    package init(action: Action, snapshot: UInt64, text: String = "") {
        self.action = action
        self.snapshot = snapshot
        self.text = text
    }
}

/// `POST /v1/keys`: passphrase slots, and a new secret key.
package struct KeyRequest: Codable, Hashable, Sendable {
    package enum Action: String, Codable, Sendable {
        case add, remove, change, rotate
        /// The key was printed, which this machine has remembered.
        case exported
    }

    package var action: Action
    /// The new one.
    package var passphrase: [UInt8]
    /// For `change`.
    package var oldPassphrase: [UInt8]
    /// For `remove`.
    package var slot: Int
    /// For `rotate`: those that open the new key.
    package var passphrases: [[UInt8]]

    package init(
        action: Action, passphrase: [UInt8] = [], oldPassphrase: [UInt8] = [], slot: Int = 0, passphrases: [[UInt8]] = []
    ) {
        self.action = action
        self.passphrase = passphrase
        self.oldPassphrase = oldPassphrase
        self.slot = slot
        self.passphrases = passphrases
    }
}

// MARK: Presets

extension SnapshotRequest {
    package init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            full: try members.decodeIfPresent(Bool.self, forKey: .full) ?? false,
            rehash: try members.decodeIfPresent(Bool.self, forKey: .rehash) ?? false,
            standalone: try members.decodeIfPresent(Bool.self, forKey: .standalone) ?? false,
            wait: try members.decodeIfPresent(Bool.self, forKey: .wait) ?? true,
            tag: try members.decodeIfPresent(String.self, forKey: .tag))
    }
}

extension VerifyRequest {
    package init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            depth: try members.decodeIfPresent(Depth.self, forKey: .depth) ?? .sample,
            share: try members.decodeIfPresent(Double.self, forKey: .share) ?? 0.05)
    }
}

extension RotateRequest {
    package init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            dryRun: try members.decodeIfPresent(Bool.self, forKey: .dryRun) ?? false,
            size: try members.decodeIfPresent(UInt64.self, forKey: .size))
    }
}

extension RepairRequest {
    package init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(known: try members.decodeIfPresent(Bool.self, forKey: .known) ?? false)
    }
}

extension PauseRequest {
    package init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            seconds: try members.decodeIfPresent(Double.self, forKey: .seconds))
    }
}

extension RemarkRequest {
    package init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            action: try members.decode(Action.self, forKey: .action),
            snapshot: try members.decode(UInt64.self, forKey: .snapshot),
            text: try members.decodeIfPresent(String.self, forKey: .text) ?? "")
    }
}

extension KeyRequest {
    package init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            action: try members.decode(Action.self, forKey: .action),
            passphrase: try members.decodeIfPresent([UInt8].self, forKey: .passphrase) ?? [],
            oldPassphrase: try members.decodeIfPresent([UInt8].self, forKey: .oldPassphrase) ?? [],
            slot: try members.decodeIfPresent(Int.self, forKey: .slot) ?? 0,
            passphrases: try members.decodeIfPresent([[UInt8]].self, forKey: .passphrases) ?? [])
    }
}
