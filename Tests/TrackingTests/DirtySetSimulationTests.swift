// Seeded random lives of a dirty set beside a plain list of everything that was ever added.
// Held after every step: nothing is lost, nothing waits beyond its bound, the set stays within its limits, and its invariants hold.

import Kernel
import Testing
import Tracking

struct DirtySetSimulationTests {
    private struct Life {
        var generator: SeededGenerator
        var set: DirtySet
        /// Everything that no snapshot holds yet, with the instant of its change.
        var owed: [(change: Change, instant: BootInstant)] = []
        var now: Int64 = 0
        /// A batch whose snapshot is being written.
        var inFlight: (batch: DirtyBatch, owed: [(change: Change, instant: BootInstant)])?

        init(seed: UInt64, settings: DirtySetSettings) {
            generator = SeededGenerator(seed: seed)
            set = DirtySet(settings: settings)
        }

        var instant: BootInstant { BootInstant(nanoseconds: now) }

        mutating func addOne() {
            let depth = Int.random(in: 1...4, using: &generator)
            var text = "s\(Int.random(in: 0...1, using: &generator))"
            for _ in 0..<depth { text += "/\(Int.random(in: 0...3, using: &generator))" }
            let scopes: [Change.Scope] = [.entry, .entry, .entry, .entry, .entry, .entry, .children, .children, .subtree]
            let scope = scopes.randomElement(using: &generator) ?? .entry
            let change = Change(path: path(text), scope: scope, settled: Bool.random(using: &generator))
            set.add(change, at: instant)
            owed.append((change, instant))
        }

        mutating func take(all: Bool) {
            let batch = all ? set.takeAll() : set.takeSettled(at: instant)
            let taken = owed.filter { owed in batch.changes.contains { $0.covers(owed.change) } }
            owed.removeAll { owed in batch.changes.contains { $0.covers(owed.change) } }
            inFlight = (batch, taken)
        }

        mutating func finish(failed: Bool) {
            if failed, let inFlight {
                set.giveBack(inFlight.batch)
                owed += inFlight.owed
            }
            inFlight = nil
        }
    }

    private static let settings = DirtySetSettings(
        quiet: .seconds(2), settledQuiet: .seconds(1), deadline: .seconds(30), backoffLimit: .zero, childLimit: 3, memberLimit: 20,
        depthLimit: 3, sources: [path("s0"), path("s1")])

    private func expectSound(_ life: Life, seed: UInt64) {
        let pending = life.set.pending
        #expect(pending.count == life.set.count, "seed \(seed)")
        #expect(life.set.count <= 20, "seed \(seed)")
        for owed in life.owed {
            #expect(pending.contains { $0.covers(owed.change) }, "seed \(seed): \(owed.change) is lost")
        }
        for member in pending {
            let others = pending.filter { $0 != member && member.covers($0) }
            #expect(others.isEmpty, "seed \(seed): \(member) already covers \(others)")
        }
        let oldest = life.owed.map(\.instant).min()
        if let oldest {
            #expect(life.set.oldest.map { $0 <= oldest } == true, "seed \(seed): an age was lost")
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func nothingIsLostOrLate(seed: UInt64) {
        var life = Life(seed: seed, settings: Self.settings)
        for _ in 0..<1500 {
            switch Int.random(in: 0..<100, using: &life.generator) {
            case 0..<60: life.addOne()
            case 60..<75: life.now += Int64.random(in: 0...4_000_000_000, using: &life.generator)
            case 75..<92: if life.inFlight == nil { life.take(all: false) }
            case 92: if life.inFlight == nil { life.take(all: true) }
            default: life.finish(failed: Bool.random(using: &life.generator))
            }
            expectSound(life, seed: seed)
        }
        life.finish(failed: true)
        life.take(all: true)
        #expect(life.owed.isEmpty, "seed \(seed)")
        #expect(life.set.isEmpty, "seed \(seed)")
    }

    /// Someone takes whenever the set says that something is due.
    @Test(arguments: [11, 12, 13] as [UInt64])
    func nothingWaitsLongerThanTheDeadline(seed: UInt64) {
        var life = Life(seed: seed, settings: Self.settings)
        for _ in 0..<3000 {
            life.addOne()
            let next = life.now + Int64.random(in: 0...1_500_000_000, using: &life.generator)
            while let due = life.set.nextDue(), due.nanoseconds <= next {
                life.now = max(life.now, due.nanoseconds)
                life.take(all: false)
                #expect(life.inFlight?.batch.isEmpty == false, "seed \(seed): due, yet nothing to take")
                life.finish(failed: false)
            }
            life.now = next
            for owed in life.owed { #expect(life.instant - owed.instant <= .seconds(30), "seed \(seed)") }
        }
    }

    @Test(arguments: [21, 22] as [UInt64])
    func evenHotPathsWaitNoLongerThanTheBackoffLimit(seed: UInt64) {
        var settings = Self.settings
        settings.backoffLimit = .seconds(120)
        var life = Life(seed: seed, settings: settings)
        var longest = Duration.zero
        for _ in 0..<4000 {
            life.addOne()
            life.now += Int64.random(in: 0...1_000_000_000, using: &life.generator)
            for owed in life.owed { longest = max(longest, life.instant - owed.instant) }
            life.take(all: false)
            life.finish(failed: false)
        }
        #expect(longest <= .seconds(121), "seed \(seed)")
        #expect(longest > .seconds(30), "seed \(seed): backoff never set in")
    }

    @Test func floodStaysWithinTheLimits() {
        var set = DirtySet(settings: DirtySetSettings(sources: [path("home/me")]))
        var generator = SeededGenerator(seed: 5)
        var highest = 0
        for step in 0..<200_000 {
            let name = "home/me/\(generator.next() % 50)/\(generator.next() % 50)/\(generator.next() % 5000)"
            set.add(entry(name), at: BootInstant(nanoseconds: Int64(step)))
            highest = max(highest, set.count)
        }
        #expect(highest <= 8192)
        #expect(highest > 4000)
    }
}
