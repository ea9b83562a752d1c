// A repository against a model of it, over random histories. A failure names the seed and what was done; AUTO_BACKUP_SEED runs
// that one again, AUTO_BACKUP_LONG runs others for ten minutes.

import Kernel
import Testing

@Suite(.serialized) struct RepositoryModelTests {
    private static let seeds: [UInt64] = ProcessIdentity.environment("AUTO_BACKUP_SEED").flatMap(UInt64.init).map { [$0] } ?? Array(1...6)
    private static let isLong = ProcessIdentity.environment("AUTO_BACKUP_LONG") != nil

    @Test(arguments: seeds) func randomHistoriesKeepWhatTheModelKeeps(seed: UInt64) throws {
        try run(seed, steps: 30)
    }

    @Test(.enabled(if: isLong, "AUTO_BACKUP_LONG is not set")) func manyLongHistories() throws {
        let end = BootInstant.now() + .seconds(600)
        while BootInstant.now() < end { try run(.random(in: 0...(1 << 32)), steps: 120) }
    }

    private func run(_ seed: UInt64, steps: Int) throws {
        let history = try HistoryRun(seed: seed)
        do {
            try history.run(steps: steps)
        } catch {
            Issue.record("AUTO_BACKUP_SEED=\(seed): \(error), after:\n\(history.log.joined(separator: "\n"))")
        }
    }
}
