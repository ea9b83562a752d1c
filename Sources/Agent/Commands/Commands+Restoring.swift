// Getting content back: to standard output, into a directory, into a single file.

internal import Archiving
package import Cataloging
internal import Encrypting
package import Kernel
package import Restoring
internal import Scanning
internal import Storing
internal import Synchronization

package struct RestoreOrder: Sendable {
    package enum Placing: Sendable {
        /// Into `restored-<number>` in the working directory.
        case beside
        /// Into a directory: each path under its own last name, or with its whole path.
        case below(Path, fullPaths: Bool)
        /// Where it was.
        case inPlace
    }

    /// None: everything.
    package var paths: [Path]
    package var at: Moment
    package var placing: Placing
    package var overwrite: RestoreRequest.Overwrite
    package var isDryRun: Bool
    package var workingDirectory: Path
    /// Patterns as for `PathPattern`: only what one of these matches, with all that is below it; none: everything.
    package var include: [[UInt8]]
    /// But not what one of these matches, nor what is below it.
    package var exclude: [[UInt8]]

    package init(
        paths: [Path], at: Moment, placing: Placing, overwrite: RestoreRequest.Overwrite, isDryRun: Bool, workingDirectory: Path,
        include: [[UInt8]] = [], exclude: [[UInt8]] = []
    ) {
        self.paths = paths
        self.at = at
        self.placing = placing
        self.overwrite = overwrite
        self.isDryRun = isDryRun
        self.workingDirectory = workingDirectory
        self.include = include
        self.exclude = exclude
    }
}

