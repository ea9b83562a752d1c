// When a person is told that backing up stands otherwise than before.
// In: how it stands, whenever that may have changed.  Out: at most one announcement for each change.
// Invariant: what was said last and how it stands agree, or `again` says when the difference is said, if it lasts.
// Pure. What was said outlives the process, so that a restart repeats nothing and an end of trouble is not missed.

package import Kernel

/// How backing up stands, from what a person has to do about it.
package enum Standing: String, Hashable, Sendable, CaseIterable {
    case well
    /// It backs up, but something needs attention.
    case degraded
    /// Files are not protected, or the latest snapshot failed.
    case failing
}

package struct Announcement: Hashable, Sendable {
    /// Nil: nothing was ever said.
    package var from: Standing?
    package var to: Standing

    package init(from: Standing?, to: Standing) {
        self.from = from
        self.to = to
    }

    /// The hooks that run.
    package var event: HookEvent? {
        if to == .failing { return .failure }
        return from == .failing ? .recovery : nil
    }

    package var title: String {
        switch (from, to) {
        case (_, .failing): "Your files are not being backed up"
        case (.failing, .degraded): "Backing up again, but something needs attention"
        case (_, .degraded): "Backing up, but something needs attention"
        case (.failing, .well): "Your files are being backed up again"
        case (_, .well): "Backing up is well again"
        }
    }
}

package struct Announcer: Hashable, Sendable {
    /// So long after an announcement nothing is said: what goes and comes within it is one trouble.
    package static let calm = Duration.seconds(60)

    /// Nil: nothing yet.
    package private(set) var said: Standing?
    private var saidAt: BootInstant?
    /// Hear again then; nil when only an event can change anything.
    package private(set) var again: BootInstant?

    package init(said: Standing? = nil) {
        self.said = said
    }

    /// - Returns: Nil when there is nothing to say, or not yet. At the very first that all is well goes without saying.
    package mutating func hear(_ standing: Standing, at now: BootInstant) -> Announcement? {
        again = nil
        if standing == said { return nil }
        if let saidAt, now - saidAt < Announcer.calm {
            again = saidAt + Announcer.calm
            return nil
        }
        let before = said
        said = standing
        if before == nil, standing == .well { return nil }
        saidAt = now
        return Announcement(from: before, to: standing)
    }
}
