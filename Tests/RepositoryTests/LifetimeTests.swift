// What is left of years of use: as many snapshots as the policy promises, and no more bytes than these need.

import Agent
import Cataloging
import Encrypting
import Kernel
import Storing
import Testing

@Suite(.serialized) struct LifetimeTests {
    private static let isLong = ProcessIdentity.environment("AUTO_BACKUP_LONG") != nil

    @Test func yearTakesNoMoreThanWhatIsKept() throws { try live(days: 365) }

    @Test(.enabled(if: isLong, "AUTO_BACKUP_LONG is not set")) func tenYearsTakeNoMoreThanWhatIsKept() throws { try live(days: 3650) }

    private func live(days: Int) throws {
        let pool = Lifetime.pool()
        let life = try Lifetime(pool: pool)
        try life.live(days: days)
        let kept = try life.session.catalog.snapshots().map(\.number)
        #expect(kept == promised(life.moments).sorted())
        var reader = try SnapshotReader(life.session)
        for number in kept {
            let state = try #require(life.states[number])
            let found = try reader.state(of: number).lines.filter { $0.value.kind == .file }
            #expect(found.count == state.count)
            for (name, pieces) in state {
                let digest = SHA256.digest(of: life.bytes(pieces))
                #expect(found[life.bench.source.appending(name.utf8)]?.digest == digest, "\(name) of snapshot \(number)")
            }
        }
        let fresh = try Lifetime(pool: pool)
        try fresh.takeOnly(kept.compactMap { life.states[$0] })
        let (size, least) = (try life.size, try fresh.size)
        #expect(size <= least + least / 5, "\(size) bytes; what is kept needs \(least)")
    }

    /// The default policy over all snapshots that were ever taken: the last of each of the newest so many periods that have one.
    private func promised(_ moments: [UInt64: Timestamp]) -> Set<UInt64> {
        let newestFirst = moments.keys.sorted(by: >)
        guard let newest = newestFirst.first.flatMap({ moments[$0] }) else { return [] }
        var result = Set(newestFirst.filter { moments[$0].map { newest.duration(since: $0) <= .seconds(3600) } ?? false })
        let periods: [(count: Int, name: (CalendarTime, Int64) -> String)] = [
            (96, { time, _ in "\(time.year) \(time.dayOfYear) \(time.hour) \(time.minute / 15) \(time.offsetSeconds)" }),
            (168, { time, _ in "\(time.year) \(time.dayOfYear) \(time.hour) \(time.offsetSeconds)" }),
            (30, { time, _ in "\(time.year) \(time.dayOfYear)" }),
            // 1970-01-05 was a Monday.
            (52, { _, day in "\((day - 4) / 7)" }),
            (24, { time, _ in "\(time.year) \(time.month)" }),
            (10, { time, _ in "\(time.year)" }),
        ]
        for (count, name) in periods {
            var seen: Set<String> = []
            for number in newestFirst {
                guard let moment = moments[number] else { continue }
                let time = CalendarTime(moment, in: .local)
                let isNew = seen.insert(name(time, (moment.seconds + Int64(time.offsetSeconds)) / 86_400)).inserted
                if seen.count > count { break }
                if isNew { result.insert(number) }
            }
        }
        return result
    }
}
