// What the agent can be busy with, one at a time, and why a whole tree has to be compared again.

/// One turn of work.
package enum Activity: Hashable, Sendable {
    /// A snapshot of what has settled in the dirty set; of all of it when someone asked for it.
    case incremental
    /// A snapshot that looks at everything and records all of it.
    case full(FullOptions)
    /// An incremental whose scan is the whole tree. When nothing differs, no snapshot is made.
    case reconcile(Set<ReconcileReason>)
    case rotate
    case verify
    /// Rewrites archives so that they take less space, or are under the newest key.
    case compact

    package var kind: ActivityKind {
        switch self {
        case .incremental: .incremental
        case .full: .full
        case .reconcile: .reconcile
        case .rotate: .rotate
        case .verify: .verify
        case .compact: .compact
        }
    }
}

package enum ActivityKind: String, Hashable, Sendable, CaseIterable {
    case incremental, full, reconcile, rotate, verify, compact

    /// True for what ends in a snapshot.
    package var takesSnapshot: Bool {
        switch self {
        case .incremental, .full, .reconcile: true
        case .rotate, .verify, .compact: false
        }
    }
}

/// How a full snapshot goes beyond comparing metadata. Options of several requests add up.
package struct FullOptions: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Reads all content again.
    package static let rehash = FullOptions(rawValue: 1)
    /// Stores everything anew and refers to nothing older.
    package static let standalone = FullOptions(rawValue: 2)
}

/// Why the dirty set cannot be relied on. The text is for logs and the status.
package enum ReconcileReason: String, Hashable, Sendable, CaseIterable {
    case start
    case overflow
    case remount
    case resume = "resumed from sleep"
    case excludesChanged = "excludes changed"
    case sourcesChanged = "sources changed"
    case sourceReturned = "source returned"
    case interval
}
