// Verifies the repository and remembers what was covered and found.
// In: how deep.  Out: findings; the catalog knows when each archive was last read whole, the local record what is damaged.

internal import Cataloging
package import Controlling
internal import Kernel
internal import Storing
internal import Verifying

package struct VerificationRun {
    private let session: Session
    private let progress: (_ bytes: UInt64, _ total: UInt64) -> Void
    private let isCancelled: () -> Bool

    package init(
        session: Session, progress: @escaping (_ bytes: UInt64, _ total: UInt64) -> Void = { _, _ in }, isCancelled: @escaping () -> Bool = { false }
    ) {
        self.session = session
        self.progress = progress
        self.isCancelled = isCancelled
    }

    /// - Returns: The findings, and the share (0...1) of the repository's bytes that was read.
    /// - Throws: `StorageError`, `CatalogError`. Damage is not thrown.
    package func run(_ request: VerifyRequest) throws -> (response: VerifyResponse, share: Double) {
        let lock = try session.repository.lockForReading()
        defer { lock.release() }
        let verifier = Verifier(
            storage: session.storage, keys: session.keys, catalog: session.catalog, repository: session.repository.id,
            lost: session.record.lost, unusable: session.gaps.map { ($0.archive, $0.reason) }, progress: progress, isCancelled: isCancelled)
        var report = try verifier.run(request.verifierDepth)
        do {
            try session.checkRollback()
        } catch {
            report.findings.append(Verifying.VerifyFinding(archive: "", damage: .missing, reason: "\(error)"))
        }
        let now = session.now()
        // Damaged ones too: read first every day, they would keep the samples from all others.
        try session.catalog.markVerified(report.read, at: now.milliseconds)
        let present = Set(try session.storage.list().map(\.name.text))
        let sound = Set(report.sound)
        let lostVersions = report.findings.reduce(0) { $0 + ($1.damage == .lostChunks ? $1.affected.count : 0) }
        session.remember { record in
            record.lastVerify = now.milliseconds
            // Verification names the first of them only.
            record.lostVersions = lostVersions == 0 ? 0 : max(lostVersions, record.lostVersions)
            // What an archive misses elsewhere is no damage of its own.
            for finding in report.findings where finding.damage != .missing && present.contains(finding.archive) {
                record.damaged[finding.archive] = finding.reason
            }
            record.damaged = record.damaged.filter { name, _ in
                present.contains(name) && !(ArchiveName(name).map { sound.contains($0.number) } ?? true)
            }
        }
        let stored = try session.storage.list()
        let total = stored.reduce(0) { $0 + $1.size }
        let share = total == 0 ? 1 : Double(report.bytesRead) / Double(total)
        return (VerifyResponse(request.depth, report, stored, try session.catalog.archives()), share)
    }
}

extension VerificationRun {
    /// Compares the digests of all archives with their names. Needs no key, only the repository.
    ///
    /// - Throws: `StorageError` when the repository cannot be listed.
    package static func digests(
        _ installation: Installation, progress: (_ bytes: UInt64, _ total: UInt64) -> Void = { _, _ in }, isCancelled: () -> Bool = { false }
    ) throws -> VerifyResponse {
        let repository = try Repository.open(at: installation.configuration.repository)
        let lock = try repository.lockForReading()
        defer { lock.release() }
        // The catalog, if there is one, knows what should be there. A broken one is no matter of this check.
        let catalog = installation.places.catalogFile.exists ? try? Catalog.open(at: installation.places.catalogFile, repository: repository.id) : nil
        let record = try LocalRecord.load(from: installation.places.anchorFile, repository: "\(repository.id)")
        let report = try DigestVerifier(storage: repository.storage, lost: record.lost, catalog: catalog).run(progress, isCancelled)
        return VerifyResponse(.digests, report, try repository.storage.list(), try catalog?.archives() ?? [])
    }
}

extension VerifyResponse {
    /// - Parameter known: What the catalog knows of these archives.
    fileprivate init(_ depth: VerifyRequest.Depth, _ report: VerifyReport, _ stored: [StoredArchive], _ known: [ArchiveRow]) {
        let readings = Dictionary(known.map { ($0.archive.name, $0.verified) }, uniquingKeysWith: { $1 })
        let times = stored.map { readings[$0.name] ?? nil }
        let isCovered = !times.contains(nil)
        self.init(
            depth: depth.rawValue, archivesRead: report.archivesRead, bytesRead: report.bytesRead, findings: report.findings.map(\.response),
            archives: zip(stored, times).map { archive, time in
                .init(archive: archive.name.text, verified: time.map { Timestamp(milliseconds: $0).iso8601 })
            },
            coveredSince: isCovered ? times.compactMap(\.self).min().map { Timestamp(milliseconds: $0).iso8601 } : nil)
    }
}

/// How long an archive may go unread. Daily samples read everything within 28 days.
package enum VerificationPatience {
    /// Beyond this an archive counts as unread.
    package static let unread = Duration.seconds(31 * 86400)
    /// Beyond this a person should know.
    package static let behind = Duration.seconds(35 * 86400)
}

extension StatusReport.Verification {
    init(_ coverage: VerificationCoverage) {
        self.init(oldest: coverage.oldest.map { Timestamp(milliseconds: $0).iso8601 }, unread: coverage.unread)
    }
}

extension Catalog {
    /// What was read in full lately, and what was not.
    func coverage(now: Timestamp) throws -> VerificationCoverage {
        try coverage(since: now.adding(.zero - VerificationPatience.unread).milliseconds)
    }
}

extension VerifyRequest {
    fileprivate var verifierDepth: Verifier.Depth {
        switch depth {
        // Digests alone are `VerificationRun.digests`.
        case .digests, .sample: .sample(share)
        case .data: .data
        }
    }
}

extension Verifying.VerifyFinding {
    fileprivate var response: Controlling.VerifyFinding {
        var number: Int?
        if case .frame(let frame) = damage { number = Int(frame) }
        return Controlling.VerifyFinding(
            archive: archive, frame: number, reason: reason,
            affected: affected.map {
                .init(path: "\($0.path)", firstSnapshot: $0.snapshots.lowerBound, lastSnapshot: $0.snapshots.upperBound)
            })
    }
}
