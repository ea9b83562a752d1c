// One entry against what is known of it: what it becomes in the plan.
// In: a name in an open directory, what the newest snapshot knows of it.  Out: an upsert, deletions, a subdirectory to go on with.
// Invariant: rules come before the status, so that nothing excluded is even looked at.

internal import Cataloging
internal import Kernel

extension DirectoryComparison {

    /// - Parameter listed: What the directory says it is; nil when that is not known.
    func examine(
        _ terminated: UnsafePointer<CChar>, _ name: UnsafeBufferPointer<UInt8>, _ listed: FileKind?,
        _ known: Known?, _ place: borrowing Place
    ) throws {
        setPath(name)
        // No archive could hold it, nor what lies below it.
        if path.count > Path.maximumLength {
            plan.problems.append(ScanProblem(path: place.task.path, errno: .fileNameTooLong, step: .listing))
            return
        }
        if let listed, isExcluded(isDirectory: listed == .directory, place) { return try exclude(known) }
        let status: FileStatus
        do throws(Errno) {
            status = try FileStatus(of: terminated, in: place.descriptor)
        } catch .noSuchFileOrDirectory {
            if let known { try delete(known) } else if let inode = inodeOfTemporary(name) { links.insert(inode) }
            return
        } catch {
            plan.problems.append(ScanProblem(path: currentPath, errno: error, step: .status))
            return
        }
        if listed != status.kind, isExcluded(isDirectory: status.kind == .directory, place) { return try exclude(known) }
        if let limit = context.rules.settings.largerThan, status.kind == .file, status.size > limit {
            plan.counts.tooLarge += 1
            if let known { try delete(known) }
            return
        }
        var isMountPoint = false
        if status.kind == .directory, context.rules.settings.oneFileSystem, crossesMount(place.task.status, status) {
            if let node = known?.node, try hasChildren(node) {
                plan.unavailable.append(UnavailableSource(path: currentPath, reason: .covered))
                return
            }
            isMountPoint = true
        }
        // Before anything is recorded: with this directory's own numbers, the next scan would find nothing odd.
        if let known, let node = known.node, isMountNoMore(known.status, status, place), try hasChildren(node),
            try isStranger(try? Descriptor.open(terminated, in: place.descriptor, [.read, .directory, .noFollow]), to: node)
        {
            plan.unavailable.append(UnavailableSource(path: currentPath, reason: .missing))
            return
        }
        try record(terminated, status, known, place)
        if status.kind == .directory, !isMountPoint { try descend(terminated, status, known, place) }
    }

    /// Puts the entry into the plan when it differs, and counts it.
    private func record(
        _ terminated: UnsafePointer<CChar>, _ status: FileStatus, _ known: Known?, _ place: borrowing Place
    ) throws {
        var reading: PlannedEntry.Reading? = status.kind == .file ? .content : .metadataOnly
        if let known { reading = known.status.reading(status, context.rereading) }
        guard let reading else { return count(status) }
        if status.kind == .file, context.rules.settings.defaults, status.isNoDump ?? isNoDump(terminated, place) {
            plan.counts.noDump += 1
            if let known { try delete(known) }
            return
        }
        count(status)
        if let node = known?.node, status.kind != .directory { try deleteContent(of: node, at: currentPath) }
        noteLinks(known, status)
        plan.upserts.append(PlannedEntry(path: currentPath, status: status, reading: reading))
    }

    private func descend(
        _ terminated: UnsafePointer<CChar>, _ status: FileStatus, _ known: Known?, _ place: borrowing Place
    ) throws {
        let path = currentPath
        var node = known?.node
        let known = known?.status
        if node == nil, context.knownSources.contains(where: { $0.isBelow(path) }) {
            node = try context.state.node(of: path)
        }
        let isNew = known?.kind != .directory || known?.inode != status.inode
        if let wanted, !isNew, !wanted(path) {
            if known?.mode != status.mode { noteUnreadable(terminated, place) }
            return
        }
        subdirectories.append(
            DirectoryTask(
                path: path, source: place.task.source, status: status, known: known, node: node,
                scope: place.scope.entering(path)))
    }

    /// With another mode, it may be readable no more: that is said with the change, and not when something in it is missed.
    private func noteUnreadable(_ terminated: UnsafePointer<CChar>, _ place: borrowing Place) {
        do throws(Errno) {
            _ = try Descriptor.open(terminated, in: place.descriptor, [.read, .directory, .noFollow])
        } catch {
            let problem = ScanProblem(path: currentPath, errno: error, step: .listing)
            if !problem.isVanished { plan.problems.append(problem) }
        }
    }

