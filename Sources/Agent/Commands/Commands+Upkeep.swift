// What a person asks of the repository itself: to forget, to shrink, to be mended.

package import Controlling
internal import Kernel

extension Commands {
    /// Removes snapshots, whatever the policy says.
    ///
    /// - Throws: `AgentError.noSnapshot`, `.failed` for the newest and for pinned ones: nothing was removed.
    package func forget(_ request: ForgetRequest) throws -> RotateResponse {
        if let response = try ask({ try $0.post("/v1/forget", request, RotateResponse.self) }) { return response }
        let run = RotationRun(session: try openForWriting())
        return try run.run(try run.plan(forgetting: Set(request.snapshots))).response
    }

    /// Removes paths from every snapshot.
    package func purge(_ request: PurgeRequest) throws -> MessageResponse {
        if let response = try ask({ try $0.post("/v1/purge", request, MessageResponse.self) }) { return response }
        return try PurgeRun(session: openForWriting()).run(Commands.paths(of: request))
    }

    /// Consolidates and compresses anew whatever can become smaller.
    package func compact(isCancelled: @escaping @Sendable () -> Bool = { false }) throws -> CompactResponse {
        if let response = try ask({ try $0.post("/v1/compact", CompactResponse.self) }) { return response }
        let (response, isFinished) = try CompactionRun(session: openForWriting(), isCancelled: isCancelled).run()
        if !isFinished, isCancelled() { throw AgentError.interrupted }
        return response
    }

    /// Mends what can be mended.
    package func repair(
        _ request: RepairRequest, progress: @escaping @Sendable (_ bytes: UInt64, _ total: UInt64) -> Void = { _, _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> RepairResponse {
        if let response = try ask({ try $0.post("/v1/repair", request, RepairResponse.self) }) { return response }
        return try RepairRun(session: openForWriting(), progress: progress, isCancelled: isCancelled)
            .run(request.known ? .known : .everything, .giveUp)
    }

    /// - Throws: `AgentError.usage` for bytes that are no path, and for the root directory.
    static func paths(of request: PurgeRequest) throws -> [Path] {
        try request.paths.map { bytes in
            guard let path = Path(validating: bytes), !path.isRoot else { throw AgentError.usage("\(printable(bytes)) is no path that can be purged") }
            return path
        }
    }
}
