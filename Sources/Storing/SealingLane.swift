// The frames of one writer inside the pool: given in order, sealed in any order, taken in order.
// In: tickets and results.  Out: sealed frames by ascending ticket.
// Invariant: bytes in flight are those of the frames that were given and not yet taken.

internal import Kernel

final class SealingLane: Sendable {
    private struct State {
        var nextTicket = 0
        var nextTaken = 0
        var bytesInFlight = 0
        /// By ticket: the bytes that the frame counts for.
        var costs: [Int: Int] = [:]
        var results: [Int: Result<[UInt8], any Error>] = [:]
    }

    private let limit: Int
    private let state = Monitor(State())

    init(limit: Int) {
        self.limit = limit
    }

    /// A ticket for a frame of `cost` bytes; nil when there is no room before another one is taken.
    func reserve(_ cost: Int) -> Int? {
        state.withLock { state in
            guard state.bytesInFlight == 0 || cost <= limit - state.bytesInFlight else { return nil }
            defer { state.nextTicket += 1 }
            state.bytesInFlight += cost
            state.costs[state.nextTicket] = cost
            return state.nextTicket
        }
    }

    var bytesInFlight: Int { state.withLock { $0.bytesInFlight } }

    /// Called by a worker, once for each ticket.
    func complete(_ ticket: Int, _ result: Result<[UInt8], any Error>) {
        state.withLock { $0.results[ticket] = result }
    }

    /// The next frame if it is sealed already.
    func takeReady() throws -> [UInt8]? {
        try state.withLock { try SealingLane.take(&$0) }
    }

    /// The next frame, waiting for it; nil when none is in flight.
    func takeNext() throws -> [UInt8]? {
        try state.wait { state -> [UInt8]?? in
            if state.nextTaken == state.nextTicket { return .some(nil) }
            return try SealingLane.take(&state).map { .some($0) }
        }
    }

    private static func take(_ state: inout State) throws -> [UInt8]? {
        guard let result = state.results.removeValue(forKey: state.nextTaken) else { return nil }
        state.bytesInFlight -= state.costs.removeValue(forKey: state.nextTaken) ?? 0
        state.nextTaken += 1
        return try result.get()
    }
}
