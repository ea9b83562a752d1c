// Does the tree of watches say what stands in the sources, and does the kernel have these watches?
// In: the directories that are there, the tree, the kernel's own list.  Out: directories that are blind, watches that are stale.
// Invariant: it only looks. A directory that changes during the walk is suspected, and acquitted when its events have been heard.

import Kernel

/// What the first look found odd.
struct WatchSuspicion {
    var directories = 0
    var blind: [(path: Path, identity: UInt64)] = []
    var stale: [(watch: Int32, path: Path)] = []

    var isFound: Bool { !blind.isEmpty || !stale.isEmpty }
}

extension WatchSession {
    /// Walks over the sources as the second thread does. Cost: one open, one list of names for each directory.
    func compareWithTree(isCancelled: () -> Bool) throws(Errno) -> WatchSuspicion {
        let known = try queue.watches()
        var result = WatchSuspicion()
        var seen: Set<Int32> = []
        for source in sources {
            guard let device = try? FileStatus(of: source).device else { continue }
            var pending = [source]
            while let path = pending.popLast() {
                if isCancelled() || isStopping { return result }
                switch look(at: path, on: device, known) {
                case .notWanted: break
                case .blind(let identity): result.blind.append((path, identity))
                case .watched(let watch, let subdirectories):
                    seen.insert(watch)
                    pending += subdirectories
                }
            }
        }
        result.directories = seen.count
        result.stale = state.withLock { state in
            state.tree.watches.filter { !seen.contains($0) }.compactMap { watch in state.tree.path(of: watch).map { (watch, $0) } }
        }
        return result
    }

    /// Looks again at what was suspected.
    func confirm(_ suspicion: inout WatchSuspicion) throws(Errno) {
        let known = try queue.watches()
        suspicion.blind.removeAll { path, identity in
            let source = sources.first { path.isAtOrBelow($0) }
            guard let source, let device = try? FileStatus(of: source).device else { return true }
            // A new directory of the same name is another one.
            if case .blind(identity) = look(at: path, on: device, known) { return false }
            return true
        }
        suspicion.stale.removeAll { watch, path in
            let (place, identity) = state.withLock { ($0.tree.path(of: watch), $0.tree.identity(of: watch)) }
            // Renamed or removed since.
            if place != path { return true }
            guard known.contains(watch) else { return false }
            do throws(Errno) {
                return try FileStatus(of: path).identity == identity && !isExcludedDirectory(path)
            } catch {
                // Below a directory that has become unreadable nobody can look; the watch goes on all the same.
                return error == .permissionDenied
            }
        }
    }

    func report(_ suspicion: WatchSuspicion) -> WatchAudit {
        var audit = WatchAudit()
        audit.directories = suspicion.directories
        audit.blind = suspicion.blind.map(\.path).sorted()
        audit.stale = suspicion.stale.map(\.path).sorted()
        return audit
    }

    private enum Look {
        case notWanted
        case blind(identity: UInt64)
        case watched(Int32, [Path])
    }

    private func look(at path: Path, on device: DeviceNumber, _ known: Set<Int32>) -> Look {
        do throws(Errno) {
            if isExcludedDirectory(path) || state.withLock({ $0.unwatched.reason(of: path) != nil }) { return .notWanted }
            var listing = try DirectoryListing(at: path)
            let status = try listing.status()
            if status.device != device, settings.fileSystems == .stay { return .notWanted }
            let watch: Int32? = state.withLock { state in
                guard let watch = state.tree.find(path), state.tree.identity(of: watch) == status.identity else { return nil }
                return watch
            }
            guard let watch, known.contains(watch) else {
                // While some are only counted, it may be one of them.
                return watch != nil || state.withLock({ $0.unwatched.isComplete }) ? .blind(identity: status.identity) : .notWanted
            }
            var subdirectories: [Path] = []
            while let entry = try listing.next() {
                // What does not say its kind is opened, and turns out not to be a directory.
                if entry.kind == .directory || entry.kind == nil { subdirectories.append(ChangeBatch.join(path, entry.name)) }
            }
            return .watched(watch, subdirectories)
        } catch {
            // Gone, or not readable: the first is no directory any more, and the second is in the status as a problem.
            return .notWanted
        }
    }

    private func isExcludedDirectory(_ path: Path) -> Bool { !sources.contains(path) && isExcluded(path, .directory) }
}
