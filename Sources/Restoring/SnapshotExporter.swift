// Writes one snapshot as one file that standard programs open.
// In: a snapshot.  Out: tar, tar.xz, or a Fernet token of a tar.xz.
// Invariant: bounded memory, whatever the size. A file that has its name is whole; a crash or an error leaves none.

package import Cataloging
package import Encrypting
package import Kernel

package struct ExportRequest: Sendable {
    package var snapshot: UInt64
    /// Below which everything is exported; none below another.
    package var paths: [Path]
    package var format: ExportFormat
    /// Of a Fernet token; not looked at for the other formats.
    package var key: SecretKey?

    package init(snapshot: UInt64, paths: [Path] = [.root], format: ExportFormat, key: SecretKey? = nil) {
        self.snapshot = snapshot
        self.paths = paths
        self.format = format
        self.key = key
    }
}

/// One path that is not in the file as it was in the snapshot.
package struct ExportProblem: Hashable, Sendable {
    package enum Effect: Sendable {
        /// It is not in the file.
        case omitted
        /// It is there, and zeros stand where its content cannot be read: too large to know it before its header was written.
        case zeroed
    }

    package var path: Path
    package var reason: String
    package var effect: Effect
}

package struct ExportReport: Sendable {
    package var files: UInt64 = 0
    package var directories: UInt64 = 0
    /// Symlinks, hard links, FIFOs and devices.
    package var others: UInt64 = 0
    /// Content of the files, with holes as zeros.
    package var bytes: UInt64 = 0
    /// Not in the file, for tar has no sockets. This is no loss: a socket has no content, and its program makes it anew.
    package var sockets: [Path] = []
    package var problems: [ExportProblem] = []

    package var isComplete: Bool { problems.isEmpty }
}

package final class SnapshotExporter {
    /// Content held at a time: each frame is decoded once for so many bytes of files.
    package static let windowLimit = 128 << 20

    private let catalog: Catalog
    private let shelf: ArchiveShelf
    private let keys: [SecretKey]
    private let windowLimit: Int

    /// - Parameter windowLimit: Bytes, raised to 4 MiB if less. Files up to it are known to be readable before they are written.
    package init(catalog: Catalog, shelf: ArchiveShelf, keys: [SecretKey], windowLimit: Int = SnapshotExporter.windowLimit) {
        self.catalog = catalog
        self.shelf = shelf
        self.keys = keys
        self.windowLimit = windowLimit
    }

    /// Writes a new file with mode 0600.
    ///
    /// - Throws: `ExchangeError`: `.fileExists` (what stands there stays), `.file`, `.keyMissing`, `.notInSnapshot`, `.cancelled`;
    ///   `CatalogError`. No file is left then. Files that are damaged in the repository are in the report, and no error.
    package func export(
        _ request: ExportRequest, to file: Path, progress: @escaping (RestoreProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> ExportReport {
        try export(request, through: stages(request, to: ExportFile(at: file)), progress, isCancelled)
    }

    /// Writes to what is open, for example standard output. After an error what was written is of no use.
    ///
    /// - Throws: As above.
    package func export(
        _ request: ExportRequest, into descriptor: borrowing Descriptor, progress: @escaping (RestoreProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> ExportReport {
        try export(request, through: stages(request, to: DescriptorStage(descriptor)), progress, isCancelled)
    }

    private func stages(_ request: ExportRequest, to last: any ExportStage) throws -> any ExportStage {
        switch request.format {
        case .tar:
            return last
        case .tarXZ:
            return try XZStage(to: last)
        case .fernet:
            guard let key = request.key else { throw ExchangeError(.keyMissing, "an encrypted file needs a key", path: nil) }
            return try XZStage(to: FernetStage(key: key, to: last))
        }
    }

    private func export(
        _ request: ExportRequest, through first: any ExportStage, _ progress: @escaping (RestoreProgress) -> Void,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) throws -> ExportReport {
        let catalog = catalog
        let queue = FrameQueue(shelf: shelf, keys: keys, copies: { try catalog.locations(of: $0) }, isCancelled: isCancelled)
        let tar = TarExport(catalog: catalog, queue: queue, to: first, windowLimit: windowLimit, progress: progress)
        for path in request.paths {
            var isThere = path.isRoot
            try catalog.forEachEntry(below: path, at: request.snapshot, includingContent: true) { entry in
                isThere = true
                try tar.add(entry)
            }
            guard isThere else { throw ExchangeError(.notInSnapshot, "snapshot \(request.snapshot) has nothing there", path: path) }
        }
        try tar.finish()
        return tar.report
    }
}
