// Which paths were taken lately, and how often their quiet period is doubled by now.
// Two generations of a table: when the young one is full it becomes the old one, and the old one is forgotten. Forgetting a hot
// path costs a few snapshots more, never a change.

struct PathHeat: Sendable {
    struct Record: Hashable, Sendable {
        var level: UInt8
        /// Nanoseconds of `BootInstant`.
        var taken: Int64
    }

    private var young: [PathPrefix: Record] = [:]
    private var old: [PathPrefix: Record] = [:]
    private let capacity: Int

    /// - Parameter capacity: Paths of one generation.
    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    var isEmpty: Bool { young.isEmpty && old.isEmpty }

    /// All that is remembered; of a path in both generations the younger record.
    var records: [PathPrefix: Record] { old.merging(young) { $1 } }

    subscript(path: PathPrefix) -> Record? {
        young[path] ?? (old.isEmpty ? nil : old[path])
    }

    mutating func record(_ path: PathPrefix, _ record: Record) {
        if young.count >= capacity, young[path] == nil {
            old = young
            young = [:]
        }
        young[path] = record
    }
}
