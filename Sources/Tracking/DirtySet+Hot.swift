// Which paths do not come to rest, for whoever wonders why they are saved seldom.
// In: what is pending, and what was taken lately.  Out: HotPath.
// Invariant: only looks; what is hot is decided where members are taken.

package import Kernel

/// A path that changes all the time, and is taken less and less often: a log, a database, the disk of a virtual machine.
package struct HotPath: Hashable, Sendable {
    package let path: Path
    /// How long it must rest now before it is taken; it is also taken this long after its first change.
    package let rest: Duration
    /// When it is taken next; nil when it has not changed since it was taken.
    package let due: BootInstant?
}

extension DirtySet {
    /// The hottest paths, those that must rest longest first.
    ///
    /// - Complexity: O(members + paths that were taken lately).
    package func hot(at instant: BootInstant, limit: Int) -> [HotPath] {
        var found: [PathPrefix: HotPath] = [:]
        for (prefix, record) in heat.records where isHot(record, at: instant) {
            found[prefix] = HotPath(path: prefix.path, rest: rest(record.level), due: nil)
        }
        for node in tree.nodes where node.isMember {
            // One that comes back changed is hot at once, and one that was pending all the time once it is taken.
            found[node.prefix] = node.clock.level == 0 ? nil
                : HotPath(path: node.path, rest: rest(node.clock.level), due: BootInstant(nanoseconds: patience.due(node.clock)))
        }
        return Array(found.values.sorted { ($1.rest, $0.path) < ($0.rest, $1.path) }.prefix(limit))
    }

    /// Nil when the path is as any other.
    package func hot(_ path: Path, at instant: BootInstant) -> HotPath? {
        if let pending = pending(at: path), pending.change.path == path {
            return pending.rest.map { HotPath(path: path, rest: $0, due: pending.due) }
        }
        guard let record = heat[PathPrefix(bytes: path.bytes, length: path.bytes.count)], isHot(record, at: instant) else { return nil }
        return HotPath(path: path, rest: rest(record.level), due: nil)
    }

    private func isHot(_ record: PathHeat.Record, at instant: BootInstant) -> Bool {
        record.level > 0 && instant.nanoseconds - record.taken < patience.calm(level: record.level)
    }

    func rest(_ level: UInt8) -> Duration { .nanoseconds(patience.quiet(settled: false, level: level)) }
}
