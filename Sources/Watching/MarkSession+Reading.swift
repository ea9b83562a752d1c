// The thread that drains the queue of whole file systems.
// In: read(2).  Out: changes to the sink, jobs for the second thread.
// Invariant: of the file system it asks only where a directory is that it has not met since the latest rename; it waits
// only for the lock of `state`, which is never held during a system call. What a buffer says has reached the sink before a
// cookie in it is believed.

import Kernel

extension MarkSession {
    /// Runs until `stop`.
    func readEvents() {
        do throws(Errno) {
            try readUntilStopped()
        } catch {
            work.withLock { $0.stop() }
            signal(.failed(WatchError(.fileSystemMark, errno: error)))
        }
    }

    /// How long the queue is left alone after events that concern no source: others' events come in bulk, repeated ones as
    /// one, and a busy neighbour does not wake this thread for each.
    private static let rest = Duration.milliseconds(2)

    private func readUntilStopped() throws(Errno) {
        var poller = Poller()
        _ = poller.add(fanotify)
        let wakeUpNumber = poller.add(wakeUp)
        let mountNumber = poller.add(mountTable: mountTable)
        var resting = Poller()
        _ = resting.add(wakeUp)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 8)
        defer { buffer.deallocate() }
        let queueLimit = Fanotify.queueLimit()
        var timers = ReaderTimers(now: .now(), checkInterval: settings.checkInterval)
        var reading = Reading(places: DirectoryPlaces(roots: [], isExcluded: isExcluded))
        while true {
            pulse.beat()
            try poller.wait(timeout: timers.timeout(now: .now()))
            if poller.isReady(wakeUpNumber) {
                wakeUp.clear()
                if isStopping { return }
            }
            if poller.isReady(mountNumber) { add(.compareMounts) }
            var taken = 0
            var isForeign = true
            // More events than the queue holds: then all that was there at the beginning has been read.
            while taken <= queueLimit {
                let count = try fanotify.read(into: buffer)
                if count == 0 { break }
                let (events, concerns) = handle(UnsafeRawBufferPointer(rebasing: buffer[..<count]), &reading, &timers)
                taken += events
                if concerns { isForeign = false }
            }
            // Closed here, so that they can be unmounted.
            reading.views = nil
            handleTimers(&timers)
            if taken > 0, isForeign { try resting.wait(timeout: MarkSession.rest) }
        }
    }

    /// What the thread remembers from one buffer to the next.
    private struct Reading {
        var places: DirectoryPlaces
        var generation: UInt64 = .max
        var views: MountViews?
    }

    /// - Returns: How many events there were, and whether one of them concerns a source.
    private func handle(
        _ bytes: UnsafeRawBufferPointer, _ reading: inout Reading, _ timers: inout ReaderTimers
    ) -> (events: Int, concerns: Bool) {
        // Asked after the events were read: a source that comes now is compared as a whole from now on.
        let (survey, generation, cookieDirectory) = state.withLock { ($0.survey, $0.generation, $0.cookieDirectory) }
        if generation != reading.generation {
            let roots = zip(sources, survey.places).compactMap { source, place in
                place.map { DirectoryPlaces.Root(source: source, place: $0) }
            }
            reading.places = DirectoryPlaces(roots: roots, isExcluded: isExcluded)
            reading.generation = generation
            reading.views = nil
        }
        let views = reading.views ?? MountViews(survey.mounts)
        reading.views = views
        var outcome = EventOutcome()
        var count: UInt64 = 0
        var decoder = FanotifyDecoder(bytes)
        while let event = decoder.next() {
            count += 1
            if let cookieDirectory, event.directory == cookieDirectory {
                if let number = cookies.number(in: event.name) { outcome.cookies.append(number) }
            } else {
                reading.places.apply(event, to: &outcome) { handle throws(Errno) in try views.locate(handle) }
            }
        }
        state.withLock { state in
            state.events &+= count
            if outcome.hasOverflowed { state.overflows &+= 1 }
        }
        if outcome.hasOverflowed {
            timers.noteOverflow(now: .now())
            if timers.takeVerification(now: .now()) { outcome.jobs.append(.verify) }
        }
        let concerns = !outcome.batch.changes.isEmpty || !outcome.jobs.isEmpty || !outcome.cookies.isEmpty
        outcome.deliver(to: sink, signal, work, cookies)
        return (Int(count), concerns)
    }

    private func handleTimers(_ timers: inout ReaderTimers) {
        let now = BootInstant.now()
        if timers.takeVerification(now: now) { add(.verify) }
        if timers.takeCheck(now: now) { add(.checkSources) }
    }
}
