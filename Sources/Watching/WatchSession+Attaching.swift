// How one directory comes to be watched.
// In: its open descriptor, and where it stands.  Out: an Attachment; the tree says the same as the kernel.
// Invariant: an inode has one watch. When it is met at a second place, the tree's place is kept if it is still true, and
// corrected if not.

import Kernel

/// What became of a directory that should be watched.
enum Attachment {
    case added(Int32)
    /// It was watched already, at the same place.
    case known(Int32)
    /// It was watched already, and the tree had it elsewhere. What was asked for below it in the meantime found nothing
    /// there, so that all of it has to be listed again.
    case moved(Int32)
    /// It is not watched: gone, on another file system, or listed as unwatched.
    case left
}

extension FileStatus {
    /// Device and inode in one number, for comparison only.
    var identity: UInt64 { (inode &+ device.combined &* 0x9E37_79B9_7F4A_7C15) &* 0xBF58_476D_1CE4_E5B9 }
}

extension WatchSession {
    private enum Step {
        case done(Attachment, ending: [Int32])
        case stand(elsewhere: Int32)
        case full
        case failed(Errno)
    }

    func attach(
        _ directory: borrowing Descriptor, parent: Int32, parentDevice: DeviceNumber, name: UnsafeRawBufferPointer, path: Path
    ) -> Attachment {
        do throws(Errno) {
            let status = try directory.status()
            if status.device != parentDevice, !mayCross(to: path) {
                dropChild(of: parent, name)
                return .left
            }
            var step = tryAttach(directory, parent: parent, name: name, status: status, path: path)
            if case .stand = step {
                // A rename on its way through the queue may explain it.
                waitForReader()
                step = tryAttach(directory, parent: parent, name: name, status: status, path: path)
            }
            if case .stand(let watch) = step {
                step = correct(watch, directory, parent: parent, name: name, status: status, path: path)
            }
            switch step {
            case .done(let attachment, let ending):
                unwatch(ending)
                return attachment
            case .stand:
                leave(path, .aliased)
                if (try? FileStatus(of: path))?.identity != status.identity { state.withLock { $0.unwatched.remove(path) } }
            case .full: leave(path, .watchLimit)
            case .failed(let error): leave(path, error)
            }
        } catch {
            leave(path, error)
        }
        return .left
    }

    /// Ends the watches of a directory that is not to be watched (any more).
    func dropChild(of parent: Int32, _ name: UnsafeRawBufferPointer) {
        let removed = state.withLock { state in
            state.tree.child(of: parent, name: name).map { state.tree.remove($0) } ?? []
        }
        unwatch(removed)
    }

    private func mayCross(to path: Path) -> Bool {
        guard settings.fileSystems == .cross else { return false }
        guard let status = try? FileSystemStatus(at: path), status.hidesForeignChanges else { return true }
        leave(path, .foreignChanges)
        return false
    }

    private func tryAttach(
        _ directory: borrowing Descriptor, parent: Int32, name: UnsafeRawBufferPointer, status: FileStatus, path: Path
    ) -> Step {
        state.withLock { state in
            let child = state.tree.child(of: parent, name: name)
            if child == nil, state.tree.count >= state.limit { return .full }
            do throws(Errno) {
                let watch: Int32
                do throws(Errno) {
                    watch = try queue.watch(directory, for: WatchSession.watchedEvents, existing: .refuse)
                } catch .fileExists {
                    let present = try queue.watch(directory, for: WatchSession.watchedEvents, existing: .extend)
                    if present == child {
                        state.tree.mark(present)
                        state.unwatched.remove(path)
                        return .done(.known(present), ending: [])
                    }
                    if state.isInUse(present) { return .stand(elsewhere: present) }
                    // It has left the tree, and its end is still waiting among the jobs.
                    queue.unwatch(present, at: nil)
                    watch = try queue.watch(directory, for: WatchSession.watchedEvents, existing: .refuse)
                }
                state.unwatched.remove(path)
                let displaced = state.tree.insert(watch, parent: parent, name: name, identity: status.identity)
                return displaced.map { .done(.added(watch), ending: $0) } ?? .done(.left, ending: [watch])
            } catch .noSpace {
                // Others took what the budget counted on. Whoever asks next is not refused once more.
                state.limit = min(state.limit, state.tree.count)
                return .full
            } catch { return .failed(error) }
        }
    }

    /// Decides which of two places of one directory is the true one.
    private func correct(
        _ watch: Int32, _ directory: borrowing Descriptor, parent: Int32, name: UnsafeRawBufferPointer, status: FileStatus,
        path: Path
    ) -> Step {
        let (known, isDetached, isInUse) = state.withLock { ($0.tree.path(of: watch), $0.tree.isDetached(watch), $0.isInUse(watch)) }
        // Its rename, which has no second half, was given up in between.
        if !isInUse { return tryAttach(directory, parent: parent, name: name, status: status, path: path) }
        // What is not in the tree is the parent of a root, or the private directory: it stays where it is.
        guard let known else { return .stand(elsewhere: watch) }
        // One whose rename has no second half left the sources and came back, perhaps to the same name.
        if !isDetached {
            if known == path { return .done(.left, ending: []) }
            if (try? FileStatus(of: known))?.identity == status.identity { return .stand(elsewhere: watch) }
        }
        // Gone from here too since it was opened: the event that says where to is still to come, and another directory
        // that stands here now keeps its watch.
        if (try? FileStatus(of: path))?.identity != status.identity { return .done(.left, ending: []) }
        let (isMoved, ending) = state.withLock { state -> (Bool, [Int32]) in
            let displaced = state.tree.child(of: parent, name: name).map { state.tree.remove($0) } ?? []
            state.moves.remove(watch: watch)
            if state.tree.attach(watch, parent: parent, name: name) { return (true, displaced) }
            return (false, displaced + state.tree.remove(watch))
        }
        if isMoved { return .done(.moved(watch), ending: ending) }
        unwatch(ending)
        return tryAttach(directory, parent: parent, name: name, status: status, path: path)
    }
}
