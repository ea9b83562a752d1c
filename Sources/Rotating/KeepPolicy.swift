// Which snapshots are to be kept: the `[keep]` of the configuration.
// Every rule that wants a snapshot keeps it; only `size` takes away. Rules count snapshots by number, never by time. The rules are
// those of restic's forget, with minutes and quarters of an hour added.

/// Counts of 0 switch a rule off. With nothing but zeros the newest snapshot is kept, and what is pinned.
package struct KeepPolicy: Hashable, Sendable {
    /// The newest so many.
    package var last: Int
    /// All that are at most this much older than the newest. Zero: off.
    package var within: Duration
    /// The last snapshot of each of the newest so many periods that have one, by local time; weeks are those of ISO 8601.
    package var minutely: Int
    package var quarterHourly: Int
    package var hourly: Int
    package var daily: Int
    package var weekly: Int
    package var monthly: Int
    package var yearly: Int
    /// The newest so many recorded fulls.
    package var fulls: Int
    /// Bytes that all kept snapshots together may take. The oldest go first, whatever wants them; never the newest, nor pinned ones.
    package var size: UInt64?

    /// The defaults of the configuration: a quarter of an hour for a day, an hour for a week, a day for a month, and so on.
    package init(
        last: Int = 0, within: Duration = .seconds(3600), minutely: Int = 0, quarterHourly: Int = 96, hourly: Int = 168,
        daily: Int = 30, weekly: Int = 52, monthly: Int = 24, yearly: Int = 10, fulls: Int = 0, size: UInt64? = nil
    ) {
        self.last = last
        self.within = within
        self.minutely = minutely
        self.quarterHourly = quarterHourly
        self.hourly = hourly
        self.daily = daily
        self.weekly = weekly
        self.monthly = monthly
        self.yearly = yearly
        self.fulls = fulls
        self.size = size
    }

    /// Every rule off.
    package static let newestOnly = KeepPolicy(
        within: .zero, quarterHourly: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0)
}

/// What holds a snapshot. The text is that of `watchctl rotate --json`.
package enum KeepReason: String, Hashable, Sendable, CaseIterable {
    case newest, pinned, last, within, minutely
    case quarterHourly = "quarter_hourly"
    case hourly, daily, weekly, monthly, yearly, fulls
    /// No rule wants it, but the kept standalone snapshot behind it takes nothing in.
    case beforeStandalone = "before_standalone"
    /// Other snapshots were to be forgotten, and not this one.
    case asked
    /// No rule wants it, but the clock is not trusted: see `RotationPlan.Suspension`.
    case suspended
}

/// What rotation needs to know of a snapshot.
package struct SnapshotSummary: Hashable, Sendable {
    package var number: UInt64
    /// Milliseconds since 1970.
    package var time: Int64
    package var isFull: Bool
    package var isPinned: Bool
    /// Stores everything itself and refers to nothing older.
    package var isStandalone: Bool
    /// Of its archives in the repository.
    package var bytes: UInt64

    package init(
        number: UInt64, time: Int64, isFull: Bool = false, isPinned: Bool = false, isStandalone: Bool = false, bytes: UInt64 = 0
    ) {
        self.number = number
        self.time = time
        self.isFull = isFull
        self.isPinned = isPinned
        self.isStandalone = isStandalone
        self.bytes = bytes
    }
}
