// Which snapshots a policy keeps, in small cases that can be checked by eye.

import Kernel
import Testing

@testable import Rotating

/// Milliseconds of a moment in UTC.
func time(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0, _ second: Int = 0) -> Int64 {
    CalendarTime.moment(year: year, month: month, day: day, hour: hour, minute: minute, second: second, in: .utc).milliseconds
}

private let tenOClock = time(2026, 11, 23, 10)

/// Numbered from 1.
func snapshots(_ times: [Int64]) -> [SnapshotSummary] {
    times.enumerated().map { SnapshotSummary(number: UInt64($0 + 1), time: $1, bytes: 10) }
}

func policy(_ change: (inout KeepPolicy) -> Void) -> KeepPolicy {
    var policy = KeepPolicy.newestOnly
    change(&policy)
    return policy
}

extension RotationPlan {
    /// At the moment of the newest snapshot, in UTC.
    init(_ snapshots: [SnapshotSummary], _ change: (inout KeepPolicy) -> Void = { _ in }) {
        let newest = snapshots.max { $0.number < $1.number }?.time ?? 0
        self.init(snapshots: snapshots, policy: policy(change), now: Timestamp(milliseconds: newest), zone: .utc)
    }

    var kept: [UInt64] { choices.filter(\.keep).map(\.number) }

    func reasons(_ number: UInt64) -> [KeepReason] { choices.first { $0.number == number }?.reasons ?? [] }
}

struct RotationPlanTests {
    private let minutes = snapshots((0..<120).map { tenOClock + Int64($0) * 60_000 })

