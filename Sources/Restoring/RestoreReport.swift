// What came of a restore or an import.
// In: each entry's outcome.  Out: counts, and every path that is not as it was, with the reason.

package import Kernel

/// One path that was not restored, or not in full.
package struct RestoreProblem: Hashable, Sendable {
    /// Relative to the target. Of an archive's entry whose path cannot be restored it is empty, and the reason names it.
    package var place: Path
    package var reason: String
    /// True when content or the whole entry is missing, false when only some metadata is.
    package var isLoss: Bool
    /// How many more entries lack metadata for the same reason, which is said once. 0 for a loss: each of those is named.
    package var others: UInt64

    package init(place: Path, reason: String, isLoss: Bool, others: UInt64 = 0) {
        self.place = place
        self.reason = reason
        self.isLoss = isLoss
        self.others = others
    }
}

package struct RestoreReport: Sendable {
    /// Those that are whole; in a dry run those that would be restored. So are the other counts.
    package var files: UInt64 = 0
    package var directories: UInt64 = 0
    /// Symlinks, hard links, FIFOs, sockets and devices.
    package var others: UInt64 = 0
    package var bytes: UInt64 = 0
    /// Left as they were because something stood there.
    package var skipped: [Path] = []
    package var problems: [RestoreProblem] = []
    /// Entries that now belong to someone else than they did, because only root can give files away; said once.
    package var ownersNotSet: UInt64 = 0
    /// Why it ended early: it was cancelled, or an import's archive ended too soon or is damaged. What was whole then stays.
    package var cutShort: ExchangeError?

    package init() {}

    /// Nothing was found that could be restored.
    package var isEmpty: Bool { isComplete && files == 0 && directories == 0 && others == 0 }

    package var isComplete: Bool { skipped.isEmpty && problems.isEmpty && ownersNotSet == 0 && cutShort == nil }
}

/// How far a restore, an import or an export is. Called from any of its threads.
package struct RestoreProgress: Hashable, Sendable {
    package var files: UInt64
    package var bytes: UInt64

    package init(files: UInt64 = 0, bytes: UInt64 = 0) {
        self.files = files
        self.bytes = bytes
    }
}
