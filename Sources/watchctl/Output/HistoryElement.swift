// One element of `history --json`: a contract with scripts.

internal import Agent
internal import Archiving
internal import Cataloging
internal import Controlling
internal import Kernel

struct HistoryElement: Encodable, Hashable {
    /// As in `ListingElement`.
    var path: String
    var pathBase64: String?
    /// The first and the last kept snapshot that show it.
    var firstSnapshot: UInt64
    var lastSnapshot: UInt64
    /// Of the first snapshot that shows it. ISO 8601 in UTC with milliseconds, as all times.
    var time: String
    /// Of the first snapshot that does not; null while the newest one does. Where no version begins then, the path was deleted.
    @Nullable var until: String?
    var type: String
    var mode: UInt16
    var uid: UInt32
    var gid: UInt32
    var size: UInt64
    var mtime: String
    /// What differs from the version before: content, target, device, mode, owner, group, mtime, attributes, flags, links, inode, or type
    /// alone; status when only what a restore does not bring back does; new for the first one and after a deletion.
    var changed: [String]

    init(_ version: PathVersion) {
        let dated = version.version
        let listing = ListingElement(ListedEntry(entry: dated.entry, isImplicit: false), snapshot: dated.last)
        path = listing.path
        pathBase64 = listing.pathBase64
        firstSnapshot = dated.first.snapshot
        lastSnapshot = dated.last
        time = Timestamp(milliseconds: dated.first.time).iso8601
        until = dated.until.map { Timestamp(milliseconds: $0.time).iso8601 }
        type = listing.type
        mode = listing.mode
        uid = listing.uid
        gid = listing.gid
        size = listing.size
        mtime = listing.mtime
        changed = version.changed
    }
}
