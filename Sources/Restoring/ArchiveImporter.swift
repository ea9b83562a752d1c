// Restores a single-file archive: what an export wrote, or any other tar, tar.xz, or Fernet token of one.
// In: a file, which may be hostile.  Out: files below a target, and a report that names everything that is not as in the archive.
// Invariant: a token is authenticated in a first pass, before anything of it is used; nothing outside the target is touched.
// A crash leaves whole files, and a temporary name that begins with ".auto-backup-".

internal import Archiving
internal import Compressing
package import Encrypting
package import Kernel

package struct ImportRequest: Sendable {
    package var file: Path
    /// Of a Fernet token, tried in this order; not looked at for other files.
    package var keys: [SecretKey]
    /// A directory, made if it is missing.
    package var target: Path
    package var overwrite: RestoreRequest.Overwrite

    package init(file: Path, keys: [SecretKey] = [], target: Path, overwrite: RestoreRequest.Overwrite = .never) {
        self.file = file
        self.keys = keys
        self.target = target
        self.overwrite = overwrite
    }
}

package final class ArchiveImporter {
    private let request: ImportRequest
    private let progress: (RestoreProgress) -> Void
    private let isCancelled: @Sendable () -> Bool

    package init(
        _ request: ImportRequest, progress: @escaping (RestoreProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.request = request
        self.progress = progress
        self.isCancelled = isCancelled
    }

    /// Restores everything in the file. A problem with one path is in the report and never ends the rest; an archive that ends
    /// too early, turns out to be damaged, or is cancelled ends with what was whole until then, and `cutShort` says why.
    ///
    /// - Throws: Nothing is restored then. `EncryptionError` `.authentication` for another key and for a token that was changed;
    ///   `ExchangeError`: `.file`, `.unknownFormat`, `.keyMissing`, `.truncated`, `.damaged`, `.cancelled`;
    ///   `Errno` when the target cannot be made or opened.
    /// - Complexity: One pass over the file; over a token two, and one more for each key that does not fit.
    package func run() throws -> RestoreReport {
        let input = try ImportInput(request.file, keys: request.keys, isCancelled: isCancelled)
        let tar = try TarImport(to: request.target, overwrite: request.overwrite, progress: progress)
        var failure: ExchangeError?
        do {
            try input.read { try tar.write($0) }
            try tar.finish()
        } catch {
            failure = exchangeError(error)
        }
        var report = tar.end()
        if let failure, !tar.hasBegun { throw failure }
        report.cutShort = failure
        return report
    }

    private func exchangeError(_ error: any Error) -> ExchangeError {
        switch error {
        case let error as ExchangeError:
            return error
        case let error as CompressionError where error.code == .truncated:
            return ExchangeError(.truncated, "\(error.reason); what came before is restored", path: request.file)
        case let error as CompressionError where [.unsupported, .memoryLimit, .outOfMemory].contains(error.code):
            return ExchangeError(.unknownFormat, error.reason, path: request.file)
        case let error as ArchiveError where error.code == .truncated:
            return ExchangeError(.truncated, "\(error.reason); what came before is restored", path: request.file)
        default:
            // xz says only at the end of a block whether its content was right.
            return ExchangeError(.damaged, "\(error); what was restored from it before may be damaged too", path: request.file)
        }
    }
}
