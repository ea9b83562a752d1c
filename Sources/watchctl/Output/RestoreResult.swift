// What a restore or an import did: `restore --json`, and the same in words.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel
internal import Restoring

extension RestoreReport {
    /// - Throws: `ExitCode`, unless everything is as it was.
    func exit() throws {
        if cutShort?.code == .cancelled { throw ExitCode(ExitStatus.interrupted) }
        if !isComplete { throw ExitCode(ExitStatus.inPart) }
    }
}

struct RestoreResult: Encodable, Hashable {
    struct Problem: Encodable, Hashable {
        var path: String
        var reason: String
        /// True when content or the whole entry is missing, false when only some metadata is.
        var loss: Bool
        /// Further entries that lack the same metadata for the same reason.
        var others: UInt64
    }

    /// Missing for an import.
    var snapshot: UInt64?
    /// The directory below which everything was put. Paths are absolute and escaped as in all messages.
    var target: String
    var dryRun: Bool
    var files: UInt64
    var directories: UInt64
    var others: UInt64
    var bytes: UInt64
    /// Left as they were because something stood there.
    var skipped: [String]
    var problems: [Problem]
    var ownersNotSet: UInt64
    /// Why it ended before everything was restored.
    var cutShort: String?

    init(_ report: RestoreReport, target: Path, snapshot: UInt64?, isDryRun: Bool) {
        func place(_ place: Path) -> String { "\(place.components.reduce(target) { $0.appending($1) })" }
        self.snapshot = snapshot
        self.target = "\(target)"
        dryRun = isDryRun
        files = report.files
        directories = report.directories
        others = report.others
        bytes = report.bytes
        skipped = report.skipped.map(place)
        problems = report.problems.map {
            Problem(path: place($0.place), reason: SafeText.cleaned($0.reason), loss: $0.isLoss, others: $0.others)
        }
        ownersNotSet = report.ownersNotSet
        cutShort = report.cutShort.map { SafeText.cleaned("\($0)") }
    }

    /// - Parameter origin: "snapshot 42"
    func summary(from origin: String) -> String {
        let what = [
            SafeText.count(files, "file"), SafeText.count(directories, "directory", plural: "directories"),
            SafeText.count(others, "other"), ByteText.describe(bytes),
        ].joined(separator: ", ")
        return dryRun ? "would restore \(what) from \(origin) to \(target)" : "restored \(what) from \(origin) to \(target)"
    }

    /// So many of the paths that were left as they are get a line: one forgotten option must not bury what else is said.
    static let skippedLines = 20

    /// Everything that is not as it was, a line each, and what to do.
    var complaints: [String] {
        var result = skipped.prefix(RestoreResult.skippedLines).map { "\($0): exists and was left as it is" }
        if skipped.count > RestoreResult.skippedLines {
            result.append("… and \(SafeText.count(skipped.count - RestoreResult.skippedLines, "other")); --json names all of them")
        }
        result += problems.map { problem in
            let others = problem.others > 0 ? " (and of \(SafeText.count(problem.others, "other")))" : ""
            return "\(problem.path): \(problem.reason)\(others)"
        }
        if !skipped.isEmpty {
            let count = SafeText.count(skipped.count, "path")
            result.append("\(count) left as they were; --overwrite changed or --overwrite always replaces them, --to puts them elsewhere")
        }
        if ownersNotSet > 0 {
            result.append("\(SafeText.count(ownersNotSet, "entry belongs", plural: "entries belong")) to you now and not to their owners: only root can give files away")
        }
        if let cutShort { result.append(cutShort) }
        return result
    }
}
