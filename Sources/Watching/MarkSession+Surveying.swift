// A look at the sources that marks the file systems they are on.
// In: the paths of the sources, the table of mounts.  Out: MarkSurvey; marks.
// Invariant: what a survey names as a mount is marked, and the handles of its file system can be opened.

import Kernel

extension MarkSession {
    struct Surveyed {
        var survey: MarkSurvey
        /// For each source: its file system was marked already, so that nothing in it was missed.
        var isMarkedBefore: [Bool]
        fileprivate let before: Set<DeviceNumber>
        /// Where each mount is mounted.
        fileprivate var points: [UInt64: Path] = [:]
        /// Whose handles have been opened once.
        fileprivate var tried: Set<DeviceNumber>
    }

    /// Looks at all sources, and with `FileSystemBoundary.cross` at the mounts in them.
    ///
    /// - Throws: `WatchError` with `.fileSystemMark` when one of them cannot be watched in this way. That one is missing is no
    ///   error.
    func takeSurvey() throws(WatchError) -> Surveyed {
        let before = (try? fanotify.markedFileSystems()) ?? []
        var result = Surveyed(
            survey: MarkSurvey(roots: sources.map { _ in nil }, unwatched: UnwatchedList(capacity: settings.unwatchedListed)),
            isMarkedBefore: sources.map { _ in true }, before: before, tried: before)
        let table = try? MountTable.read()
        for mount in table ?? [] { result.points[mount.id] = mount.point }
        for source in sources.indices {
            let device = try survey(sources[source], at: sources[source], &result) { $0.survey.roots[source] = $1 }
            result.isMarkedBefore[source] = device.map(before.contains) ?? true
        }
        result.survey.places = result.survey.roots.map { $0?.place }
        guard settings.fileSystems == .cross, let table else { return result }
        for point in Set(table.map(\.point)).sorted() {
            for case (let source, let root?) in zip(sources, result.survey.roots) where point.isBelow(root.place) {
                let path = source.appending(point.suffix(below: root.place))
                if isExcluded(path, .directory) { continue }
                _ = try survey(path, at: point, &result) { _, _ in }
            }
        }
        return result
    }

    /// Marks the file system of the directory at `place`, which is called `path` in the sources.
    ///
    /// - Returns: Its device when it is marked; nil when it is missing or only compared.
    private func survey(
        _ path: Path, at place: Path, _ result: inout Surveyed, found: (inout Surveyed, MarkSurvey.Root) -> Void
    ) throws(WatchError) -> DeviceNumber? {
        var failure: WatchError?
        do throws(Errno) {
            let directory = try Descriptor.open(place, [.read, .directory, .noFollow])
            let status = try directory.status()
            guard let place = try directory.place() else { return nil }
            let fileSystem = try FileSystemStatus(at: place)
            let isMarked = !fileSystem.hidesForeignChanges
            found(&result, MarkSurvey.Root(identity: status.identity, place: place, isMarked: isMarked))
            if !isMarked {
                result.survey.unwatched.insert(path, .foreignChanges)
                return nil
            }
            do throws(Errno) {
                if fileSystem.hasSubvolumes { throw .improperLink }
                try mark(directory, status, &result)
                return status.device
            } catch { failure = WatchError(.fileSystemMark, path: path, errno: error) }
        } catch .noSuchFileOrDirectory {
        } catch .notDirectory {
        } catch .tooManySymbolicLinkLevels {
        } catch { result.survey.unwatched.insert(path, .unreadable(error)) }
        if let failure { throw failure }
        return nil
    }

    private func mark(_ directory: borrowing Descriptor, _ status: FileStatus, _ result: inout Surveyed) throws(Errno) {
        try fanotify.markFileSystem(of: directory, for: MarkSession.events)
        let handle = try directory.handle(for: .opening)
        if !result.tried.contains(status.device) {
            // Some file systems name files by handles that cannot be opened, and a container may lack the permission.
            guard try directory.openDirectory(handle).status().identity == status.identity else { throw .staleNFSFileHandle }
            result.tried.insert(status.device)
        }
        guard let place = try directory.place() else { throw .staleNFSFileHandle }
        if result.survey.mounts.contains(where: { $0.id == status.mount }) { return }
        var mount = MountViews.Mount(point: place, id: status.mount, fileSystem: handle.fileSystem)
        if let point = result.points[mount.id] {
            mount.point = point
            if !mount.isThere { mount.point = place }
        }
        result.survey.mounts.append(mount)
    }
}

extension MarkSurvey {
    /// Takes over the places of sources that are missing now, and the mounts that they were in.
    mutating func remember(_ before: MarkSurvey) {
        guard roots.contains(nil) else { return }
        for (source, root) in roots.enumerated() where root == nil && source < before.places.count {
            places[source] = before.places[source]
        }
        mounts += before.mounts.filter { old in !mounts.contains { $0.id == old.id } && old.isThere }
    }
}
