// Paths of a snapshot, or of all of them, by a wildcard pattern.
// In: a pattern.  Out: entries one by one, in tree order: nothing is gathered, however many there are.

package import Archiving
internal import Cataloging
package import Kernel
internal import Scanning

extension Commands {
    /// The number of the snapshot that a moment selects.
    ///
    /// - Throws: `AgentError.noSnapshot`; for the latest also `.rolledBack`.
    package func snapshotNumber(at moment: Moment) throws -> UInt64 { try openForReading().snapshot(at: moment).number }

    /// Calls `body` with every entry of a snapshot that matches.
    ///
    /// - Parameters:
    ///   - pattern: As for `PathPattern`.
    ///   - directory: Only what is below it.
    /// - Returns: The number of the snapshot.
    /// - Throws: `AgentError.usage` for a malformed pattern, `.noSnapshot`, `.rolledBack`, `.interrupted`; what `body` throws.
    /// - Complexity: O(entries below the directory, or below what the pattern names literally): a million in about a second.
    package func find(
        _ pattern: [UInt8], below directory: Path, at moment: Moment, isCancelled: () -> Bool = { false }, _ body: (Entry) throws -> Void
    ) throws -> UInt64 {
        let pattern = try PathPattern.parse(pattern)
        let session = try openForReading()
        let number = try session.snapshot(at: moment).number
        guard let start = pattern.start(below: directory) else { return number }
        try session.catalog.forEachEntry(
            below: start, at: number, includingContent: false, where: { try pattern.isWanted($0, $1, $2, isCancelled) }
        ) { if $0.path != directory { try body($0) } }
        return number
    }

    /// Calls `body` with the versions of every path that matches and that any kept snapshot shows.
    ///
    /// - Throws: As above.
    /// - Complexity: O(versions below the directory, or below what the pattern names literally).
    package func findEverywhere(
        _ pattern: [UInt8], below directory: Path, isCancelled: () -> Bool = { false }, _ body: ([PathVersion]) throws -> Void
    ) throws {
        let pattern = try PathPattern.parse(pattern)
        let catalog = try openForReading().catalog
        guard let start = pattern.start(below: directory) else { return }
        try catalog.forEachKnownPath(below: start, where: { try pattern.isWanted($0, $1, $2, isCancelled) }) { path in
            let versions = PathVersion.list(try catalog.datedHistory(of: path))
            if !versions.isEmpty { try body(versions) }
        }
    }
}

extension PathPattern {
    /// - Throws: `AgentError.usage`.
    static func parse(_ text: [UInt8]) throws(AgentError) -> PathPattern {
        if let pattern = PathPattern(text) { return pattern }
        throw .usage(
            "\"\(printable(text))\" is no pattern: * ? and [a-z] stand for parts of a name, ** for directories, and a backslash before one of them for itself")
    }

    /// Where everything that matches below `directory` is; nil when nothing can.
    fileprivate func start(below directory: Path) -> Path? {
        if beginning.isAtOrBelow(directory) { return beginning }
        return directory.isBelow(beginning) ? directory : nil
    }

    fileprivate func isWanted(
        _ name: UnsafeRawBufferPointer, _ directory: [UInt8], _ isDirectory: Bool, _ isCancelled: () -> Bool
    ) throws(AgentError) -> Bool {
        if isCancelled() { throw .interrupted }
        return matches(name, in: directory, isDirectory: isDirectory)
    }
}
