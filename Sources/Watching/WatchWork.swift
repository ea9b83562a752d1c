// What the second thread has to do, in the order in which events asked for it.
// In: jobs of the reader and of callers.  Out: one job after the other.
// Invariant: a barrier is reached only after every job before it is done.

import Kernel

enum WatchJob {
    /// Watch the directory of this name and all below it.
    case attach(parent: Int32, name: [UInt8], AttachCause)
    /// End watches whose directories have left the sources.
    case forget([Int32])
    /// Compare the roots of the sources with what is watched.
    case checkSources
    /// The same; these have left their places or come to them, be it for a moment.
    case sourcesMoved([Path])
    /// Compare everything with what is watched.
    case verify
    case compareMounts
    /// Directories that had changed, says a comparison of everything.
    case exchange([Path])
    /// Tell the waiter of this number.
    case barrier(UInt64)
}

enum AttachCause {
    case created
    /// The directory may be watched already, with another path and other excludes.
    case moved
    /// Something was mounted or unmounted here: not a change of the source.
    case mounted

    var listsAgain: Bool { self != .created }
    var isAnnounced: Bool { self != .mounted }
}

struct WatchWork {
    private var jobs: [WatchJob] = []
    private var head = 0
    private(set) var isVerifying = false
    private(set) var isStopping = false
    /// Rounds of reading that were asked for, and that are done.
    private(set) var requestedRound: UInt64 = 0
    private(set) var finishedRound: UInt64 = 0

    mutating func append(_ job: WatchJob) {
        if case .verify = job {
            // One that has not begun yet will see everything.
            if isVerifying { return }
            isVerifying = true
        }
        jobs.append(job)
    }

    mutating func next() -> WatchJob? {
        guard head < jobs.count else { return nil }
        let job = jobs[head]
        head += 1
        if head == jobs.count {
            jobs.removeAll(keepingCapacity: head <= 4096)
            head = 0
        } else if head >= 4096 {
            jobs.removeFirst(head)
            head = 0
        }
        if case .verify = job { isVerifying = false }
        return job
    }

    mutating func requestRound() -> UInt64 {
        requestedRound += 1
        return requestedRound
    }

    mutating func finishRound(_ round: UInt64) { finishedRound = max(finishedRound, round) }

    mutating func stop() { isStopping = true }
}
