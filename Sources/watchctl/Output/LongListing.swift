// `ls -l`: mode, owner, group, size, time and name in aligned columns.
// Two passes over the entries, one line in memory at a time: a listing of millions is fine.

internal import Archiving
internal import Cataloging
internal import Kernel

struct LongListing {
    private let entries: [ListedEntry]
    private let directory: Path
    private var ownerWidth = 0
    private var groupWidth = 0
    private var sizeWidth = 0

    init(_ entries: [ListedEntry], below directory: Path) {
        self.entries = entries
        self.directory = directory
        for listed in entries {
            ownerWidth = max(ownerWidth, LongListing.owner(listed).count)
            groupWidth = max(groupWidth, LongListing.group(listed).count)
            sizeWidth = max(sizeWidth, LongListing.size(listed).count)
        }
    }

    func write(to stream: TextStream) {
        for listed in entries { stream.line(line(listed)) }
    }

    func line(_ listed: ListedEntry) -> String {
        let entry = listed.entry
        let owner = TextTable.padded(LongListing.owner(listed), ownerWidth, .left)
        let group = TextTable.padded(LongListing.group(listed), groupWidth, .left)
        let size = TextTable.padded(LongListing.size(listed), sizeWidth, .right)
        let time = listed.isImplicit ? TextTable.padded("-", 19, .left) : entry.modified.localText
        let target = entry.kind == .symlink ? " -> \(printable(entry.target))" : ""
        return "\(EntryText.mode(entry.kind, entry.mode)) \(owner) \(group) \(size) \(time) \(EntryText.name(entry, below: directory))\(target)"
    }

    // Of a directory above the sources nothing but its name is known.
    private static func owner(_ listed: ListedEntry) -> String {
        listed.isImplicit ? "-" : EntryText.owner(listed.entry.userName, listed.entry.uid)
    }

    private static func group(_ listed: ListedEntry) -> String {
        listed.isImplicit ? "-" : EntryText.owner(listed.entry.groupName, listed.entry.gid)
    }

    private static func size(_ listed: ListedEntry) -> String { listed.isImplicit ? "-" : EntryText.size(listed.entry) }
}
