// Does the agent know the sources as they are? And what to do when the repository went back in time.

package import Controlling

extension Commands {
    /// Compares all of the sources with the newest snapshot, and with what a running daemon watches and knows. Nothing is changed.
    ///
    /// - Throws: `AgentError.noSnapshot`, `.rolledBack`, `.interrupted`.
    package func doctor(isCancelled: @escaping @Sendable () -> Bool = { false }) throws -> DoctorResponse {
        if let response = try ask({ try $0.post("/v1/doctor", DoctorResponse.self) }) { return response }
        let session = try openForReading()
        _ = try session.newestSnapshot()
        let findings = try DoctorRun(catalog: session.catalog, rules: installation.rules, isCancelled: isCancelled).compareAll()
        return findings.response(Diagnosis(missed: findings.different, waiting: 0), nil)
    }

    /// Accepts a repository that went back in time, or lost archives, as it is.
    ///
    /// - Returns: What a person should know.
    /// - Throws: `StorageError.locked` while a daemon runs.
    package func acceptRollback() throws -> String {
        let session = try openForWriting()
        do {
            try session.checkRollback()
            let lost = session.record.lost
            guard !lost.isEmpty else { return "the repository did not go back in time; nothing was changed" }
            session.remember { $0.lost = [] }
            return "\(lost.count) missing archives are given up; what only they held cannot be restored: watchctl verify --data"
        } catch AgentError.rolledBack {
            let newest = try session.acceptRollback()
            return "snapshot \(newest) is the newest there is now; the next snapshot will be a full one"
        }
    }
}
