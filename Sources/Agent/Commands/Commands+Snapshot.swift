// `watchctl snapshot`: asked of the daemon, or taken here, with the same hooks around it.

internal import Archiving
package import Controlling
internal import Kernel
internal import Scanning

extension Commands {
    /// Takes a snapshot now. All that was written before the call is in it.
    ///
    /// - Parameters:
    ///   - progress: Called only when the work is done here.
    ///   - hookFailed: Likewise; a daemon's status tells of its own. The snapshot is taken all the same.
    package func snapshot(
        _ request: SnapshotRequest, progress: @escaping @Sendable (SnapshotProgress) -> Void = { _ in },
        hookFailed: (HookFailure) -> Void = { _ in }, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> SnapshotResponse {
        if let response = try ask({ try $0.post("/v1/snapshots", request, SnapshotResponse.self) }) { return response }
        let hooks = HookRunner(installation, logger: nil, isCancelled: isCancelled)
        do {
            let session = try openForWriting()
            let isFull = request.full || request.rehash || request.standalone
            let order = SnapshotOrder(
                scope: .whole, recording: isFull ? .full : .incremental, rehash: request.rehash, standalone: request.standalone)
            let pipeline = SnapshotPipeline(session: session, rules: installation.rules, progress: progress, isCancelled: isCancelled)
            hooks.run(HookCall(.before, kind: isFull ? "full" : "incremental")).forEach(hookFailed)
            let outcome = try pipeline.run(order)
            session.remember { record in
                record.lastReconcile = outcome.time.milliseconds
                if outcome.kind == .full { record.lastFull = outcome.time.milliseconds }
                if outcome.unavailable.isEmpty { record.confirmed = outcome.time.milliseconds }
            }
            let response = try session.response(to: request, outcome)
            if let record = outcome.record {
                hooks.run(HookCall(.after, kind: outcome.kind?.text, snapshot: record.number)).forEach(hookFailed)
            }
            return response
        } catch {
            let reason = FailureReason.of(error, activity: "snapshot", configuration: installation.configuration)
            hooks.run(HookCall(.failure, reasons: [reason.code], message: reason.message)).forEach(hookFailed)
            throw error
        }
    }
}
