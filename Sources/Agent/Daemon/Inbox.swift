// What other threads ask of the agent's loop, and how they get their answer.

internal import Controlling
internal import Kernel
internal import Scheduling
internal import Synchronization
internal import Watching

/// An answer that a waiting caller gets once.
final class Reply<Value: Sendable>: Sendable {
    private let continuation: CheckedContinuation<Value, any Error>

    init(_ continuation: CheckedContinuation<Value, any Error>) {
        self.continuation = continuation
    }

    func give(_ result: Result<Value, any Error>) {
        continuation.resume(with: result)
    }
}

enum LoopMessage: Sendable {
    case snapshot(SnapshotRequest, Reply<SnapshotResponse>?)
    case rotate(RotateRequest, Reply<RotateResponse>)
    case forget(ForgetRequest, Reply<RotateResponse>)
    case compact(Reply<CompactResponse>)
    case repair(RepairRequest, Reply<RepairResponse>)
    case purge(PurgeRequest, Reply<MessageResponse>)
    case remark(RemarkRequest, Reply<MessageResponse>)
    case keys(KeyRequest, Reply<MessageResponse>)
    case rebuildCatalog(Reply<MessageResponse>)
    /// These paths looked different a moment ago.
    case diagnose([Path], Reply<Diagnosis>)
    case pause(Duration?)
    case resume
    case reload(Reply<MessageResponse>)
    case repositoryReturned
    /// Beside the loop something was put on record: damage that a verification found, or that the key was exported.
    case recordChanged
    /// Of the watcher with this number.
    case signal(WatchSignal, UInt64)
    case stop
}

final class Inbox: Sendable {
    private struct State: Sendable {
        var messages: [LoopMessage] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let clock: AlarmClock
    /// Set once: work that is under way gives up.
    let isStopping = Atomic(false)
    /// Of the loop: a beat for each turn and each step of its work.
    let pulse = Pulse()
    /// The loop has nothing to do, and answers a ring at once.
    let isLoopWaiting = Atomic(false)
    private let isWoken = Atomic(false)

    init(clock: AlarmClock) {
        self.clock = clock
    }

    /// - Returns: False when the loop has ended: nobody will take the message.
    @discardableResult
    func put(_ message: LoopMessage) -> Bool {
        if case .stop = message { isStopping.store(true, ordering: .relaxed) }
        let isTaken = state.withLock { state in
            if !state.isClosed { state.messages.append(message) }
            return !state.isClosed
        }
        clock.ring()
        return isTaken
    }

    /// Asked by all work of the loop that takes long, before each of its steps; that it asks is its sign of life.
    ///
    /// - Returns: True when the daemon is to end: the work is given up.
    func mustEnd() -> Bool {
        pulse.beat()
        return isStopping.load(ordering: .relaxed)
    }

    /// Has the loop make a turn, only to see that it does.
    func wakeLoop() {
        isWoken.store(true, ordering: .relaxed)
        clock.ring()
    }

    /// True once after `wakeLoop`.
    func takeWaking() -> Bool { isWoken.exchange(false, ordering: .relaxed) }

    func takeAll() -> [LoopMessage] {
        state.withLock { state in
            defer { state.messages.removeAll() }
            return state.messages
        }
    }

    /// Takes the last messages; from now on none are accepted.
    func close() -> [LoopMessage] {
        state.withLock { state in
            state.isClosed = true
            defer { state.messages.removeAll() }
            return state.messages
        }
    }

    var isEmpty: Bool { state.withLock { $0.messages.isEmpty } }

    /// The watcher has something to say that the loop has not heard yet.
    var hasSignal: Bool {
        state.withLock { $0.messages.contains { if case .signal = $0 { true } else { false } } }
    }

    static let closing = Problem(
        title: "Stopping", status: 503, detail: "the daemon is stopping; nothing was done", exitStatus: ExitStatus.failed)

    /// Puts a message that is answered, and waits for the answer.
    ///
    /// - Throws: `Problem` with the exit status that the command would have without a daemon.
    func ask<Value: Sendable>(_ message: (Reply<Value>) -> LoopMessage) async throws -> Value {
        do {
            return try await withCheckedThrowingContinuation { continuation in
                let reply = Reply<Value>(continuation)
                if !put(message(reply)) { reply.give(.failure(Inbox.closing)) }
            }
        } catch {
            throw ExitStatus.problem(error)
        }
    }
}
