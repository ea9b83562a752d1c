// Finds rot without a key: each archive's bytes against the SHA-256 of its name, and what should be there against what is.

internal import Archiving
package import Cataloging
package import Storing

package struct DigestVerifier {
    private let storage: any Storage
    private let lost: [String]
    private let catalog: Catalog?

    /// - Parameters:
    ///   - lost: Names of archives that this machine knows to have vanished.
    ///   - catalog: Nil when there is none: only what is there is compared then.
    package init(storage: any Storage, lost: [String], catalog: Catalog?) {
        self.storage = storage
        self.lost = lost
        self.catalog = catalog
    }

    /// - Throws: `StorageError` when the repository cannot be listed, `CatalogError`. A damaged archive is a finding.
    /// - Complexity: One pass over all archives.
    package func run(_ progress: (_ bytes: UInt64, _ total: UInt64) -> Void, _ isCancelled: () -> Bool) throws -> VerifyReport {
        var report = VerifyReport()
        let stored = try storage.list()
        report.findings = try MissingArchives(stored, lost: lost, catalog: catalog).findings
        let total = stored.reduce(0) { $0 + $1.size }
        for archive in stored {
            if isCancelled() { break }
            do {
                try archive.verifyDigest(of: try storage.open(archive.name))
            } catch {
                let reason = (error as? ArchiveError)?.reason ?? "\(error)"
                report.findings.append(VerifyFinding(archive: archive.name.text, damage: .archive, reason: reason))
            }
            report.archivesRead += 1
            report.bytesRead += archive.size
            progress(report.bytesRead, total)
        }
        return report
    }
}

/// What should be there and is not: by the catalog, by memory, and by the history.
struct MissingArchives {
    let findings: [VerifyFinding]

    init(_ stored: [StoredArchive], lost: [String], catalog: Catalog?) throws {
        let present = Set(stored.map(\.name.text))
        let known = try catalog?.archives().map(\.archive.name.text) ?? []
        let missing = Set(known + lost).subtracting(present).sorted()
        findings = missing.map { VerifyFinding(archive: $0, damage: .missing, reason: "the archive is missing") }
            + HistoryCheck.findings(in: try catalog?.snapshots() ?? [], highest: try catalog?.highestNumbers().snapshot ?? 0)
    }
}
