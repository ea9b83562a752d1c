// Does the history hang together? What each commit covers must tile the numbers of all snapshots.
// In: the valid snapshots and the archives that there are.  Out: holes and missing `data` archives.  Pure.
// Source: RepositoryFormat, "Reading", rule 2.

internal import Archiving
package import Cataloging

package enum HistoryCheck {
    /// - Parameters:
    ///   - snapshots: Ascending.
    ///   - archives: The numbers of those that are there, or are reported otherwise.
    ///   - highest: The highest snapshot number that any archive knows of.
    package static func findings(in snapshots: [SnapshotRow], archives: Set<UInt64>, highest: UInt64) -> [VerifyFinding] {
        var result: [VerifyFinding] = []
        var next: UInt64 = 1
        for row in snapshots {
            let first = min(row.record.coversFrom, row.number)
            if first > next { result.append(hole(next, first - 1)) }
            next = max(next, row.number + 1)
            for number in row.record.dataArchives where !archives.contains(number) {
                result.append(
                    VerifyFinding(archive: "", damage: .missing, reason: "data archive \(number) of snapshot \(row.number) is missing"))
            }
        }
        if highest >= next, !snapshots.isEmpty { result.append(hole(next, highest)) }
        return result
    }

    private static func hole(_ first: UInt64, _ last: UInt64) -> VerifyFinding {
        let range = first == last ? "snapshot \(first) is" : "snapshots \(first) to \(last) are"
        return VerifyFinding(archive: "", damage: .missing, reason: "\(range) missing from the history")
    }
}
