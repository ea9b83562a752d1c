// Which snapshots stay, why, and which become one.
// In: all snapshots, the policy, the wall clock.  Out: a choice for each, and the runs to merge.  Pure; nothing is touched.
// Invariants: the newest and the pinned stay; what the plan drops, it names in exactly one merge; planning again after
// the plan was carried out drops nothing more.
// Ages are counted against the newest snapshot, so a clock that runs ahead while nothing is saved makes nothing old.

package import Kernel

/// A run of dropped snapshots and the kept one that follows it, whose archive takes over what is still reachable of them.
package struct MergeGroup: Hashable, Sendable {
    /// Ascending. No kept snapshot stands between them.
    package let dropped: [UInt64]
    package let into: UInt64

    /// - Parameter dropped: Empty when only the archive of `into` is rewritten.
    package init(dropped: [UInt64], into: UInt64) {
        self.dropped = dropped
        self.into = into
    }
}

package struct RotationPlan: Hashable, Sendable {
    package struct Choice: Hashable, Sendable {
        package let number: UInt64
        package let keep: Bool
        /// Empty when it is dropped.
        package let reasons: [KeepReason]
    }

    /// Why nothing is dropped for now.
    package enum Suspension: String, Hashable, Sendable {
        /// The newest snapshot is more than five minutes in the future: the clock was set back, or was wrong.
        case clockBehind = "clock-behind"
        /// Within the last day of snapshots, one is more than five minutes older than the one before it.
        case clockSetBack = "clock-set-back"
        /// Within the last day of snapshots, one is more than 30 days newer than the one before it: the computer was off, or the
        /// clock jumped. A day of snapshots on the far side tells.
        case clockJumped = "clock-jumped"
    }

    /// For every snapshot, ascending by number.
    package let choices: [Choice]
    /// Never into a kept standalone snapshot, whose archives are to hold nothing of others: the one before it stays, for the run to merge
    /// into. A standalone snapshot that is dropped itself has given up its independence and merges as a full.
    package let merges: [MergeGroup]
    package let suspension: Suspension?

    /// - Parameter snapshots: In any order; no number twice.
    /// - Complexity: O(n log n); about two microseconds for each snapshot.
    package init(snapshots: [SnapshotSummary], policy: KeepPolicy, now: Timestamp, zone: CalendarTime.Zone = .local) {
        self.init(snapshots: snapshots, policy: policy, now: now) { CalendarTime($0, in: zone) }
    }

    /// Drops these snapshots and no others. One that stands before a kept standalone snapshot and has nothing to merge into stays.
    package init(snapshots: [SnapshotSummary], forgetting numbers: Set<UInt64>) {
        let ordered = snapshots.sorted { $0.number < $1.number }
        var rules = KeepRules(ordered)
        rules.keepAll(but: numbers)
        choices = zip(ordered, rules.reasons).map { Choice(number: $0.number, keep: !$1.isEmpty, reasons: $1) }
        merges = RotationPlan.grouped(choices)
        suspension = nil
    }

    /// The same by another calendar.
    init(snapshots: [SnapshotSummary], policy: KeepPolicy, now: Timestamp, calendar: (Timestamp) -> CalendarTime) {
        let ordered = snapshots.sorted { $0.number < $1.number }
        let suspension = RotationPlan.suspension(of: ordered, now: now)
        var rules = KeepRules(ordered)
        rules.apply(policy, calendar: calendar)
        let choices = zip(ordered, rules.reasons).map { snapshot, reasons in
            let reasons = reasons.isEmpty && suspension != nil ? [.suspended] : reasons
            return Choice(number: snapshot.number, keep: !reasons.isEmpty, reasons: reasons)
        }
        merges = RotationPlan.grouped(choices)
        self.choices = choices
        self.suspension = suspension
    }

    /// Whether the clock can be trusted with what cannot be undone.
    private static func suspension(of ordered: [SnapshotSummary], now: Timestamp) -> Suspension? {
        let tolerance: Int64 = 5 * 60 * 1000
        let longestGap: Int64 = 30 * 86_400_000
        let confirmation: Int64 = 86_400_000
        guard let newest = ordered.last else { return nil }
        if difference(newest.time, now.milliseconds) > tolerance { return .clockBehind }
        for (earlier, later) in zip(ordered, ordered.dropFirst()).reversed() {
            // Where snapshots between two were rotated away, the gap says nothing.
            guard later.number - earlier.number == 1, (0..<confirmation).contains(difference(newest.time, later.time)) else { continue }
            let step = difference(later.time, earlier.time)
            if step < -tolerance { return .clockSetBack }
            if step > longestGap { return .clockJumped }
        }
        return nil
    }

    private static func grouped(_ choices: [Choice]) -> [MergeGroup] {
        var merges: [MergeGroup] = []
        var run: [UInt64] = []
        for choice in choices {
            if !choice.keep {
                run.append(choice.number)
            } else if !run.isEmpty {
                merges.append(MergeGroup(dropped: run, into: choice.number))
                run = []
            }
        }
        return merges
    }

    /// Milliseconds from `right` to `left`; saturates.
    static func difference(_ left: Int64, _ right: Int64) -> Int64 {
        let (difference, overflow) = left.subtractingReportingOverflow(right)
        return overflow ? (left < right ? .min : .max) : difference
    }
}

/// The rules of a policy, one after the other, each adding its reason to what it wants.
private struct KeepRules {
    let snapshots: [SnapshotSummary]
    /// For each snapshot, in the same order.
    var reasons: [[KeepReason]]