    // MARK: Unmounted

    /// Another directory than before, which was on another file system than the one around it and now is on the same one.
    private func isMountNoMore(_ known: KnownStatus, _ status: FileStatus, _ place: borrowing Place) -> Bool {
        status.kind == .directory && known.kind == .directory && known.inode != status.inode
            && known.device != status.device.combined && known.device != place.task.known?.device
            && status.device == place.task.status.device
    }

    /// True when a directory has less than half of the names that are known of it. A mount point is seldom quite empty, and what
    /// was copied from one disk to another has most of its names.
    ///
    /// - Parameter directory: Nil when it cannot be read: then nothing speaks for it.
    func isStranger(_ directory: consuming Descriptor?, to node: NodeID) throws -> Bool {
        guard let directory else { return true }
        let present = DirectoryNames()
        guard (try? present.read(directory)) != nil else { return true }
        let known = try context.state.liveChildren(of: node)
        return known.count { present.index(of: $0.name) != nil } * 2 < known.count
    }

    // MARK: Gone and left out

    private func exclude(_ known: Known?) throws {
        plan.counts.excluded += 1
        if let known { try delete(known) }
    }

    /// Plans the deletion of the entry in hand and of everything known below it.
    func delete(_ known: Known) throws {
        let path = currentPath
        plan.deletions.append(path)
        if known.status.links > 1, known.status.kind != .directory { links.insert(known.status.inode) }
        if let node = known.node { try deleteContent(of: node, at: path) }
    }

    func deleteContent(of node: NodeID, at path: Path, except isKept: (Path) -> Bool = { _ in false }) throws {
        var pending = [(node, path)]
        while let (node, path) = pending.popLast() {
            for child in try context.state.liveChildren(of: node) {
                let childPath = path.appending(child.name)
                if isKept(childPath) { continue }
                plan.deletions.append(childPath)
                if child.status.links > 1, child.status.kind != .directory { links.insert(child.status.inode) }
                if let node = child.node { pending.append((node, childPath)) }
            }
        }
    }

    // MARK: Small questions

    private func isExcluded(isDirectory: Bool, _ place: borrowing Place) -> Bool {
        if place.contentRule != nil, !path[directoryCount...].elementsEqual(ExcludeRules.cacheTagName) { return true }
        if place.scope.isEmpty { return false }
        return path.withUnsafeBufferPointer {
            place.scope.excludes($0, nameStart: directoryCount, isDirectory: isDirectory)
        }
    }

    private func isNoDump(_ name: UnsafePointer<CChar>, _ place: borrowing Place) -> Bool {
        // What cannot be opened is named when it is read.
        guard let file = try? Descriptor.open(name, in: place.descriptor, [.read, .noFollow, .nonBlocking]) else { return false }
        return hasNoDump(file)
    }

    /// A file that does not say whether it has the flag is taken along; what it did not say is named when it is read.
    func hasNoDump(_ file: borrowing Descriptor) -> Bool {
        let flags = try? file.inodeFlags()
        return (flags ?? 0) & noDumpFlag != 0
    }

    func hasChildren(_ node: NodeID) throws -> Bool {
        try !context.state.liveChildren(of: node).isEmpty
    }

    private func count(_ status: FileStatus) {
        plan.counts.entries += 1
        if status.kind == .file { plan.counts.bytes &+= status.size }
    }

    private func noteLinks(_ known: Known?, _ status: FileStatus) {
        if status.kind == .directory { return }
        if let known = known?.status, known.links > 1, known.kind != .directory { links.insert(known.inode) }
        if status.links > 1 { links.insert(status.inode) }
    }
}

/// What the kernel calls a file of O_TMPFILE, also when it has got a name since: `#` and its inode.
private func inodeOfTemporary(_ name: UnsafeBufferPointer<UInt8>) -> UInt64? {
    guard name.first == UInt8(ascii: "#") else { return nil }
    return UInt64(String(decoding: name.dropFirst(), as: UTF8.self))
}

/// True when the two stand on different mounts. Subvolumes of one mount are no boundary.
private func crossesMount(_ directory: FileStatus, _ entry: FileStatus) -> Bool {
    if directory.mount != 0, entry.mount != 0 { return directory.mount != entry.mount }
    return directory.device != entry.device
}
