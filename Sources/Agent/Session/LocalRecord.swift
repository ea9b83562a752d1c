// What only this machine knows, and what no restore needs: which snapshot was seen last (so that a repository that
// went back in time is noticed), when what was last done, whether the key was ever exported.
// Kept outside the catalog, for the catalog may be thrown away at any time.
// A crash leaves the old file or the new one. Most of it is not fsynced: after a power cut it may be a little older or gone, which
// weakens a guard and loses nothing. What a repository is in the middle of, or lacks, is fsynced.

internal import Controlling
package import Kernel

package struct LocalRecord: Codable, Hashable, Sendable {
    package var schema = 1
    /// The repository that the rest is about.
    package var repository: String
    /// The highest snapshot number ever given: none below it is given again.
    package var highestSnapshot: UInt64 = 0
    /// A repository whose newest snapshot is older went back in time. Below the highest only when a person has made peace with that.
    package var expectedSnapshot: UInt64 = 0
    package var highestArchive: UInt64 = 0
    /// `Storage.stamp` when the catalog was last brought up to date.
    package var stamp: String?
    /// Milliseconds since 1970.
    package var lastReconcile: Int64?
    package var lastFull: Int64?
    package var lastVerify: Int64?
    package var lastRotate: Int64?
    /// The latest moment at which all that stood in the sources was known to be in a snapshot.
    package var confirmed: Int64?
    package var keyExported = false
    /// While the repository has older keys: the highest archive number that one of them may have sealed. All above are under the newest.
    package var rekeyThrough: UInt64?
    /// The id of the key that was the newest when `rekeyThrough` was found out; with another newest key that is no longer true.
    package var rekeyKey: Int?
    /// The next snapshot is a full one, whatever is asked for.
    package var mustBeFull = false
    /// Archives that were there and are gone, by name, though nothing replaced them.
    package var lost: [String] = []
    /// Archives that are there and could not be used, by name, with the reason.
    package var unusable: [String: String] = [:]
    /// Archives that verification found damaged, with the reason, until they are gone or found sound.
    package var damaged: [String: String] = [:]

    /// Paths that are being purged from history.
    package var purging: [[UInt8]] = []
    /// Snapshots whose lists may still name them, while the catalog knows nothing of them any more.
    package var purgingSnapshots: [UInt64] = []
    /// The latest repair that had something to mend.
    package var lastRepair: Repair?
    /// States of paths that snapshots show and whose content is lost.
    package var lostVersions = 0

    package struct Repair: Codable, Hashable, Sendable {
        /// Milliseconds since 1970.
        package var time: Int64
        package var archives: Int
        package var chunks: Int
    }

    package init(repository: String) {
        self.repository = repository
    }

    /// Reads it; one that is missing, spoilt or about another repository begins anew.
    ///
    /// - Throws: `AgentError.failed` when it is there and cannot be read: begun anew and written, it would know nothing of a rollback.
    package static func load(from file: Path, repository: String) throws -> LocalRecord {
        let bytes: [UInt8]?
        do {
            // Far above what many damaged archives and purged paths need.
            bytes = try file.readFile(limit: 256 << 20)
        } catch .noSuchFileOrDirectory {
            bytes = nil
        } catch {
            throw AgentError.failed("\(file): cannot be read: \(error.description)")
        }
        guard let bytes, let record = try? ControlJSON.decode(LocalRecord.self, from: bytes), record.repository == repository else {
            return LocalRecord(repository: repository)
        }
        return record
    }

    package func save(to file: Path, _ durability: Path.Durability) throws(Errno) {
        let bytes = (try? ControlJSON.encode(self, pretty: true)) ?? []
        try file.replaceFile(with: bytes + [UInt8(ascii: "\n")], mode: 0o600, durability)
    }

    /// Forgotten, it would do harm: one half of a purge would stay undone, or what is lost or damaged would seem sound.
    package var mustLast: Bool {
        !purging.isEmpty || !purgingSnapshots.isEmpty || !lost.isEmpty || !unusable.isEmpty || !damaged.isEmpty || mustBeFull
            || lostVersions > 0
    }
}
