// What one snapshot takes out of the dirty set.
// In: settled members of `DirtySet`.  Out: the places where Scanning looks, in tree order.
// A batch remembers how old each change is. When its snapshot fails, `DirtySet.giveBack` puts all of it back as old as it was.

package import Kernel

/// Changes in tree order, none covered by another of them.
package struct DirtyBatch: Hashable, Sendable {
    /// In tree order: a directory stands before what is in it.
    package let changes: [Change]
    /// The clocks of the changes, in the same order.
    let clocks: [DirtyClock]

    /// A batch of nothing.
    package static let empty = DirtyBatch([])

    /// - Complexity: O(n log n).
    init(_ members: [(change: Change, clock: DirtyClock)]) {
        let sorted = members.sorted { $0.change.path < $1.change.path }
        changes = sorted.map(\.change)
        clocks = sorted.map(\.clock)
    }

    package var isEmpty: Bool { changes.isEmpty }
    package var count: Int { changes.count }

    /// The instant of the oldest change in it; nil when empty.
    package var oldest: BootInstant? {
        clocks.lazy.map(\.first).min().map(BootInstant.init(nanoseconds:))
    }
}
