// Does the history hang together? What each commit covers must tile the numbers of all snapshots.
// In: the valid snapshots.  Out: holes.  Pure. (A `data` archive that is missing shows by the chunks that nothing else holds.)
// Source: RepositoryFormat, "Reading", rule 2.

internal import Archiving
package import Cataloging

package enum HistoryCheck {
    /// - Parameters:
    ///   - snapshots: Ascending.
    ///   - highest: The highest snapshot number that any archive knows of.
    package static func findings(in snapshots: [SnapshotRow], highest: UInt64) -> [VerifyFinding] {
        var result: [VerifyFinding] = []
        var next: UInt64 = 1
        for row in snapshots {
            let first = min(row.record.coversFrom, row.number)
            if first > next { result.append(hole(next, first - 1)) }
            next = max(next, row.number + 1)
        }
        if highest >= next, !snapshots.isEmpty { result.append(hole(next, highest)) }
        return result
    }

    private static func hole(_ first: UInt64, _ last: UInt64) -> VerifyFinding {
        let range = first == last ? "snapshot \(first) is" : "snapshots \(first) to \(last) are"
        return VerifyFinding(archive: "", damage: .missing, reason: "\(range) missing from the history")
    }
}
