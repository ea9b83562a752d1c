// Standard output and standard error of a command.
// In: text of any thread.  Out: bytes, in order; standard output is gathered into large writes.
// Invariant: an error of writing is kept and thrown by `flush`, so that a full disk is never taken for success.

internal import Agent
internal import Controlling
internal import Kernel
internal import Synchronization

/// Whoever read standard output went away, as `head` does: no reason to complain.
struct BrokenOutput: Error {}

final class TextStream: Sendable {
    static let output = TextStream(1, gathers: 64 << 10)
    static let problems = TextStream(2, gathers: 0)

    private let descriptor: Descriptor
    private let limit: Int
    private let state = Mutex(State())

    private struct State {
        var pending: [UInt8] = []
        var failure: Errno?
    }

    private init(_ descriptor: Int32, gathers limit: Int) {
        self.descriptor = Descriptor(owning: descriptor)
        self.limit = limit
    }

    func write(_ bytes: some Sequence<UInt8>) {
        state.withLock { state in
            state.pending += bytes
            if state.pending.count > limit { send(&state) }
        }
    }

    func write(_ text: String) { write(text.utf8) }

    func line(_ text: String = "") {
        state.withLock { state in
            state.pending += text.utf8
            state.pending.append(UInt8(ascii: "\n"))
            if state.pending.count > limit { send(&state) }
        }
    }

    /// `watchctl: message`
    func complain(_ message: String) { line("watchctl: \(message)") }

    /// The JSON form of `value`, for a person's eye too.
    func json(_ value: some Encodable) throws {
        write(try ControlJSON.encode(value, pretty: true) + [UInt8(ascii: "\n")])
    }

    /// Writes what is pending.
    ///
    /// - Throws: `BrokenOutput`, or `AgentError.failed`, for a write that failed since the last time; said once.
    func flush() throws {
        let failure = state.withLock { state in
            send(&state)
            defer { state.failure = nil }
            return state.failure
        }
        if let failure { throw TextStream.error(failure) }
    }

    /// Hands the descriptor to what writes much by itself, after all that is pending.
    ///
    /// - Throws: As `flush` for an `Errno`; other errors of `body` as they are.
    func withDescriptor(_ body: (borrowing Descriptor) throws -> Void) throws {
        try flush()
        do {
            try body(descriptor)
        } catch let errno as Errno {
            throw TextStream.error(errno)
        }
    }

    private static func error(_ errno: Errno) -> any Error {
        errno == .brokenPipe ? BrokenOutput() : AgentError.failed("standard output cannot be written: \(errno)")
    }

    private func send(_ state: inout State) {
        defer { state.pending.removeAll(keepingCapacity: true) }
        if state.failure != nil || state.pending.isEmpty { return }
        do throws(Errno) { try descriptor.write(state.pending) } catch { state.failure = error }
    }
}