    @Test func emptyPolicyKeepsTheNewestAndThePinned() {
        var list = minutes
        list[4].isPinned = true
        let plan = RotationPlan(list)
        #expect(plan.kept == [5, 120])
        #expect(plan.reasons(5) == [.pinned])
        #expect(plan.reasons(120) == [.newest])
        #expect(plan.merges == [
            MergeGroup(dropped: [1, 2, 3, 4], into: 5), MergeGroup(dropped: Array(6...119), into: 120),
        ])
    }

    @Test func nothingGivesNothing() {
        let plan = RotationPlan([])
        #expect(plan.choices.isEmpty && plan.merges.isEmpty && plan.suspension == nil)
        #expect(RotationPlan(snapshots([5])).kept == [1])
    }

    @Test func lastCounts() {
        #expect(RotationPlan(minutes) { $0.last = 3 }.kept == [118, 119, 120])
        #expect(RotationPlan(snapshots([1, 2])) { $0.last = 3 }.kept == [1, 2])
    }

    @Test func withinCountsFromTheNewestNotFromNow() {
        let rule = policy { $0.within = .seconds(180) }
        let later = Timestamp(milliseconds: time(2027, 6, 1))
        #expect(RotationPlan(snapshots: minutes, policy: rule, now: later, zone: .utc).kept == [117, 118, 119, 120])
    }

    @Test func periodsKeepTheLastOfEach() {
        #expect(RotationPlan(minutes) { $0.hourly = 5 }.kept == [60, 120])
        #expect(RotationPlan(minutes) { $0.hourly = 1 }.kept == [120])
        #expect(RotationPlan(minutes) { $0.quarterHourly = 3 }.kept == [90, 105, 120])
        #expect(RotationPlan(minutes) { $0.minutely = 4 }.kept == [117, 118, 119, 120])
        let days = snapshots((0..<800).map { time(2024, 1, 1, 12) + $0 * 86_400_000 })
        #expect(RotationPlan(days) { $0.daily = 3 }.kept == [798, 799, 800])
        // 2024 has 366 days, 2025 has 365.
        #expect(RotationPlan(days) { $0.yearly = 9 }.kept == [366, 731, 800])
        // The ends of January and February 2026, and the newest.
        #expect(RotationPlan(days) { $0.monthly = 3 }.kept == [731 + 31, 731 + 31 + 28, 800])
    }

    @Test func everyReasonIsNamed() {
        let plan = RotationPlan(minutes) {
            $0.last = 1
            $0.within = .seconds(1)
            $0.minutely = 1
            $0.quarterHourly = 1
            $0.hourly = 2
            $0.daily = 1
            $0.weekly = 1
            $0.monthly = 1
            $0.yearly = 1
        }
        let all: [KeepReason] = [
            .newest, .last, .within, .minutely, .quarterHourly, .hourly, .daily, .weekly, .monthly, .yearly,
        ]
        #expect(plan.reasons(120) == all)
        #expect(plan.reasons(60) == [.hourly])
        #expect(plan.reasons(61).isEmpty)
    }

    @Test func periodsWithoutASnapshotAreNotCounted() {
        let list = snapshots([time(2020, 1, 1), time(2026, 11, 1), time(2026, 11, 20), time(2026, 11, 23)])
        #expect(RotationPlan(list) { $0.daily = 4 }.kept == [1, 2, 3, 4])
    }

    @Test func weeksAreThoseOfISO8601() {
        // Sunday 2026-01-04 ends the week that begins on Monday 2025-12-29.
        let list = snapshots([time(2025, 12, 28, 23), time(2025, 12, 29), time(2026, 1, 1), time(2026, 1, 4, 23, 59), time(2026, 1, 5)])
        #expect(RotationPlan(list) { $0.weekly = 3 }.kept == [1, 4, 5])
    }

    @Test func fullsAreCountedApart() {
        var list = minutes
        for index in [0, 30, 60, 90] { list[index].isFull = true }
        let plan = RotationPlan(list) { $0.fulls = 2 }
        #expect(plan.kept == [61, 91, 120])
        #expect(plan.reasons(61) == [.fulls])
    }

    @Test func sizeTakesTheOldestButNotTheNewestNorThePinned() {
        var list = minutes
        list[0].isPinned = true
        // Pinned and newest take 20 of 55; the others get 10 each.
        let plan = RotationPlan(list) {
            $0.last = 10
            $0.size = 55
        }
        #expect(plan.kept == [1, 117, 118, 119, 120])
        #expect(RotationPlan(list) { $0.last = 10; $0.size = 0 }.kept == [1, 120])
        for index in list.indices { list[index].bytes = .max }
        #expect(RotationPlan(list) { $0.last = 10; $0.size = .max - 1 }.kept == [1, 120])
    }

    @Test func endOfSummerTimeKeepsBothHours() {
        // Two o'clock comes twice: at 00:00Z with two hours, at 01:00Z with one hour ahead of UTC.
        let change = Timestamp(milliseconds: time(2026, 10, 25, 1))
        let list = snapshots([time(2026, 10, 24, 23, 30), time(2026, 10, 25, 0, 30), time(2026, 10, 25, 1, 30), time(2026, 10, 25, 2, 30)])
        let plan = RotationPlan(
            snapshots: list, policy: policy { $0.hourly = 4 }, now: Timestamp(milliseconds: time(2026, 10, 25, 3))
        ) { moment in
            let offset = moment < change ? 7200 : 3600
            var local = CalendarTime(moment.adding(.seconds(offset)), in: .utc)
            local.offsetSeconds = offset
            return local
        }
        #expect(plan.kept == [1, 2, 3, 4])
    }

    @Test func periodsAreThoseOfLocalTime() {
        // Five hours behind: both fall on the 22nd there.
        let list = snapshots([time(2026, 11, 22, 20), time(2026, 11, 23, 2)])
        let now = Timestamp(milliseconds: time(2026, 11, 23, 2))
        let rule = policy { $0.daily = 9 }
        let plan = RotationPlan(snapshots: list, policy: rule, now: now) { moment in
            var local = CalendarTime(moment.adding(.seconds(-18_000)), in: .utc)
            local.offsetSeconds = -18_000
            return local
        }
        #expect(plan.kept == [2])
        #expect(RotationPlan(snapshots: list, policy: rule, now: now, zone: .utc).kept == [1, 2])
    }

    @Test func equalTimesGoByNumber() {
        // In any order in the list, too.
        let list = Array(snapshots(Array(repeating: time(2026, 11, 23, 10), count: 4)).reversed())
        #expect(RotationPlan(list) { $0.hourly = 3 }.kept == [4])
        #expect(RotationPlan(list) { $0.last = 2 }.kept == [3, 4])
    }

    @Test func orderIsByNumberWhereTimesAreNot() {
        // The clock ran two minutes back between 3 and 4: both hours are kept by what was saved last in them.
        let list = snapshots([time(2026, 11, 23, 9), time(2026, 11, 23, 9, 30), time(2026, 11, 23, 10, 1), time(2026, 11, 23, 9, 59)])
        #expect(RotationPlan(list) { $0.hourly = 3 }.kept == [3, 4])
        #expect(RotationPlan(list).kept == [4])
    }

    @Test func timesBeyondAllReasonDoNotTrap() {
        let list = snapshots([.min, .max, 0, -1, 1, .min, .max])
        let now = Timestamp(milliseconds: 0)
        #expect(RotationPlan(snapshots: list, policy: KeepPolicy(), now: now, zone: .utc).suspension == .clockBehind)
        #expect(RotationPlan(snapshots: list, policy: KeepPolicy(), now: Timestamp(milliseconds: .max), zone: .utc).kept.count == 7)
    }
}

struct RotationSuspensionTests {
    private let minutes = snapshots((0..<100).map { tenOClock + Int64($0) * 60_000 })

