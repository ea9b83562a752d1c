// The roots of the sources and their file systems: whether they are there, the same as before, and marked.
// In: events of the directories above them, changes of the mounts, and the clock.  Out: marks; signals.
// Invariant: a root that is missing or covered is never reported as a change; its content does not count as deleted.

import Kernel

extension MarkSession {
    /// Runs until `stop`.
    func doWork() {
        while let job = work.wait(until: { work -> WatchJob?? in work.isStopping ? .some(nil) : work.next().map { .some($0) } }) {
            do throws(WatchError) {
                switch job {
                case .checkSources: try checkSources()
                case .sourcesMoved(let moved): try checkSources(moved: moved)
                case .verify:
                    try checkSources()
                    signal(.ready)
                case .compareMounts: try compareMounts()
                case .barrier(let number): cookies.arrived(number)
                case .attach, .forget, .exchange: break
                }
            } catch {
                // A file system has come that cannot be marked: another watcher has to take over.
                stop()
                signal(.failed(error))
            }
        }
    }

    /// Compares all roots, marks what is new, and says what came and went.
    ///
    /// - Parameter moved: Sources that an event tells of. They may have been away and come back as they were: what was written
    ///   into them meanwhile was none of the source's.
    private func checkSources(moved: [Path] = []) throws(WatchError) {
        var fresh = try takeSurvey()
        fresh.survey.remember(state.withLock { $0.survey })
        let signals = state.withLock { state -> [WatchSignal] in
            let old = state.survey
            if old.roots != fresh.survey.roots || old.mounts != fresh.survey.mounts || old.places != fresh.survey.places || !fresh.isMarkedBefore.allSatisfy({ $0 }) {
                state.generation &+= 1
            }
            state.survey = fresh.survey
            return sources.indices.flatMap { source -> [WatchSignal] in
                let root = fresh.survey.roots[source]
                let isSame = root == old.roots[source] && !moved.contains(sources[source])
                if root != nil, isSame, fresh.isMarkedBefore[source] { return [] }
                var signals: [WatchSignal] = []
                // Another directory stands there: what was watched is out of reach, whatever took it away.
                if state.isAvailable[source], root == nil || old.roots[source] != nil {
                    signals.append(.unavailable(sources[source]))
                    state.isAvailable[source] = false
                }
                if root != nil, !state.isAvailable[source] {
                    signals.append(.returned(sources[source]))
                    state.isAvailable[source] = true
                }
                return signals
            }
        }
        for each in signals { signal(each) }
    }

    /// Says what was mounted or unmounted. The sources are compared even when the table looks as before, for a mount may have
    /// been replaced by another that got its number.
    private func compareMounts() throws(WatchError) {
        var changed: [Path] = []
        if let table = MountTable.concerning(sources) {
            changed = state.withLock { state in
                defer { state.table = table }
                return Set(state.table.symmetricDifference(table).map(\.point)).sorted()
            }
        }
        if !changed.isEmpty { state.withLock { $0.generation &+= 1 } }
        try checkSources()
        // Only now is what was mounted marked.
        if !changed.isEmpty { signal(.mountsChanged(changed)) }
    }
}
