// Finds out whether the repository still holds what was written: by a sample, or by reading everything.
// In: the archives, and the catalog for what depends on them.  Out: a report that names archive, frame and paths.
// Invariant: verification changes nothing in the repository.

package import Archiving
package import Cataloging
package import Encrypting
internal import Kernel
package import Storing

package struct Verifier {
    package enum Depth: Sendable {
        /// Whole archives, those first that were read longest ago, until this share (0...1) of the bytes is reached.
        case sample(Double)
        /// Every frame and chunk of every archive.
        case data
    }

    private let storage: any Storage
    private let keys: [SecretKey]
    private let catalog: Catalog
    private let repository: RepositoryID
    private let progress: (_ bytes: UInt64, _ total: UInt64) -> Void
    private let isCancelled: () -> Bool
    /// Paths that are named for one finding.
    private static let affectedLimit = 100

    private let lost: [String]
    private let unusable: [(archive: String, reason: String)]

    /// - Parameters:
    ///   - lost: Names of archives that this machine knows to have vanished.
    ///   - unusable: Archives that the catalog could not take in.
    package init(
        storage: any Storage, keys: [SecretKey], catalog: Catalog, repository: RepositoryID, lost: [String] = [],
        unusable: [(archive: String, reason: String)] = [],
        progress: @escaping (_ bytes: UInt64, _ total: UInt64) -> Void = { _, _ in }, isCancelled: @escaping () -> Bool = { false }
    ) {
        self.storage = storage
        self.keys = keys
        self.catalog = catalog
        self.repository = repository
        self.lost = lost
        self.unusable = unusable
        self.progress = progress
        self.isCancelled = isCancelled
    }

    /// - Throws: `StorageError` when the repository cannot be listed, `CatalogError`. A damaged archive is a finding.
    package func run(_ depth: Depth) throws -> VerifyReport {
        var report = VerifyReport()
        let stored = try storage.list()
        try findMissing(stored, &report)
        let present = Set(stored.map(\.name.text))
        for gap in unusable where present.contains(gap.archive) {
            report.findings.append(VerifyFinding(archive: gap.archive, damage: .archive, reason: gap.reason))
        }
        let chosen = try choose(stored, depth)
        let total = chosen.reduce(0) { $0 + $1.size }
        let check = try ArchiveCheck(keys: keys)
        let newestRecord = stored.last { $0.name.kind == .record }?.name
        for archive in chosen {
            if isCancelled() { break }
            let before = report.findings.count
            try verifyWhole(archive, check, newestRecord, &report)
            report.archivesRead += 1
            report.bytesRead += archive.size
            progress(report.bytesRead, total)
            report.read.append(archive.name.number)
            if report.findings.count == before { report.sound.append(archive.name.number) }
        }
        try findLost(&report)
        return report
    }

    /// Archives that are known and gone, and holes in the history.
    private func findMissing(_ stored: [StoredArchive], _ report: inout VerifyReport) throws {
        report.findings += try MissingArchives(stored, lost: lost, catalog: catalog).findings
        for (index, finding) in report.findings.enumerated() {
            if let number = ArchiveName(finding.archive)?.number { report.findings[index].affected = try affected(byArchive: number) }
        }
    }

    private func choose(_ stored: [StoredArchive], _ depth: Depth) throws -> [StoredArchive] {
        guard case .sample(let share) = depth else { return stored }
        let readings = try catalog.archives().compactMap { row in row.verified.map { (row.archive.name, $0) } }
        return VerificationSample.choose(share, of: stored, readings: Dictionary(readings, uniquingKeysWith: max))
    }

    private func verifyWhole(_ archive: StoredArchive, _ check: ArchiveCheck, _ newestRecord: ArchiveName?, _ report: inout VerifyReport) throws {
        var digestFailure: (any Error)?
        do {
            let source = try storage.open(archive.name)
            do { try archive.verifyDigest(of: source) } catch let error as ArchiveError { digestFailure = error }
            let reader = try ArchiveReader(source, name: archive.name, keys: keys, repository: repository)
            // Every commit behind the newest record names it: otherwise a record, and with it pins and tags, is missing.
            if reader.contents.kind.isCommit, newestRecord.map({ archive.name.number > $0.number }) ?? true,
                reader.contents.recordHead != newestRecord?.digest
            {
                report.findings.append(
                    VerifyFinding(archive: archive.name.text, damage: .missing, reason: "the record of pins and tags that it names is missing"))
            }
            let damages = try check.damage(of: reader)
            for damage in damages {
                let isManifest = damage.frame.map { reader.contents.frames[Int($0)].kind == .manifest } ?? false
                report.findings.append(
                    VerifyFinding(
                        archive: archive.name.text, damage: damage.frame.map { .frame($0) } ?? .archive,
                        reason: isManifest ? manifestReason(damage.reason, reader) : damage.reason,
                        affected: try affected(by: damage.chunks)))
            }
            // Damage outside all frames, for example in a length field or the header's reserved bytes.
            if damages.isEmpty, let digestFailure { report.findings.append(whole(archive, digestFailure)) }
        } catch {
            report.findings.append(whole(archive, error))
        }
    }

    private func manifestReason(_ reason: String, _ reader: ArchiveReader) -> String {
        let number = reader.contents.snapshot?.number ?? 0
        return "\(reason) (part of the list of snapshot \(number): snapshots from \(number) to the next full one cannot be read back from the archives)"
    }

    private func whole(_ archive: StoredArchive, _ error: any Error) -> VerifyFinding {
        let reason = (error as? ArchiveError)?.reason ?? "\(error)"
        let affected = (try? affected(byArchive: archive.name.number)) ?? []
        return VerifyFinding(archive: archive.name.text, damage: .archive, reason: reason, affected: affected)
    }

    private func findLost(_ report: inout VerifyReport) throws {
        let versions = try catalog.versionsOfLostChunks(limit: Verifier.affectedLimit)
        if versions.isEmpty { return }
        report.findings.append(
            VerifyFinding(
                archive: "", damage: .lostChunks, reason: "content that snapshots refer to is in no archive",
                affected: versions.map { AffectedVersion(path: $0.path, snapshots: $0.snapshots) }))
    }

    private func affected(by chunks: [Digest]) throws -> [AffectedVersion] {
        try catalog.versions(needing: chunks, limit: Verifier.affectedLimit).map { AffectedVersion(path: $0.path, snapshots: $0.snapshots) }
    }

    private func affected(byArchive number: UInt64) throws -> [AffectedVersion] {
        try catalog.versions(storedIn: number, limit: Verifier.affectedLimit)
            .map { AffectedVersion(path: $0.path, snapshots: $0.snapshots) }
    }
}