    init(_ ordered: [SnapshotSummary]) {
        snapshots = ordered
        reasons = Array(repeating: [], count: ordered.count)
    }

    mutating func apply(_ policy: KeepPolicy, calendar: (Timestamp) -> CalendarTime) {
        guard let newest = snapshots.last else { return }
        reasons[snapshots.count - 1].append(.newest)
        keep(.pinned, where: \.isPinned)
        keepNewest(policy.last, .last) { _ in true }
        keepWithin(policy.within, of: newest.time)
        keepPeriods(policy, calendar: calendar)
        keepNewest(policy.fulls, .fulls, where: \.isFull)
        if let size = policy.size { dropOldest(over: size) }
        keepBeforeStandalone()
    }

    mutating func keepAll(but numbers: Set<UInt64>) {
        keep(.asked) { !numbers.contains($0.number) }
        keepBeforeStandalone()
    }

    private mutating func keep(_ reason: KeepReason, where isWanted: (SnapshotSummary) -> Bool) {
        for index in snapshots.indices where isWanted(snapshots[index]) { reasons[index].append(reason) }
    }

    private mutating func keepNewest(_ count: Int, _ reason: KeepReason, where isWanted: (SnapshotSummary) -> Bool) {
        guard count > 0 else { return }
        var left = count
        for index in snapshots.indices.reversed() where left > 0 && isWanted(snapshots[index]) {
            reasons[index].append(reason)
            left -= 1
        }
    }

    /// Counted both ways: a snapshot from a time when the clock ran years ahead is not young for all those years.
    private mutating func keepWithin(_ duration: Duration, of newest: Int64) {
        let limit = duration.nanosecondsClamped / 1_000_000
        guard duration > .zero else { return }
        keep(.within) { (-limit...limit).contains(RotationPlan.difference(newest, $0.time)) }
    }

    private mutating func keepPeriods(_ policy: KeepPolicy, calendar: (Timestamp) -> CalendarTime) {
        let rules: [(count: Int, reason: KeepReason, period: (LocalMoment) -> PeriodKey)] = [
            (policy.minutely, .minutely, { $0.minutes(1) }),
            (policy.quarterHourly, .quarterHourly, { $0.minutes(15) }),
            (policy.hourly, .hourly, { $0.minutes(60) }),
            (policy.daily, .daily, { PeriodKey(count: $0.day) }),
            (policy.weekly, .weekly, { PeriodKey(count: $0.week) }),
            (policy.monthly, .monthly, { PeriodKey(count: $0.month) }),
            (policy.yearly, .yearly, { PeriodKey(count: $0.year) }),
        ].filter { $0.count > 0 }
        if rules.isEmpty { return }
        let moments = snapshots.map { LocalMoment($0.time, calendar) }
        for rule in rules {
            var seen: Set<PeriodKey> = []
            for index in snapshots.indices.reversed() {
                guard seen.insert(rule.period(moments[index])).inserted else { continue }
                if seen.count > rule.count { break }
                reasons[index].append(rule.reason)
            }
        }
    }

    /// A run of dropped snapshots needs a kept one to merge into that is not standalone.
    private mutating func keepBeforeStandalone() {
        for index in snapshots.indices.reversed().dropLast() where snapshots[index].isStandalone && !reasons[index].isEmpty {
            if reasons[index - 1].isEmpty { reasons[index - 1].append(.beforeStandalone) }
        }
    }

    /// A merge carries on what is still reachable, so this may free less than it counts; the next rotation goes on from there.
    private mutating func dropOldest(over size: UInt64) {
        // Counted from the newest down; what cannot be dropped counts first.
        let isHeld = snapshots.indices.map { snapshots[$0].isPinned || $0 == snapshots.count - 1 }
        var total: UInt64 = 0
        for index in snapshots.indices where isHeld[index] { total = KeepRules.sum(total, snapshots[index].bytes) }
        for index in snapshots.indices.reversed() where !isHeld[index] && !reasons[index].isEmpty {
            total = KeepRules.sum(total, snapshots[index].bytes)
            if total > size { reasons[index] = [] }
        }
    }

    /// Saturates.
    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}

/// One period of time; unequal to every other of its rule.
private struct PeriodKey: Hashable {
    var count: Int64
    /// Keeps the two hours apart that bear the same name when summer time ends.
    var offset: Int64 = 0
}

/// A moment by the clock on the wall.
private struct LocalMoment {
    /// Since 1970-01-01T00:00 local time.
    let seconds: Int64
    let offset: Int64
    let year: Int64
    /// Since the year 0.
    let month: Int64

    init(_ milliseconds: Int64, _ calendar: (Timestamp) -> CalendarTime) {
        // The years 1...9999: a time beyond them is damage or a lie, and need not be told from others.
        let time = Timestamp(milliseconds: min(max(milliseconds, -62_135_000_000_000), 253_402_000_000_000))
        let local = calendar(time)
        offset = Int64(local.offsetSeconds)
        seconds = time.seconds + offset
        year = Int64(local.year)
        month = year * 12 + Int64(local.month)
    }

    func minutes(_ count: Int64) -> PeriodKey { PeriodKey(count: LocalMoment.floor(seconds, count * 60), offset: offset) }

    var day: Int64 { LocalMoment.floor(seconds, 86400) }

    /// Weeks begin on Monday; 1970-01-01 was a Thursday, the fourth day of its week.
    var week: Int64 { LocalMoment.floor(day + 3, 7) }

    private static func floor(_ value: Int64, _ divisor: Int64) -> Int64 {
        value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor)
    }
}
