// The directories that only a reconcile covers, with the reason for each.
// Invariant: at most `capacity` are listed by name; `count` counts the others too.

import Kernel

struct UnwatchedList {
    private let capacity: Int
    private var reasons: [Path: UnwatchedReason] = [:]
    private var unlisted = 0

    init(capacity: Int) {
        self.capacity = max(0, capacity)
    }

    var count: Int { reasons.count + unlisted }
    var isEmpty: Bool { reasons.isEmpty }
    var isComplete: Bool { unlisted == 0 }

    var listed: [(path: Path, reason: UnwatchedReason)] {
        reasons.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
    }

    func contains(_ reason: UnwatchedReason) -> Bool {
        unlisted > 0 || reasons.values.contains(reason)
    }

    /// Some would be watched if there were descriptors or memory.
    var hasShortage: Bool {
        reasons.values.contains { if case .shortOf = $0 { true } else { false } }
    }

    func reason(of path: Path) -> UnwatchedReason? { reasons[path] }

    /// The listed directory at or nearest above a path.
    func nearest(_ path: Path) -> (path: Path, reason: UnwatchedReason)? {
        if reasons.isEmpty { return nil }
        var place: Path? = path
        while let here = place {
            if let reason = reasons[here] { return (here, reason) }
            place = here.parent
        }
        return nil
    }

    /// Those of `earlier` that are not here any more; nil when they are not all known by name.
    func released(since earlier: UnwatchedList) -> [Path]? {
        earlier.isComplete ? earlier.reasons.keys.filter { reasons[$0] == nil }.sorted() : nil
    }

    mutating func insert(_ path: Path, _ reason: UnwatchedReason) {
        if reasons[path] != nil || reasons.count < capacity { reasons[path] = reason } else { unlisted += 1 }
    }

    mutating func remove(_ path: Path) {
        if !reasons.isEmpty { reasons[path] = nil }
    }

    /// For a directory that has another path now, or is gone.
    mutating func remove(atOrBelow path: Path) {
        if !reasons.isEmpty { reasons = reasons.filter { !$0.key.isAtOrBelow(path) } }
    }

    mutating func removeAll() {
        reasons = [:]
        unlisted = 0
    }
}