extension Commands {
    /// Restores paths, or everything, as they were at a moment.
    ///
    /// - Parameter progress: Told of what is done and of all that there is to do; finding that out takes a look at all of it before.
    /// - Returns: What was restored, where and from which snapshot, with everything that was not; `cutShort` when it was cancelled.
    /// - Throws: `AgentError.notInSnapshot`, `.noSnapshot`, `.rolledBack`, `.usage` for a malformed pattern, `.failed` when no path passes the
    ///   patterns, or the target cannot be made.
    package func restore(
        _ order: RestoreOrder, progress: (@Sendable (_ done: RestoreProgress, _ total: RestoreProgress) -> Void)? = nil,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> (report: RestoreReport, target: Path, snapshot: SnapshotRow) {
        let filter = RestoreRequest.Filter(
            include: try order.include.map(PathPattern.parse), exclude: try order.exclude.map(PathPattern.parse))
        let session = try openForReading()
        let lock = try session.repository.lockForReading()
        defer { lock.release() }
        let snapshot = try session.snapshot(at: order.at)
        let number = snapshot.number
        for path in order.paths where try !session.has(path, at: number) { throw try session.absent(path, at: number, "restore") }
        let (target, selections) = try order.resolve(number)
        let request = RestoreRequest(
            snapshot: number, selections: selections, target: target, overwrite: order.overwrite, isDryRun: order.isDryRun, filter: filter)
        let total = Mutex(RestoreProgress())
        let shelf = try session.shelf()
        let restorer = try into(target) {
            try Restorer(
                request, catalog: session.catalog, shelf: shelf, keys: session.keys,
                progress: { done in progress?(done, total.withLock { $0 }) }, isCancelled: isCancelled)
        }
        if progress != nil {
            let all = try restorer.total()
            total.withLock { $0 = all }
        }
        let report = try restorer.run()
        if report.isEmpty, !(order.include.isEmpty && order.exclude.isEmpty) {
            throw AgentError.failed("nothing was restored: no path in snapshot \(number) passes the patterns; watchctl find tries one")
        }
        return (report, target, snapshot)
    }

    /// A target that cannot be made or opened is named.
    private func into<Value>(_ target: Path, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as Errno {
            throw AgentError.failed("nothing can be restored into \(target): \(error)")
        }
    }

    /// Writes a file's content to `output`. Holes come as zeros.
    ///
    /// - Throws: `AgentError.notInSnapshot`, `ArchiveError` when content is damaged: what was written before it is right.
    package func cat(_ path: Path, at moment: Moment, to output: borrowing Descriptor) throws {
        let session = try openForReading()
        let lock = try session.repository.lockForReading()
        defer { lock.release() }
        let number = try session.snapshot(at: moment).number
        guard let entry = try session.catalog.entry(path, at: number) else { throw try session.absent(path, at: number, "cat") }
        guard entry.kind == .file else { throw AgentError.failed("\(path) is not a file in snapshot \(number)") }
        var content = try ContentReader(catalog: session.catalog, shelf: session.shelf(), keys: session.keys)
        try content.forEachPiece(of: entry) { try output.write($0) }
    }
}

extension Session {
    /// Opens the archives that a restore needs, each once.
    func shelf() throws -> ArchiveShelf {
        let names = Dictionary(try catalog.archives().map { ($0.archive.name.number, $0.archive.name) }, uniquingKeysWith: { $1 })
        return ArchiveShelf { number in
            guard let name = names[number] else {
                throw StorageError(.missing, "archive \(number) is missing", at: self.repository.path)
            }
            return try self.reader(of: name)
        }
    }
}

extension RestoreOrder {
    /// Where each path goes. Paths of one restore must not lie below one another, nor end under one name.
    fileprivate func resolve(_ number: UInt64) throws -> (target: Path, selections: [RestoreRequest.Selection]) {
        let roots = paths.isEmpty ? [Path.root] : paths
        let target: Path
        var keepsWholePaths = paths.isEmpty
        switch placing {
        case .beside: target = workingDirectory.appending("restored-\(number)".utf8)
        case .inPlace:
            target = .root
            keepsWholePaths = true
        case .below(let directory, let fullPaths):
            target = directory
            keepsWholePaths = keepsWholePaths || fullPaths
        }
        var selections: [RestoreRequest.Selection] = []
        for path in roots {
            let place = keepsWholePaths || path.isRoot ? path : Path(unchecked: Array(path.name))
            if let other = selections.first(where: { $0.place == place || $0.path.isAtOrBelow(path) || path.isAtOrBelow($0.path) }) {
                throw AgentError.usage("\(other.path) and \(path) would be restored to the same place; use --full-paths, or two restores")
            }
            selections.append(.init(path: path, place: place))
        }
        return (target, selections)
    }
}

// MARK: Single files

extension Commands {
    /// Writes a whole snapshot as one file.
    ///
    /// - Throws: `AgentError.noSnapshot`; `ExchangeError` when the file exists or cannot be written: nothing is left of it.
    package func export(
        at moment: Moment, format: ExportFormat, to file: Path, progress: @escaping @Sendable (RestoreProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> ExportReport {
        let session = try openForReading()
        let lock = try session.repository.lockForReading()
        defer { lock.release() }
        let number = try session.snapshot(at: moment).number
        let exporter = SnapshotExporter(catalog: session.catalog, shelf: try session.shelf(), keys: session.keys)
        let request = ExportRequest(snapshot: number, format: format, key: session.key)
        return try exporter.export(request, to: file, progress: progress, isCancelled: isCancelled)
    }

    /// Unpacks a file that `export`, or tar and xz, or Fernet made.
    package func importArchive(
        _ archive: Path, to target: Path, overwrite: RestoreRequest.Overwrite, progress: @escaping @Sendable (RestoreProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> RestoreReport {
        let file = installation.configuration.keyFile ?? installation.places.keyFile
        // What was exported under an older key opens as long as the repository has that; the key file is enough for the rest.
        let ring = try? KeyRing(of: Repository.open(at: installation.configuration.repository), file: file)
        let keys = ring?.keys ?? (try? KeyFile.read(at: file)).map { [$0.key] } ?? []
        let importer = ArchiveImporter(
            ImportRequest(file: archive, keys: keys, target: target, overwrite: overwrite), progress: progress, isCancelled: isCancelled)
        return try into(target) { try importer.run() }
    }
}
