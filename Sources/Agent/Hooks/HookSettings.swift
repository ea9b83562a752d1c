// The commands that a person has run around snapshots, and what each of them is told.
// In: the configuration's [hooks] and what has just happened.  Out: command lines and their environment.
// Pure.

package import Kernel

package enum HookEvent: String, Hashable, Sendable, CaseIterable {
    /// A snapshot is about to be taken: what is written now is in it.
    case before
    /// A snapshot was added.
    case after
    /// Files are not protected any more, or a snapshot failed.
    case failure
    /// What `failure` was about is over.
    case recovery
}

/// The `[hooks]` of the configuration: for each event command lines for /bin/sh, which run one after the other.
package struct HookSettings: Hashable, Sendable {
    package var before: [String] = []
    package var after: [String] = []
    package var failure: [String] = []
    package var recovery: [String] = []
    /// Of one command line; whoever runs over is ended with all that it started.
    package var timeout: Duration = .seconds(600)
    /// Before snapshots that come by themselves `before` runs this often at most.
    package var beforeGap: Duration = .zero

    package init() {}

    package subscript(event: HookEvent) -> [String] {
        switch event {
        case .before: before
        case .after: after
        case .failure: failure
        case .recovery: recovery
        }
    }

    /// - Parameters:
    ///   - last: When `before` ran the last time; nil: it has not.
    ///   - isRequested: A person asked for the snapshot, and gets it with all that belongs to it.
    package func isBeforeDue(last: BootInstant?, now: BootInstant, isRequested: Bool) -> Bool {
        if before.isEmpty { return false }
        guard let last, !isRequested else { return true }
        return now - last >= beforeGap
    }
}

/// One event, with all that its hooks are told.
package struct HookCall: Hashable, Sendable {
    package var event: HookEvent
    /// incremental, full or reconcile; of what is to come, or was recorded.
    package var kind: String?
    package var snapshot: UInt64?
    /// Codes of the status, the most serious first.
    package var reasons: [String] = []
    package var message = ""

    package init(_ event: HookEvent, kind: String? = nil, snapshot: UInt64? = nil, reasons: [String] = [], message: String = "") {
        self.event = event
        self.kind = kind
        self.snapshot = snapshot
        self.reasons = reasons
        self.message = message
    }

    /// What is known and not empty, beside the environment of this process. The table stands in Hooks.md.
    package func environment(_ configuration: Configuration, configurationFile: Path) -> [String: String] {
        var result = [
            "AUTO_BACKUP_EVENT": event.rawValue, "AUTO_BACKUP_CONFIG": configurationFile.text,
            "AUTO_BACKUP_REPOSITORY": configuration.repository.text,
            "AUTO_BACKUP_SOURCES": configuration.sources.map(\.text).joined(separator: "\n"),
        ]
        if let kind { result["AUTO_BACKUP_KIND"] = kind }
        if let snapshot { result["AUTO_BACKUP_SNAPSHOT"] = "\(snapshot)" }
        if !reasons.isEmpty { result["AUTO_BACKUP_REASONS"] = reasons.joined(separator: " ") }
        // An environment holds no NUL.
        if !message.isEmpty { result["AUTO_BACKUP_MESSAGE"] = message.replacing("\0", with: " ") }
        return result
    }
}
