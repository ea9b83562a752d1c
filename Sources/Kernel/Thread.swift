// Threads of the operating system, for what must not share the cooperative pool: the inotify reader, and the workers
// of a snapshot, which block on files and run at low priority. Source: pthreads(7), sched(7).

internal import CLinux
internal import Glibc

public enum ThreadPriority: Sendable {
    /// As the process was started.
    case normal
    /// nice 10, SCHED_BATCH, idle I/O class: for work that waits for everything a person does.
    case background
}

/// A thread that was started and must be waited for.
public struct Thread: ~Copyable, Sendable {
    private let handle: pthread_t

    /// Starts `body` on a new thread, named `name` (up to 15 bytes are kept).
    public init(name: String, priority: ThreadPriority, _ body: @escaping @Sendable () -> Void) throws(Errno) {
        let start = ThreadStart(name: name, priority: priority, body: body)
        let starter = ThreadStarter.shared
        let (code, thread) = priority == .normal && clinux_nice_of_thread() != starter.nice ? starter.start(start) : start.run()
        if code != 0 { throw Errno(rawValue: code) }
        handle = thread
    }

    /// Waits for its end.
    public consuming func join() {
        pthread_join(handle, nil)
        discard self
    }

    deinit {
        pthread_detach(handle)
    }
}

/// What a new thread needs; a class, for C passes one pointer.
private final class ThreadStart: Sendable {
    let name: String
    let priority: ThreadPriority
    let body: @Sendable () -> Void

    init(name: String, priority: ThreadPriority, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.priority = priority
        self.body = body
    }

    /// - Returns: What pthread_create(3) says, 0 when it runs.
    func run() -> (code: Int32, thread: pthread_t) {
        let start = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, { argument in
            // Balances the passRetained above.
            guard let argument else { return nil }
            let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
            clinux_name_thread(start.name)
            if start.priority == .background { lowerPriorityOfThread() }
            start.body()
            return nil
        }, start.toOpaque())
        if code != 0 { start.release() }
        return (code, thread)
    }
}

/// Starts threads of normal priority for those of low priority: a new thread takes the nice value of the one that starts it, and only
/// a privileged one may go back. It stands since the first thread of the process was asked for. Source: setpriority(2), pthreads(7).
private final class ThreadStarter: Sendable {
    static let shared = ThreadStarter()

    let nice = clinux_nice_of_thread()
    private let orders = Monitor<[Order]>([])
    private let isThere: Bool

    private struct Order: Sendable {
        let start: ThreadStart
        let outcome = Monitor<(code: Int32, thread: pthread_t)?>(nil)
    }

    private init() {
        let orders = orders
        let own = ThreadStart(name: "starter", priority: .normal) {
            while true {
                let order = orders.wait { $0.isEmpty ? nil : $0.removeFirst() }
                let outcome = order.start.run()
                order.outcome.withLock { $0 = outcome }
            }
        }
        isThere = own.run().code == 0
    }

    func start(_ start: ThreadStart) -> (code: Int32, thread: pthread_t) {
        // A thread at low priority is better than none.
        if !isThere { return start.run() }
        let order = Order(start: start)
        orders.withLock { $0.append(order) }
        return order.outcome.wait { $0 }
    }
}

/// Each step is a courtesy: where the system refuses it, the work goes on at the priority it has.
private func lowerPriorityOfThread() {
    _ = clinux_nice_thread(10)
    var parameters = sched_param()
    parameters.sched_priority = 0
    _ = pthread_setschedparam(pthread_self(), 3 /* SCHED_BATCH */, &parameters)
    _ = clinux_ioprio_idle()
}

/// A mutex and a condition variable around a value. Source: pthread_cond_wait(3).
public final class Monitor<State>: @unchecked Sendable {  // Every access to `state` holds `mutex`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var state: State

    public init(_ state: sending State) {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        self.state = state
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` alone, then wakes all waiters.
    public func withLock<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until `body` gives a value, asking it again after every change.
    public func wait<Result>(until body: (inout State) throws -> Result?) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        while true {
            if let result = try body(&state) { return result }
            pthread_cond_wait(condition, mutex)
        }
    }
}

public enum Machine {
    /// Processors that are online, at least 1.
    public static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
