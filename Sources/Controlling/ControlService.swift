// What the control API can ask of a running daemon. The server turns HTTP into these calls and their values into JSON.

package import Kernel

/// Every call may throw a `Problem`, which the client gets as it is; another error becomes one with status 500.
package protocol ControlService: Sendable {
    func status() async -> StatusReport
    /// A report now, and one after each change, until the reader goes away.
    func statusChanges() async -> AsyncStream<StatusReport>
    /// What is known of one path.
    func explain(_ path: Path) async throws -> PathWatch
    func snapshot(_ request: SnapshotRequest) async throws -> SnapshotResponse
    func verify(_ request: VerifyRequest) async throws -> VerifyResponse
    func rotate(_ request: RotateRequest) async throws -> RotateResponse
    func forget(_ request: ForgetRequest) async throws -> RotateResponse
    func purge(_ request: PurgeRequest) async throws -> MessageResponse
    func compact() async throws -> CompactResponse
    func doctor() async throws -> DoctorResponse
    func repair(_ request: RepairRequest) async throws -> RepairResponse
    func remark(_ request: RemarkRequest) async throws -> MessageResponse
    func pause(_ request: PauseRequest) async throws -> MessageResponse
    func resume() async throws -> MessageResponse
    func reload() async throws -> MessageResponse
    func changeKeys(_ request: KeyRequest) async throws -> MessageResponse
    func rebuildCatalog() async throws -> MessageResponse
}
