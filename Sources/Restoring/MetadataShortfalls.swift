// Metadata that could not be given back, said once for each cause.
// In: a place and a sentence, from any thread.  Out: problems, each with one place and how many more it concerns.
// A restore without root's rights, or to a file system that knows less, meets the same cause at every entry.

internal import Kernel
internal import Synchronization

final class MetadataShortfalls: Sendable {
    private struct Shortfall {
        var place: Path
        var count: UInt64
    }

    private let found = Mutex<[String: Shortfall]>([:])

    func add(_ reason: String, at place: Path) {
        found.withLock { found in
            let known = found[reason]
            // The first in the order of paths, so that the answer does not depend on which thread was quicker.
            found[reason] = Shortfall(place: known.map { min($0.place, place) } ?? place, count: (known?.count ?? 0) + 1)
        }
    }

    /// In the order of their places; none is left.
    func take() -> [RestoreProblem] {
        let all = found.withLock { found in
            defer { found = [:] }
            return found
        }
        return all.sorted { ($0.value.place, $0.key) < ($1.value.place, $1.key) }.map { reason, shortfall in
            RestoreProblem(place: shortfall.place, reason: reason, isLoss: false, others: shortfall.count - 1)
        }
    }
}
