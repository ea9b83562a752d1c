// The roots of the sources: whether they are there, and whether they are still the same directories.
// In: events of their parents, changes of the mounts, and the clock.  Out: signals; new watches.
// Invariant: a root that is missing or covered is never reported as a change; its content does not count as deleted.

import Kernel

extension WatchSession {
    struct RootCheck {
        /// Nil when the root is missing or cannot be watched.
        var watch: Int32?
        var isNew = false
        /// To be said when it has been listed.
        var hasReturned = false
    }

    /// Compares all roots, and watches those that are new.
    func checkSources() {
        for source in sources.indices {
            let check = checkSource(source)
            if let watch = check.watch, check.isNew { walk([Visit(watch: watch, again: false)]) }
            if check.hasReturned { signal(.returned(sources[source])) }
        }
        // An administrator may have raised the limit since.
        let limit = state.withLock { $0.unwatched.contains(.watchLimit) ? $0.budget.limit : nil }
        if let limit, let present = queue.limit(), present.value > limit.value { add(.verify) }
    }

    /// Compares one root, and watches it when it is new.
    func checkSource(_ source: Int) -> RootCheck {
        let path = sources[source]
        guardParent(of: source)
        do throws(Errno) {
            let directory = try Descriptor.open(path, [.path, .directory, .noFollow])
            let status = try directory.status()
            let (known, identity) = state.withLock { state -> (Int32?, UInt64?) in
                let root = state.tree.root(source)
                if let root { state.tree.mark(root) }
                return (root, root.flatMap { state.tree.identity(of: $0) })
            }
            if let known, identity == status.identity, queue.holds(directory) { return RootCheck(watch: known) }
            // Another directory stands there, or its file system was away: what was watched is out of reach, whatever took it away.
            if known != nil { lose(source) }
            let added = try watchRoot(source, directory, status)
            let wasAvailable = state.withLock { state in
                defer { state.isAvailable[source] = true }
                return state.isAvailable[source]
            }
            return RootCheck(watch: added, isNew: true, hasReturned: !wasAvailable)
        } catch {
            lose(source)
            leave(path, error)
            return RootCheck()
        }
    }

    /// Watches a root in place of the one that was there.
    private func watchRoot(_ source: Int, _ directory: borrowing Descriptor, _ status: FileStatus) throws(Errno) -> Int32? {
        if let fileSystem = try? FileSystemStatus(at: sources[source]), fileSystem.hidesForeignChanges {
            leave(sources[source], .foreignChanges)
            return nil
        }
        let result = state.withLock { state -> Result<Int32, Errno> in
            do throws(Errno) {
                let watch = try queue.watch(directory, for: WatchSession.watchedEvents, existing: .refuse)
                _ = state.tree.insertRoot(watch, source: source, identity: status.identity)
                state.unwatched.remove(sources[source])
                return .success(watch)
            } catch { return .failure(error) }
        }
        switch result {
        case .success(let watch): return watch
        case .failure(.fileExists): leave(sources[source], .aliased)
        case .failure(.noSpace): leave(sources[source], .watchLimit)
        case .failure(let error): throw error
        }
        return nil
    }

    /// Ends the watches of a source and says once that it is out of reach.
    private func lose(_ source: Int) {
        let (wasAvailable, ending) = state.withLock { state in
            defer { state.isAvailable[source] = false }
            return (state.isAvailable[source], state.tree.root(source).map { state.tree.remove($0) } ?? [])
        }
        unwatch(ending)
        if wasAvailable { signal(.unavailable(sources[source])) }
    }

    /// Watches the directory that holds a root: while a process holds a removed root open, only this one tells.
    private func guardParent(of source: Int) {
        guard let parent = sources[source].parent,
            let directory = try? Descriptor.open(parent, [.path, .directory])
        else { return }
        state.withLock { state in
            let events: Inotify.Events = [.created, .deleted, .movedFrom, .movedTo]
            guard let watch = try? queue.watch(directory, for: events, existing: .extend) else { return }
            if state.guards[watch]?.contains(source) != true { state.guards[watch, default: []].append(source) }
        }
    }
}

// MARK: Mounts

extension MountTable {
    /// The mounts at, above and below the sources; nil when the table cannot be read.
    static func concerning(_ sources: [Path]) -> Set<MountRecord>? {
        guard let records = try? read() else { return nil }
        return Set(records.filter { record in
            sources.contains { record.point.isAtOrBelow($0) || $0.isAtOrBelow(record.point) }
        })
    }
}

extension WatchSession {
    /// Says what was mounted or unmounted, and watches what stands there now.
    func compareMounts() {
        guard let mounts = MountTable.concerning(sources) else { return }
        let changed = state.withLock { state in
            defer { state.mounts = mounts }
            return Set(state.mounts.symmetricDifference(mounts).map(\.point)).sorted()
        }
        if !changed.isEmpty { signal(.mountsChanged(changed)) }
        // Also when the table looks as before: a mount may have been replaced by another that got its number.
        checkSources()
        for point in changed {
            guard let parent = point.parent, sources.contains(where: { point.isBelow($0) }),
                let watch = state.withLock({ $0.tree.find(parent) })
            else { continue }
            attach(watch, Array(point.name), .mounted)
        }
    }
}
