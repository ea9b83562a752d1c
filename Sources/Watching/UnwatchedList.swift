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

    var listed: [(path: Path, reason: UnwatchedReason)] {
        reasons.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
    }

    func contains(_ reason: UnwatchedReason) -> Bool {
        unlisted > 0 || reasons.values.contains(reason)
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
