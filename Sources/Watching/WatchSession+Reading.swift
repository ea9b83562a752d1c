// The thread that drains the kernel's queue.
// In: read(2).  Out: changes to the sink, jobs for the second thread.
// Invariant: it never asks the file system about anything, and waits only for the lock of `state`, which is never held
// longer than some system calls. What a buffer says has reached the sink before a cookie in it is believed.

import Kernel

extension WatchSession {
    /// Runs until `stop`.
    func readEvents() {
        do throws(Errno) {
            try readUntilStopped()
        } catch {
            // The second thread must not wait for rounds that nobody finishes.
            work.withLock { $0.stop() }
            signal(.failed(WatchError(.resources, errno: error)))
        }
    }

    private func readUntilStopped() throws(Errno) {
        var poller = Poller()
        _ = queue.add(to: &poller)
        let wakeUpNumber = poller.add(wakeUp)
        let mountNumber = poller.add(mountTable: mountTable)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 8)
        defer { buffer.deallocate() }
        var timers = ReaderTimers(now: .now(), checkInterval: settings.checkInterval)
        while true {
            pulse.beat()
            try poller.wait(timeout: timers.timeout(now: .now()))
            var round: UInt64 = 0
            if poller.isReady(wakeUpNumber) {
                wakeUp.clear()
                let (requested, isStopping) = work.withLock { ($0.requestedRound, $0.isStopping) }
                if isStopping { return }
                round = requested
            }
            if poller.isReady(mountNumber) { add(.compareMounts) }
            var taken = 0
            // More events than the queue holds: then all that was there at the beginning has been read.
            while taken <= queue.capacity {
                let count = try queue.read(into: buffer)
                if count == 0 { break }
                taken += handle(UnsafeRawBufferPointer(rebasing: buffer[..<count]), &timers)
            }
            if round > 0 { work.withLock { $0.finishRound(round) } }
            handleTimers(&timers)
        }
    }

    /// - Returns: How many events there were.
    private func handle(_ bytes: UnsafeRawBufferPointer, _ timers: inout ReaderTimers) -> Int {
        var outcome = EventOutcome()
        var count = 0
        let hasMoves = state.withLock { state in
            queue.decode(bytes) { event in
                state.apply(event, to: &outcome)
                count += 1
            }
            return !state.moves.isEmpty
        }
        timers.noteMoves(hasMoves, now: .now())
        if outcome.hasOverflowed {
            timers.noteOverflow(now: .now())
            if timers.takeVerification(now: .now()) { outcome.jobs.append(.verify) }
        }
        deliver(&outcome)
        return count
    }

    private func handleTimers(_ timers: inout ReaderTimers) {
        let now = BootInstant.now()
        if timers.takeMoves(now: now) {
            var outcome = EventOutcome()
            state.withLock { $0.settleMoves(&outcome) }
            deliver(&outcome)
        }
        if timers.takeVerification(now: now) { add(.verify) }
        if timers.takeCheck(now: now) { add(.checkSources) }
    }

    private func deliver(_ outcome: inout EventOutcome) {
        outcome.deliver(to: sink, signal, work, cookies)
    }
}

/// When the reader has to do something without an event. Pure.
struct ReaderTimers {
    private let checkInterval: Duration
    private var nextCheck: BootInstant
    private var movesDue: BootInstant?
    private var verificationDue: BootInstant?
    private var lastVerification: BootInstant?
    private var delay = Duration.zero

    /// How long the second half of a rename is waited for. Both are put into the queue by one system call.
    static let moveTimeout = Duration.milliseconds(20)
    /// Overflows that follow each other faster than this make the next verification wait.
    static let calm = Duration.seconds(60)
    static let longestDelay = Duration.seconds(30)

    init(now: BootInstant, checkInterval: Duration) {
        self.checkInterval = checkInterval
        nextCheck = now + checkInterval
    }

    func timeout(now: BootInstant) -> Duration {
        let due = min(nextCheck, min(movesDue ?? nextCheck, verificationDue ?? nextCheck))
        return max(.zero, due - now)
    }

    mutating func noteMoves(_ arePending: Bool, now: BootInstant) {
        movesDue = arePending ? now + ReaderTimers.moveTimeout : nil
    }

    /// The first verification is made at once; those that follow soon wait 0.1, 0.2, 0.4 … 30 seconds.
    mutating func noteOverflow(now: BootInstant) {
        if verificationDue != nil { return }
        if let lastVerification, now - lastVerification < ReaderTimers.calm + delay {
            delay = min(ReaderTimers.longestDelay, max(.milliseconds(100), delay * 2))
            verificationDue = max(now, lastVerification + delay)
        } else {
            delay = .zero
            verificationDue = now
        }
    }

    mutating func takeMoves(now: BootInstant) -> Bool {
        guard let due = movesDue, due <= now else { return false }
        movesDue = nil
        return true
    }

    mutating func takeVerification(now: BootInstant) -> Bool {
        guard let due = verificationDue, due <= now else { return false }
        verificationDue = nil
        lastVerification = now
        return true
    }

    mutating func takeCheck(now: BootInstant) -> Bool {
        guard nextCheck <= now else { return false }
        nextCheck = now + checkInterval
        return true
    }
}
