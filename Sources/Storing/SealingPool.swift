// Threads that compress and encrypt frames, for the writers of archives.
// In: payloads, from any number of writers.  Out: sealed frames, to each writer in the order in which it gave them.
// Invariant: of each writer at most `bytesInFlight` bytes of payloads are held (or one payload, if it alone is larger).
// The bound is per writer, so that one thread can have several archives open without waiting for itself.

internal import Archiving
internal import Compressing
package import Encrypting
internal import Kernel

package final class SealingPool: Sendable {
    /// The bound for each writer, in bytes of payloads.
    package let bytesInFlight: Int
    private let queue: Monitor<SealingQueue>
    private let workers: [Worker]

    /// Starts the threads, at background priority.
    ///
    /// - Parameters:
    ///   - workers: Threads, at least 1. Each holds the memory of one compressor: xz:6 takes about 95 MB.
    ///   - verifies: Decode each frame again before it is written.
    /// - Throws: EAGAIN as `StorageError.io` when the system gives no more threads, or what the libraries say when a
    ///   sealer cannot be made; no thread is left then.
    package init(
        key: SecretKey, workers count: Int = Machine.processors, verifies: Bool = true, bytesInFlight: Int = 64 << 20
    ) throws {
        let queue = Monitor(SealingQueue())
        var workers: [Worker] = []
        do {
            for index in 0..<max(1, count) {
                workers.append(
                    try Worker(Thread(name: "seal-\(index)", priority: .background) {
                        SealingPool.work(queue, key: key, verifies: verifies)
                    }))
            }
            try queue.wait { state in
                if let failure = state.failure { throw failure }
                return state.ready == workers.count ? () : nil
            }
        } catch {
            SealingPool.stop(queue, workers)
            if let error = error as? Errno { throw StorageError(error, cannot: "start a thread", at: .root) }
            throw error
        }
        self.bytesInFlight = max(1, bytesInFlight)
        self.queue = queue
        self.workers = workers
    }

    deinit {
        SealingPool.stop(queue, workers)
    }

    /// Ends the threads and waits for them. Frames that no thread has begun fail with `.cancelled`, and so does
    /// everything that is given to the pool later. From any thread, also more than once.
    package func shutDown() {
        SealingPool.stop(queue, workers)
    }

    func submit(_ job: SealingJob) {
        let isStopped = queue.withLock { state in
            if !state.isStopped { state.jobs.append(job) }
            return state.isStopped
        }
        if isStopped { job.lane.complete(job.ticket, .failure(SealingPool.cancellation)) }
    }

    private static func stop(_ queue: Monitor<SealingQueue>, _ workers: [Worker]) {
        let dropped = queue.withLock { state in
            state.isStopped = true
            return state.jobs.removeAll()
        }
        for job in dropped { job.lane.complete(job.ticket, .failure(cancellation)) }
        for worker in workers { worker.join() }
    }

    private static let cancellation = StorageError(.cancelled, "the threads that seal frames were stopped", at: .root)

    /// One thread: takes jobs until the pool is stopped.
    private static func work(_ queue: Monitor<SealingQueue>, key: SecretKey, verifies: Bool) {
        let sealer: FrameSealer
        do {
            sealer = try FrameSealer(key: key, verifies: verifies)
        } catch {
            queue.withLock { $0.failure = error }
            return
        }
        queue.withLock { $0.ready += 1 }
        while let job = next(queue) {
            let result = Result<[UInt8], any Error> { try job.frame.seal(with: sealer, at: job.place, time: job.time) }
            job.lane.complete(job.ticket, result)
        }
    }

    private static func next(_ queue: Monitor<SealingQueue>) -> SealingJob? {
        // Two levels, for nil of the inner one ends the thread.
        queue.wait { state -> SealingJob?? in
            if state.isStopped { return .some(nil) }
            return state.jobs.takeFirst().map { .some($0) }
        }
    }
}

/// A frame on its way into the pool.
struct SealingJob: Sendable {
    enum Frame: Sendable {
        case payload([UInt8], CompressionLevel)
        case compressed(CompressedFrame)

        /// Bytes that it holds.
        var count: Int {
            switch self {
            case .payload(let bytes, _): bytes.count
            case .compressed(let frame): frame.bytes.count
            }
        }

        func seal(with sealer: FrameSealer, at place: FramePlace, time: UInt64) throws -> [UInt8] {
            switch self {
            case .payload(let bytes, let level):
                try bytes.withUnsafeBytes { try sealer.seal($0, at: place, level: level, time: time) }
            case .compressed(let frame):
                try sealer.reseal(frame, at: place, time: time)
            }
        }
    }

    let frame: Frame
    let place: FramePlace
    /// Seconds since 1970, for the token.
    let time: UInt64
    let lane: SealingLane
    /// Its place in the order of the lane.
    let ticket: Int
}

private struct SealingQueue {
    var jobs = JobList()
    var ready = 0
    var isStopped = false
    var failure: (any Error)?
}

/// First in, first out. Taken jobs give up their payload at once.
private struct JobList {
    private var jobs: [SealingJob?] = []
    private var head = 0

    mutating func append(_ job: SealingJob) {
        if head == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            head = 0
        }
        jobs.append(job)
    }

    mutating func takeFirst() -> SealingJob? {
        guard head < jobs.count else { return nil }
        defer {
            jobs[head] = nil
            head += 1
        }
        return jobs[head]
    }

    mutating func removeAll() -> [SealingJob] {
        let rest = jobs[head...].compactMap { $0 }
        jobs = []
        head = 0
        return rest
    }
}

/// A thread that can be joined from more than one place; only the first one waits for it.
private final class Worker: Sendable {
    private let thread: Monitor<ThreadBox>

    private final class ThreadBox {
        var thread: Thread?
        init(_ thread: consuming Thread) { self.thread = consume thread }
    }

    init(_ thread: consuming Thread) {
        self.thread = Monitor(ThreadBox(thread))
    }

    func join() {
        thread.withLock { box in
            if let thread = box.thread.take() { thread.join() }
        }
    }
}
