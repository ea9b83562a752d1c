// Years of use and random histories: what stays, and that a plan carried out leaves nothing for the next.

import Kernel
import Testing

@testable import Rotating

struct RotationPlanLifetimeTests {
    /// A snapshot a minute on the first day, then fewer; rotated as the years pass.
    @Test func tenYearsKeepWhatThePolicyPromises() {
        let begin = time(2026, 1, 1)
        let year: Int64 = 365 * 86_400_000
        var list: [SnapshotSummary] = []
        var now = begin
        var number: UInt64 = 0
        var lastRotation = begin
        var most = 0
        while now < begin + 10 * year + 3 * 86_400_000 {
            number += 1
            list.append(SnapshotSummary(number: number, time: now, isFull: number % 500 == 1, bytes: 1))
            let age = now - begin
            let minutes: Int64 = age < 86_400_000 ? 1 : age < 7 * 86_400_000 ? 15 : age < year / 4 ? 120 : 720
            if now - lastRotation >= max(3_600_000, minutes * 6 * 60_000) {
                let plan = RotationPlan(snapshots: list, policy: KeepPolicy(), now: Timestamp(milliseconds: now), zone: .utc)
                #expect(plan.suspension == nil)
                let kept = Set(plan.kept)
                list.removeAll { !kept.contains($0.number) }
                lastRotation = now
            }
            most = max(most, list.count)
            now += minutes * 60_000
        }
        let newest = list.last?.time ?? 0
        let final = RotationPlan(snapshots: list, policy: KeepPolicy(), now: Timestamp(milliseconds: newest), zone: .utc)
        func count(_ reason: KeepReason) -> Int { final.choices.filter { $0.reasons.contains(reason) }.count }
        #expect(count(.quarterHourly) == 96)
        #expect(count(.hourly) == 168)
        #expect(count(.daily) == 30)
        #expect(count(.weekly) == 52)
        #expect(count(.monthly) == 24)
        #expect(count(.yearly) == 10)
        // The last of each year, to within the half day between two snapshots.
        let yearly = list.filter { final.reasons($0.number).contains(.yearly) }.dropLast()
        #expect(yearly.count == 9)
        for snapshot in yearly {
            let moment = CalendarTime(Timestamp(milliseconds: snapshot.time), in: .utc)
            #expect(moment.month == 12 && moment.day == 31)
        }
        #expect(most < 1000)
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func planCarriedOutLeavesNothingForTheNext(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var moment = time(2026, 3, 20)
        let list: [SnapshotSummary] = (1...300 as ClosedRange<UInt64>).map { number in
            // Mostly forward by up to four hours; now and then nothing, or a little back.
            moment += Int64.random(in: 0..<20, using: &generator) == 0
                ? Int64.random(in: -240_000...0, using: &generator) : Int64.random(in: 0...14_400_000, using: &generator)
            return SnapshotSummary(
                number: number, time: moment, isFull: Int.random(in: 0..<30, using: &generator) == 0,
                isPinned: Int.random(in: 0..<40, using: &generator) == 0,
                isStandalone: Int.random(in: 0..<60, using: &generator) == 0, bytes: UInt64.random(in: 0...100, using: &generator))
        }
        func number(_ limit: Int) -> Int { max(0, Int.random(in: -limit...limit, using: &generator)) }
        let rules = KeepPolicy(
            last: number(20), within: .seconds(number(200_000)), minutely: number(10), quarterHourly: number(20), hourly: number(50),
            daily: number(20), weekly: number(6), monthly: number(3), yearly: number(2), fulls: number(5),
            size: Bool.random(using: &generator) ? nil : UInt64.random(in: 0...8000, using: &generator))
        let now = Timestamp(milliseconds: moment + Int64.random(in: -290_000...10_000_000_000, using: &generator))
        let first = RotationPlan(snapshots: list, policy: rules, now: now, zone: .utc)
        let kept = Set(first.kept)
        let second = RotationPlan(snapshots: list.filter { kept.contains($0.number) }, policy: rules, now: now, zone: .utc)
        #expect(second.kept == first.kept, "seed \(seed)")
        #expect(second.merges.isEmpty, "seed \(seed)")
        // Where `size` has dropped what a rule wanted, that rule may name an older one that is kept anyway.
        let isSame = second.choices.map(\.reasons) == first.choices.filter(\.keep).map(\.reasons)
        #expect(isSame || rules.size != nil, "seed \(seed)")
        #expect(kept.contains(300), "seed \(seed)")
        for snapshot in list where snapshot.isPinned { #expect(kept.contains(snapshot.number), "seed \(seed)") }
    }

    @Test func fiftyThousandSnapshotsArePlannedTogether() {
        let list = snapshots((0..<50_000).map { time(2026, 1, 1) + Int64($0) * 60_000 })
        let plan = RotationPlan(list) {
            $0.hourly = 168
            $0.daily = 30
        }
        // 34 days and 17 hours 20 minutes: the last 168 hours hold the ends of eight of the days.
        #expect(plan.kept.count == 168 + 30 - 8)
    }
}
