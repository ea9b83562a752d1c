// What a buffer of events leads to.
// In: what each event means (WatchState, DirectoryPlaces).  Out: changes to the sink, signals, jobs for the second thread.
// Invariant: what the events say has reached the sink before a cookie among them is believed.

import Kernel
import Tracking

struct EventOutcome {
    var batch = ChangeBatch()
    var jobs: [WatchJob] = []
    var forgotten: [Int32] = []
    var signals: [WatchSignal] = []
    var cookies: [UInt64] = []
    var hasOverflowed = false

    /// Ends the watches of a subtree later: the reader itself makes no other calls than read(2).
    mutating func forget(_ watches: [Int32]) {
        if watches.isEmpty { return }
        forgotten += watches
        batch.forgetDirectory()
    }

    /// Gives everything away. Called without any lock.
    mutating func deliver(
        to sink: ([Change]) -> Void, _ signal: (WatchSignal) -> Void, _ work: Monitor<WatchWork>, _ jar: CookieJar
    ) {
        let changes = batch.take()
        if !changes.isEmpty { sink(changes) }
        if hasOverflowed { signal(.overflow) }
        for each in signals { signal(each) }
        if !forgotten.isEmpty || !jobs.isEmpty || !cookies.isEmpty {
            let (forgotten, jobs, numbers) = (forgotten, jobs, cookies)
            work.withLock { work in
                if !forgotten.isEmpty { work.append(.forget(forgotten)) }
                for job in jobs { work.append(job) }
                for number in numbers { work.append(.barrier(number)) }
            }
        }
        // A cookie may have been among what was lost.
        if hasOverflowed { jar.loseAll() }
    }
}
