// The thread that watches and lists directories.
// In: jobs.  Out: watches; `subtree` changes for what could have happened before a directory was watched.
// Invariant: a directory is listed only after it is watched, and what is listed is what is watched: device and inode agree.

import Kernel
import Tracking

extension WatchSession {
    /// Runs until `stop`.
    func doWork() {
        state.withLock { $0.mounts = MountTable.concerning(sources) ?? [] }
        // Before the directories, which would take all that there is. Without it, waiting for the watcher fails and says so.
        _ = try? openCookies()
        while let job = work.wait(until: { work -> WatchJob?? in work.isStopping ? .some(nil) : work.next().map { .some($0) } }) {
            switch job {
            case .attach(let parent, let name, let cause): attach(parent, name, cause)
            case .forget(let watches): unwatch(watches)
            case .checkSources, .sourcesMoved: checkSources()
            case .verify: verify()
            case .compareMounts: compareMounts()
            case .exchange(let changed): exchange(changed)
            case .barrier(let number): cookies.arrived(number)
            }
        }
    }

    /// Makes watches and tree equal to what is there, then says `ready`.
    func verify() {
        let budget = WatchBudget.present(settings, queue)
        let earlier = state.withLock { state in
            state.tree.beginEpoch()
            state.budget = budget
            state.limit = budget.directories
            state.formerlyUnwatched = state.unwatched
            defer { state.unwatched.removeAll() }
            return state.unwatched
        }
        let checks = sources.indices.map { checkSource($0) }
        walk(checks.compactMap { check in check.watch.map { Visit(watch: $0, again: true) } })
        if isStopping { return }
        unwatch(state.withLock { $0.tree.sweep() })
        for source in sources.indices where checks[source].hasReturned { signal(.returned(sources[source])) }
        announce(released: earlier)
        state.withLock { $0.formerlyUnwatched = nil }
        signal(.ready)
    }

    /// What happened in directories that were not watched before, no event told.
    private func announce(released earlier: UnwatchedList) {
        if earlier.isEmpty { return }
        let released = state.withLock { $0.unwatched.released(since: earlier) } ?? sources
        if !released.isEmpty { sink(released.map { Change(path: $0, scope: .subtree) }) }
    }

    /// Watches the directory `name` and all below it.
    func attach(_ parent: Int32, _ name: [UInt8], _ cause: AttachCause) {
        guard let (place, identity) = state.withLock({ state in
            state.tree.path(of: parent).map { ($0, state.tree.identity(of: parent)) }
        }) else { return }
        let path = place.appending(name)
        do throws(Errno) {
            let above = try Descriptor.open(place, [.path, .directory, .noFollow])
            let status = try above.status()
            // Another directory has its place by now. Where it is itself, the event of its rename leads to what is in it.
            guard status.identity == identity else { return }
            let directory = try Descriptor.open(name.map { CChar(bitPattern: $0) } + [0], in: above, [.path, .directory, .noFollow])
            let result = name.withUnsafeBytes { attach(directory, parent: parent, parentDevice: status.device, name: $0, path: path) }
            // One that is known was watched by another job, which lists it and announces it when that is done.
            guard let visit = Visit(result, again: cause.listsAgain) else { return }
            walk([visit])
            guard cause.isAnnounced, let now = state.withLock({ $0.tree.path(of: visit.watch) }) else { return }
            sink([Change(path: now, scope: .subtree)])
        } catch {
            leave(path, error)
        }
    }

    /// A directory to list.
    struct Visit {
        var watch: Int32
        /// Go through those below it that were watched before, too.
        var again: Bool

        init(watch: Int32, again: Bool) {
            self.watch = watch
            self.again = again
        }

        /// Nil when there is nothing to list.
        init?(_ attachment: Attachment, again: Bool) {
            switch attachment {
            case .added(let watch): self.init(watch: watch, again: again)
            case .known(let watch) where again: self.init(watch: watch, again: true)
            case .moved(let watch): self.init(watch: watch, again: true)
            case .known, .left: return nil
            }
        }
    }

