// What a repository must be, as plain values, and the comparison of both.
// In: what was done.  Out: nothing, or a mismatch in words.
// Invariant: the model knows nothing of archives, manifests or chunks.

import Agent
import Archiving
import Cataloging
import Controlling
import Kernel
import Storing

struct Mismatch: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

func require(_ condition: Bool, _ words: @autoclosure () -> String) throws {
    if !condition { throw Mismatch(words()) }
}

struct RepositoryModel {
    struct Snapshot {
        var tree: TreeState
        var isPinned = false
        var tags: Set<[UInt8]> = []
        var isStandalone = false
    }

    struct LostFile: Hashable {
        var snapshot: UInt64
        var path: Path
    }

    var snapshots: [UInt64: Snapshot] = [:]
    /// Files that a repair named as lost; they may be whole again when the same content was stored since.
    var lost: Set<LostFile> = []

    var numbers: [UInt64] { snapshots.keys.sorted() }
    var newest: UInt64? { snapshots.keys.max() }
    var paths: Set<Path> { Set(snapshots.values.flatMap(\.tree.lines.keys)) }

    mutating func keep(_ numbers: Set<UInt64>) {
        snapshots = snapshots.filter { numbers.contains($0.key) }
        lost = lost.filter { numbers.contains($0.snapshot) }
    }

    mutating func remove(below path: Path) {
        for number in snapshots.keys { snapshots[number]?.tree.remove(below: path) }
        lost = lost.filter { !$0.path.isAtOrBelow(path) }
    }

    /// Bytes of the different contents that the snapshots show, and of each standalone snapshot's own.
    var contentBytes: UInt64 {
        var shared: [String: UInt64] = [:]
        var bytes: UInt64 = 0
        for snapshot in snapshots.values {
            for line in snapshot.tree.lines.values {
                guard let digest = line.digest else { continue }
                if snapshot.isStandalone { bytes += line.size } else { shared["\(digest)"] = line.size }
            }
        }
        return bytes + shared.values.reduce(0, +)
    }
}

// MARK: Comparison

extension RepositoryModel {
    /// Compares everything that can be asked of the repository.
    mutating func check(_ session: Session) throws {
        try checkList(session.catalog.snapshots())
        try checkStates(session)
        try session.catalog.checkIntegrity()
        let findings = try VerificationRun(session: session).run(VerifyRequest(depth: .data)).response.findings
        let unexpected = findings.filter { lost.isEmpty || !$0.archive.isEmpty || !$0.reason.contains("in no archive") }
        try require(unexpected.isEmpty, "verify found \(unexpected.map { "\($0.archive) \($0.reason)" })")
    }

    func checkList(_ rows: [SnapshotRow]) throws {
        try require(rows.map(\.number) == numbers, "snapshots are \(rows.map(\.number)), not \(numbers)")
        var next: UInt64 = 1
        for row in rows {
            try require(row.record.coversFrom == next, "snapshot \(row.number) covers from \(row.record.coversFrom), not \(next)")
            next = row.number + 1
            guard let known = snapshots[row.number] else { continue }
            try require(row.isPinned == known.isPinned, "snapshot \(row.number) is pinned: \(row.isPinned)")
            try require(Set(row.tags) == known.tags, "snapshot \(row.number) has tags \(row.tags.map { printable($0) })")
        }
    }

    private mutating func checkStates(_ session: Session) throws {
        var reader = try SnapshotReader(session)
        for (number, snapshot) in snapshots {
            let found = try reader.state(of: number)
            var wanted = snapshot.tree
            for file in lost where file.snapshot == number {
                guard let line = found.lines[file.path], line.digest != nil else {
                    wanted.lines[file.path]?.digest = nil
                    continue
                }
                lost.remove(file)
            }
            let differences = found.differences(from: wanted)
            try require(differences.isEmpty, "snapshot \(number): \(differences.count) differences, \(differences.prefix(3))")
        }
    }
}
