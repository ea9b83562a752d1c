// Every path that any kept snapshot shows: for what was deleted long ago, and nobody knows when or where.
// In: a directory, a choice of names.  Out: paths, in tree order.
// Invariant: nothing is held open between two batches. Memory is that of one batch, and of the directories on the way with the
// directories in them.

internal import GRDB
package import Kernel

extension Catalog {
    /// Calls `body` with the paths below `path` that were ever recorded and are not forgotten. Now and then one comes that no kept
    /// snapshot shows any more: its history is empty.
    ///
    /// - Parameters:
    ///   - choice: As for `forEachEntry`. What was a directory in any of its versions counts as one.
    ///   - body: Runs outside of any transaction. Its errors end the walk.
    /// - Complexity: O(versions below the path).
    package func forEachKnownPath(below path: Path, where choice: Choice, _ body: (Path) throws -> Void) throws {
        guard let directory = try read({ try PathTable($0).directory(path) }) else { return }
        var pending = [Step.into(directory, path)]
        while !pending.isEmpty {
            var batch: [Path] = []
            try read { db in
                var looked = 0
                while looked < 512, let step = pending.popLast() {
                    switch step {
                    case .chosen(let path): batch.append(path)
                    case .into(let directory, let path): pending += try Catalog.steps(in: directory, at: path, db, choice).reversed()
                    }
                    looked += 1
                }
            }
            for path in batch { try body(path) }
        }
    }

    private enum Step {
        case chosen(Path)
        case into(Int64, Path)
    }

    /// What one directory holds, or held, in the order of names: those that are chosen, and the directories.
    private static func steps(in directory: Int64, at path: Path, _ db: Database, _ choice: Choice) throws -> [Step] {
        let folders = try db.prepared("SELECT name, id FROM directory WHERE parent = ? ORDER BY name")
        folders.bind(1, directory)
        var below: [(name: [UInt8], id: Int64)] = []
        while try folders.step() { below.append((folders.array(0), folders.integer(1))) }
        folders.reset()
        let rows = try db.prepared(
            "SELECT name FROM live WHERE parent = ?1 UNION ALL SELECT name FROM past WHERE parent = ?1 ORDER BY name")
        rows.bind(1, directory)
        defer { rows.reset() }
        let prefix = path.prefix
        var result: [Step] = []
        var next = 0
        var latest: [UInt8]?
        while try rows.step() {
            let name = rows.bytes(0)
            if let latest, name.elementsEqual(latest) { continue }
            latest = Array(name)
            // Directories without an entry of their own, above a source.
            while next < below.count, below[next].name.withUnsafeBytes({ $0.lexicographicallyPrecedes(name) }) {
                result.append(.into(below[next].id, path.appending(below[next].name)))
                next += 1
            }
            let isDirectory = next < below.count && below[next].name.withUnsafeBytes { $0.elementsEqual(name) }
            if try choice(name, prefix, isDirectory) { result.append(.chosen(Path(prefix, name))) }
            if isDirectory {
                result.append(.into(below[next].id, Path(prefix, name)))
                next += 1
            }
        }
        for folder in below[next...] { result.append(.into(folder.id, path.appending(folder.name))) }
        return result
    }
}