    /// Lists watched directories and watches what is in them, level by level, so that a limit leaves out the deepest.
    func walk(_ roots: [Visit]) {
        var level = roots
        while !level.isEmpty {
            var next: [Visit] = []
            for visit in level {
                if isStopping { return }
                if list(visit, into: &next) { continue }
                // Renamed or removed since: the event that says so is in the queue.
                waitForReader()
                if list(visit, into: &next) { continue }
                giveUp(visit.watch)
            }
            level = next
        }
    }

    /// - Returns: False when another directory, or none, stands at the path of this watch.
    private func list(_ visit: Visit, into next: inout [Visit]) -> Bool {
        let watch = visit.watch
        guard let (path, identity) = state.withLock({ state in
            state.tree.path(of: watch).map { ($0, state.tree.identity(of: watch)) }
        }) else { return true }
        do throws(Errno) {
            var listing = try DirectoryListing(at: path)
            let status = try listing.status()
            guard status.identity == identity else { return false }
            var present: Set<Int32> = []
            while let entry = try listing.next() {
                guard entry.kind == .directory || entry.kind == nil else { continue }
                let child = ChangeBatch.join(path, entry.name)
                let result = attach(entry, of: listing, parent: watch, parentDevice: status.device, path: child)
                guard let deeper = Visit(result, again: visit.again) else { continue }
                next.append(deeper)
                if visit.again { present.insert(deeper.watch) }
            }
            if visit.again { dropChildren(of: watch, except: present) }
        } catch .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels {
            return false
        } catch {
            leave(path, error)
        }
        return true
    }

    private func attach(
        _ entry: DirectoryListing.Entry, of listing: borrowing DirectoryListing, parent: Int32, parentDevice: DeviceNumber,
        path: Path
    ) -> Attachment {
        if isExcluded(path, .directory) {
            dropChild(of: parent, entry.name)
            return .left
        }
        guard let name = entry.terminatedName else { return .left }
        do throws(Errno) {
            let directory = try listing.openSubdirectory(name)
            return attach(directory, parent: parent, parentDevice: parentDevice, name: entry.name, path: path)
        } catch {
            leave(path, error)
            return .left
        }
    }

    /// Ends the watches that the tree has in a directory, but its listing has not: they came there while another directory
    /// had this path. One that was moved in since then is watched anew by the job of its event.
    private func dropChildren(of watch: Int32, except present: Set<Int32>) {
        let removed = state.withLock { state in
            state.tree.children(of: watch).filter { !present.contains($0) }.flatMap { state.tree.remove($0) }
        }
        unwatch(removed)
    }

    /// A watch whose directory has left its place without an event that told where to.
    private func giveUp(_ watch: Int32) {
        let (path, removed) = state.withLock { state in (state.tree.path(of: watch), state.tree.remove(watch)) }
        unwatch(removed)
        if let path { sink([Change(path: path, scope: .subtree)]) }
    }

    /// Notes why a directory is not watched. That it is gone is no reason: an event tells.
    func leave(_ path: Path, _ error: Errno) {
        switch error {
        case .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels: break
        case .noSpace: leave(path, .watchLimit)
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory: leave(path, .shortOf(error))
        case _ where queue.isRefusal(error):
            // Another watcher has to take over, which can.
            if isStopping { return }
            stop()
            signal(.failed(WatchError(.directoryMark, path: path, errno: error)))
        default: leave(path, .unreadable(error))
        }
    }

    func leave(_ path: Path, _ reason: UnwatchedReason) {
        state.withLock { $0.unwatched.insert(path, reason) }
        // Asked only now: when it goes away later, an event does the same.
        do throws(Errno) {
            _ = try FileStatus(of: path)
        } catch .noSuchFileOrDirectory, .notDirectory {
            state.withLock { $0.unwatched.remove(path) }
        } catch {}
    }

    /// Ends watches, most of which are not in the tree any more. Each may give an event: in between, the reader makes room.
    func unwatch(_ watches: [Int32]) {
        for (index, watch) in watches.enumerated() {
            if index % 4096 == 4095 { waitForReader() }
            queue.unwatch(watch, at: state.withLock { $0.tree.path(of: watch) })
        }
    }
}
