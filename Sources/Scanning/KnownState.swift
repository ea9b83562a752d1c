// What the newest snapshot knows of the sources, as far as a comparison needs it.
// In: a catalog.  Out: metadata, directory by directory; content only of single entries.
// The comparison asks once per directory, never once per entry.

package import Archiving
package import Cataloging
package import Kernel

/// The newest recorded state. Read by several threads at once.
///
/// Every method throws what the catalog throws; a scan ends with it and has changed nothing.
package protocol KnownState: Sendable {
    /// Of the newest snapshot; empty when there is none.
    func liveSources() throws -> [Path]
    /// The handle of a directory, also of one above a source that has no entry of its own. Nil when it was never one.
    func node(of path: Path) throws -> NodeID?
    /// The entries directly in it, in ascending order of their names' bytes.
    func liveChildren(of node: NodeID) throws -> [KnownChild]
    func liveStatus(_ path: Path) throws -> KnownStatus?
    func liveEntry(_ path: Path) throws -> Entry?
    /// The names of a file with more than one link; on every device when `device` is nil.
    func liveNames(ofInode inode: UInt64, device: UInt64?) throws -> [Path]
    /// Below one of these directories, but in one that has no entry: no walk from a source comes by them. In tree order.
    func liveOrphans(below sources: [Path]) throws -> [Path]
}

extension KnownStatus {
    /// True when nothing that is compared differs. Device numbers are not: they change at every boot. Neither are
    /// sizes of directories, which mean something else on each file system.
    func matches(_ status: FileStatus) -> Bool {
        kind == status.kind && inode == status.inode && modified == status.modified && changed == status.changed
            && (size == status.size || kind == .directory) && mode == status.mode && uid == status.uid
            && gid == status.gid && links == status.links
    }

    /// How the entry gets into the next snapshot; nil when it is as it was.
    ///
    /// ctime moves with every write, also when mtime is set back afterwards: content is compared then.
    func reading(_ status: FileStatus, _ rereading: Rereading) -> PlannedEntry.Reading? {
        let isSame = matches(status)
        guard status.kind == .file else { return isSame && !marks.contains(.racy) ? nil : .metadataOnly }
        if kind != .file || inode != status.inode || size != status.size || modified != status.modified { return .content }
        if marks.contains(.changedWhileRead) { return .content }
        if changed != status.changed || marks.contains(.racy) || rereading == .everything { return .compareContent }
        return isSame ? nil : .metadataOnly
    }
}
