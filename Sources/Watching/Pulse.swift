// How others see that a thread lives.
// In: the thread's own beats.  Out: a count that stands still when the thread does.

internal import Synchronization

package final class Pulse: Sendable {
    private let beats = Atomic<UInt64>(0)

    package init() {}

    package var count: UInt64 { beats.load(ordering: .relaxed) }

    /// One more turn, or one more step of long work.
    package func beat() { beats.add(1, ordering: .relaxed) }
}
