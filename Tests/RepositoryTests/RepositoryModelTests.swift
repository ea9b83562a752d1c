// A repository against a model of it, over random histories of months. A failure names the seed and what was done; AUTO_BACKUP_SEED
// with AUTO_BACKUP_STEPS runs that one again, AUTO_BACKUP_SEEDS=N so many others, which `Scripts/soak` does.

import Kernel
import Testing

@Suite(.serialized) struct RepositoryModelTests {
    private static let seeds: [UInt64] = ProcessIdentity.environment("AUTO_BACKUP_SEED").flatMap(UInt64.init).map { [$0] } ?? Array(1...6) + found
    /// Others that failed once. The first: `data` archives full of copies that forgotten standalone snapshots had left were kept for a tenth.
    private static let found: [UInt64] = [786_369_497]
    private static let steps = ProcessIdentity.environment("AUTO_BACKUP_STEPS").flatMap { Int($0) } ?? 30
    private static let others = ProcessIdentity.environment("AUTO_BACKUP_SEEDS").flatMap { Int($0) }

    @Test(arguments: seeds) func randomHistoriesKeepWhatTheModelKeeps(seed: UInt64) throws {
        try run(seed, steps: RepositoryModelTests.steps)
    }

    @Test(.enabled(if: others != nil, "AUTO_BACKUP_SEEDS is not set")) func otherHistories() throws {
        var (steps, days) = (0, 0.0)
        for number in 1...(RepositoryModelTests.others ?? 1) {
            let length = number.isMultiple(of: 10) ? 120 : 30
            days += try run(.random(in: 0...(1 << 32)), steps: length)
            steps += length
        }
        let report = "{\"seeds\": \(RepositoryModelTests.others ?? 1), \"steps\": \(steps), \"days\": \(Int(days))}\n"
        print("simulation: \(report)", terminator: "")
        guard let directory = ProcessIdentity.environment("AUTO_BACKUP_REPORT"), let file = Path("\(directory)/simulation.json") else { return }
        try file.replaceFile(with: Array(report.utf8), mode: 0o644, .atomic)
    }

    /// - Returns: The days that went by in it.
    @discardableResult
    private func run(_ seed: UInt64, steps: Int) throws -> Double {
        let history = try HistoryRun(seed: seed)
        let began = history.bench.now
        do {
            try history.run(steps: steps)
        } catch {
            Issue.record("AUTO_BACKUP_SEED=\(seed) AUTO_BACKUP_STEPS=\(steps): \(error), after:\n\(history.log.joined(separator: "\n"))")
        }
        return history.bench.now.duration(since: began) / .seconds(86400)
    }
}
