// Asks the kernel where a directory is that an event names by its handle.
// In: handles.  Out: the path through each mount that concerns the sources.
// Invariant: mounts are opened only while a buffer of events is handled, for an open one cannot be unmounted.
// Source: open_by_handle_at(2).

import Kernel

/// Where a directory is now.
enum Location {
    /// One path for each mount that shows it; none when it is on a file system that does not concern the sources.
    case at([Path])
    /// Deeper than the kernel can name: the deepest directories above it that it can.
    case below([Path])
    /// It does not exist any more.
    case gone
}

final class MountViews {
    /// A mount that shows a part of a source.
    struct Mount: Hashable {
        /// A directory in it, and none of a source's own, which may be renamed: where it is mounted, if that can be told.
        var point: Path
        var id: UInt64
        var fileSystem: UInt64

        /// Nil when another file system is there.
        func open() throws(Errno) -> Descriptor? {
            let directory = try Descriptor.open(point, [.read, .directory, .nonBlocking])
            if try directory.fileSystemID() != fileSystem { return nil }
            return directory
        }

        var isThere: Bool {
            do throws(Errno) {
                return try open() != nil
            } catch { return false }
        }
    }

    private final class View {
        let directory: Descriptor

        init(_ directory: consuming Descriptor) { self.directory = directory }
    }

    private let mounts: [Mount]
    private var views: [UInt64: View?] = [:]

    init(_ mounts: [Mount]) {
        self.mounts = mounts
    }

    /// - Throws: What has nothing to do with the directory itself: EMFILE, or ENOENT when a mount cannot be reached any more.
    func locate(_ handle: FileHandle) throws(Errno) -> Location {
        var paths: [Path] = []
        var isGone = false
        var isCut = false
        for mount in mounts where mount.fileSystem == handle.fileSystem {
            // Nobody knows what the event was about: it counts as lost, and the sources are looked at again.
            guard let view = try view(of: mount) else { throw .noSuchFileOrDirectory }
            do throws(Errno) {
                let (path, isWhole) = try MountViews.place(of: try view.directory.openDirectory(handle))
                if let path { paths.append(path) } else { isGone = true }
                if !isWhole { isCut = true }
            } catch .staleNFSFileHandle {
                isGone = true
            }
        }
        if isCut { return .below(paths) }
        return paths.isEmpty && isGone ? .gone : .at(paths)
    }

    /// Opens the mount. Nil when another one, or nothing, is there now.
    private func view(of mount: Mount) throws(Errno) -> View? {
        if let known = views[mount.id] { return known }
        var view: View?
        do throws(Errno) {
            if let directory = try mount.open() { view = View(directory) }
        } catch .noSuchFileOrDirectory {
        } catch .notDirectory {}
        views[mount.id] = .some(view)
        return view
    }

    /// The path of an open directory, or of the deepest one above it that can be named; nil when it is removed.
    private static func place(of directory: consuming Descriptor) throws(Errno) -> (Path?, isWhole: Bool) {
        var directory = directory
        var isWhole = true
        while true {
            do throws(Errno) {
                return (try directory.place(), isWhole)
            } catch .fileNameTooLong {
                isWhole = false
            }
            let parent = try Descriptor.open("..", in: directory, [.path, .directory])
            directory = parent
        }
    }
}
