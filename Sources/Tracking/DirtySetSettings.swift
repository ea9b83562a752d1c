// How long a path rests before it is taken, and how much the dirty set may hold.
// The limits are those of the watchers that proved them in use: 256 names of one directory, 8,192 members in all.

package import Kernel

/// Constants of one `DirtySet`.
package struct DirtySetSettings: Hashable, Sendable {
    /// A path is taken after this long without a change. Zero: at once.
    package var quiet: Duration
    /// The same, for a file whose writer has closed it. At most `quiet`.
    package var settledQuiet: Duration
    /// A path that never rests is taken this long after its first change, unless backoff has made its quiet period longer.
    package var deadline: Duration
    /// The longest quiet period that backoff reaches. No longer than `quiet`: no backoff.
    package var backoffLimit: Duration
    /// A directory with more dirty entries directly in it stands for them itself. 1 or more.
    package var childLimit: Int
    /// More members than this are gathered in their directories. 1 or more.
    package var memberLimit: Int
    /// A change further below its source than this many components marks the directory at that depth. 1 or more.
    package var depthLimit: Int
    /// The sources. A change elsewhere is not kept, and no member ever stands above a source. Those inside another are ignored.
    package var sources: [Path]

    package init(
        quiet: Duration = .seconds(2), settledQuiet: Duration? = nil, deadline: Duration = .seconds(30),
        backoffLimit: Duration = .seconds(15 * 60), childLimit: Int = 256, memberLimit: Int = 8192, depthLimit: Int = 32,
        sources: [Path] = [.root]
    ) {
        self.quiet = quiet
        self.settledQuiet = settledQuiet ?? quiet
        self.deadline = deadline
        self.backoffLimit = backoffLimit
        self.childLimit = childLimit
        self.memberLimit = memberLimit
        self.depthLimit = depthLimit
        self.sources = sources
    }
}

/// The clocks of the settings in nanoseconds, held within 36 years so that sums with an instant cannot overflow.
struct Patience: Sendable {
    let quiet: Int64
    let settledQuiet: Int64
    let deadline: Int64
    let backoffLimit: Int64

    init(_ settings: DirtySetSettings) {
        quiet = Patience.clamped(settings.quiet)
        settledQuiet = min(quiet, Patience.clamped(settings.settledQuiet))
        deadline = Patience.clamped(settings.deadline)
        backoffLimit = Patience.clamped(settings.backoffLimit)
    }

    /// Doubled more often, the shortest quiet period that makes sense is over any limit.
    static let highestLevel: UInt8 = 20

    /// False when the quiet period cannot grow.
    var backsOff: Bool { quiet > 0 && backoffLimit > quiet }

    private static func clamped(_ duration: Duration) -> Int64 {
        min(max(0, duration.nanosecondsClamped), 1 << 60)
    }

    /// The quiet period of a path whose backoff stands at `level`: doubled as often, up to the limit.
    func quiet(settled: Bool, level: UInt8) -> Int64 {
        let base = settled ? settledQuiet : quiet
        if level == 0 { return base }
        let limit = max(base, backoffLimit)
        // Compared before it is shifted, so no bit is lost.
        let shift = Int64(min(level, Patience.highestLevel))
        return base > limit >> shift ? limit : base << shift
    }

    /// When a member is to be taken.
    func due(_ clock: DirtyClock) -> Int64 {
        let quiet = quiet(settled: clock.settled, level: clock.level)
        let deadline = clock.level == 0 ? self.deadline : max(self.deadline, quiet)
        return min(clock.last + quiet, clock.first + deadline)
    }

    /// A change within this time of the taking of its path says that the path has not come to rest: four quiet periods.
    func calm(level: UInt8) -> Int64 {
        let quiet = quiet(settled: false, level: level)
        return min(4 * quiet, max(quiet, backoffLimit))
    }
}

/// The two clocks of a member, and how hot its path is.
struct DirtyClock: Hashable, Sendable {
    /// Nanoseconds of `BootInstant`: of the oldest change not yet in a snapshot, and of the newest one.
    var first: Int64
    var last: Int64
    var settled: Bool
    /// How often the quiet period is doubled.
    var level: UInt8 = 0
    /// Changed again soon after it was taken.
    var isReturning = false

    /// Takes over the clocks of a member that this one now stands for, or of another change.
    mutating func join(_ other: DirtyClock) {
        first = min(first, other.first)
        if other.last >= last {
            last = other.last
            settled = other.settled
        }
    }
}
