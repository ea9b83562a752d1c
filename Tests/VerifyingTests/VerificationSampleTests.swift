// Samples reach every archive in time, whatever is written and removed meanwhile.

import Archiving
import Cataloging
import Encrypting
import Storing
import Testing

@testable import Verifying

struct VerificationSampleTests {
    private let day: Int64 = 86_400_000

    private func archive(_ number: UInt64, size: UInt64, time: Int64 = 0) -> StoredArchive {
        StoredArchive(
            name: ArchiveName(number: number, time: time, kind: .incremental, digest: SHA256.digest(of: Array("\(number)".utf8))), size: size)
    }

    private func numbers(_ archives: [StoredArchive]) -> [UInt64] { archives.map(\.name.number) }

    @Test func whatWasNeverReadComesFirstThenWhatWasReadLongestAgo() {
        let all = (1...4).map { archive($0, size: 100) }
        let readings: Readings = [all[0].name: 30, all[1].name: 10, all[3].name: 20]
        #expect(numbers(VerificationSample.choose(1, of: all, readings: readings)) == [3, 2, 4, 1])
        #expect(numbers(VerificationSample.choose(0.5, of: all, readings: readings)) == [3, 2])
        #expect(numbers(VerificationSample.choose(0.51, of: all, readings: readings)) == [3, 2, 4])
    }

    @Test func atLeastOneArchiveIsRead() {
        let all = (1...3).map { archive($0, size: 0) }
        #expect(numbers(VerificationSample.choose(0, of: all, readings: [:])) == [1])
        #expect(VerificationSample.choose(1, of: [], readings: [:]).isEmpty)
    }

    /// Archives of other bytes under a number that is known were not read.
    @Test func aReadingBelongsToTheBytes() {
        let known = archive(1, size: 100)
        var other = known
        other.name.digest = SHA256.digest(of: [])
        let newer = archive(2, size: 100)
        #expect(numbers(VerificationSample.choose(0.1, of: [other, newer], readings: [known.name: 7, newer.name: 5])) == [1])
    }

    /// Two hundred days of samples of 1/28. New archives are read back when they are written. Each archive is read again within 28 runs,
    /// also those of sizes that share no divisor, and one that is a large part of everything.
    @Test(arguments: [1, 2, 3] as [UInt64]) func dailySamplesReachEverythingWithinFourWeeks(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var stored: [StoredArchive] = []
        var readings: Readings = [:]
        var next: UInt64 = 1
        func write(_ count: Int, at time: Int64) {
            for _ in 0..<count {
                let exponent = Int.random(in: 0...29, using: &random)
                let new = archive(next, size: UInt64.random(in: 1...(1 << UInt64(exponent)), using: &random), time: time)
                stored.append(new)
                readings[new.name] = time
                next += 1
            }
        }
        write(200, at: 0)
        for today in 1...200 {
            let now = Int64(today) * day
            for archive in VerificationSample.choose(1.0 / 28, of: stored, readings: readings) { readings[archive.name] = now }
            let oldest = stored.compactMap { readings[$0.name] }.min() ?? 0
            #expect(oldest >= now - 28 * day, "seed \(seed), day \(today)")
            write(Int.random(in: 0...9, using: &random), at: now)
        }
    }

    /// After a catalog was lost nothing is known to be read: all of it is within 28 runs, though new archives come every day.
    @Test func whatIsUnknownIsReadWithinFourWeeks() {
        var random = SeededGenerator(seed: 11)
        var stored = (1...500).map { archive($0, size: UInt64.random(in: 1...1_000_003, using: &random)) }
        var readings: Readings = [:]
        for today in 1...28 {
            for archive in VerificationSample.choose(1.0 / 28, of: stored, readings: readings) { readings[archive.name] = Int64(today) }
            let new = archive(UInt64(500 + today), size: UInt64.random(in: 1...1_000_003, using: &random))
            stored.append(new)
            readings[new.name] = Int64(today)
        }
        #expect(stored.allSatisfy { readings[$0.name] != nil })
    }
}