    @Test func clockBehindTheNewestSnapshotStopsRotation() {
        func plan(_ seconds: Int64) -> RotationPlan {
            let now = Timestamp(milliseconds: (minutes.last?.time ?? 0) + seconds * 1000)
            return RotationPlan(snapshots: minutes, policy: policy { $0.last = 2 }, now: now, zone: .utc)
        }
        #expect(plan(-300).kept == [99, 100])
        let suspended = plan(-301)
        #expect(suspended.suspension == .clockBehind)
        #expect(suspended.kept.count == 100)
        #expect(suspended.merges.isEmpty)
        #expect(suspended.reasons(1) == [.suspended])
        #expect(suspended.reasons(99) == [.last])
        #expect(plan(1_000_000_000).kept == [99, 100])
    }

    /// Ten years ahead, a snapshot, and everything was older than any `within`.
    @Test func clockThatJumpedAheadStopsRotationUntilADayConfirmsIt() {
        let jump = time(2036, 1, 1)
        var list = minutes
        for minute in 0..<1441 as Range<Int64> {
            list.append(SnapshotSummary(number: UInt64(101 + minute), time: jump + minute * 60_000))
            let plan = RotationPlan(list) { $0.within = .seconds(3600) }
            if minute < 1440 {
                if plan.suspension != .clockJumped { Issue.record("rotates after \(minute) minutes") }
            } else {
                #expect(plan.suspension == nil)
                #expect(plan.kept.count == 61)
            }
        }
    }

    @Test func clockThatWasSetBackStopsRotationForADay() {
        var list = minutes
        let before = time(2026, 11, 1)
        list.append(SnapshotSummary(number: 101, time: before))
        #expect(RotationPlan(list).suspension == .clockSetBack)
        list.append(SnapshotSummary(number: 102, time: before + 86_399_999))
        #expect(RotationPlan(list).suspension == .clockSetBack)
        list.append(SnapshotSummary(number: 103, time: before + 86_400_000))
        #expect(RotationPlan(list).kept == [103])
    }

    @Test func gapThatRotationMadeIsNoJump() {
        let list = [
            SnapshotSummary(number: 1, time: time(2024, 12, 31)), SnapshotSummary(number: 5000, time: time(2026, 6, 1)),
            SnapshotSummary(number: 5001, time: time(2026, 6, 2)),
        ]
        #expect(RotationPlan(list).kept == [5001])
    }
}

struct RotationMergingTests {
    private func plan(_ count: Int, kept: Set<UInt64>, standalone: Set<UInt64>) -> RotationPlan {
        var list = snapshots((0..<count).map { tenOClock + Int64($0) * 60_000 })
        for index in list.indices {
            list[index].isPinned = kept.contains(list[index].number)
            list[index].isStandalone = standalone.contains(list[index].number)
        }
        return RotationPlan(list)
    }

    @Test func runsMergeIntoTheKeptOneThatFollows() {
        let plan = plan(8, kept: [3, 4], standalone: [])
        #expect(plan.merges == [MergeGroup(dropped: [1, 2], into: 3), MergeGroup(dropped: [5, 6, 7], into: 8)])
    }

    @Test func keptStandaloneIsNeverMergedInto() {
        let plan = plan(8, kept: [4], standalone: [4])
        #expect(plan.reasons(3) == [.beforeStandalone])
        #expect(plan.merges == [MergeGroup(dropped: [1, 2], into: 3), MergeGroup(dropped: [5, 6, 7], into: 8)])
    }

    @Test func droppedStandaloneMergesAsAFull() {
        let plan = plan(5, kept: [], standalone: [2])
        #expect(plan.merges == [MergeGroup(dropped: [1, 2, 3, 4], into: 5)])
    }

    /// Every set of kept and standalone ones among seven snapshots.
    @Test func everyDroppedOneHasExactlyOnePlace() {
        for keptBits in 0..<64 as Range<UInt64> {
            for standaloneBits in 0..<128 as Range<UInt64> {
                let kept = Set((1...6 as ClosedRange<UInt64>).filter { keptBits >> ($0 - 1) & 1 == 1 })
                let standalone = Set((1...7 as ClosedRange<UInt64>).filter { standaloneBits >> ($0 - 1) & 1 == 1 })
                let plan = plan(7, kept: kept, standalone: standalone)
                let placed = plan.merges.flatMap(\.dropped)
                if placed.sorted() != plan.choices.filter({ !$0.keep }).map(\.number) {
                    Issue.record("kept \(kept), standalone \(standalone): placed \(placed)")
                }
                for group in plan.merges where standalone.contains(group.into) || !plan.kept.contains(group.into) {
                    Issue.record("kept \(kept), standalone \(standalone): \(group)")
                }
            }
        }
    }
}
