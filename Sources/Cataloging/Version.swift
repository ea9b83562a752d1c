// What one path was in a run of snapshots: the row of `live` and `past`.
// In: Entry, with its owners, chunks and rarer fields brought down to row ids and compact bytes.  Out: the same.
// Invariant: two versions are equal exactly when their entries are; owners and chunks have one row each.

internal import Archiving
internal import Kernel

struct Version: Equatable {
    /// Of a directory its row in `directory`; 0 for all else.
    var directory: Int64 = 0
    var kind: Int64
    var mode: Int64
    /// Rows of `owner`.
    var user: Int64
    var group: Int64
    var size: Int64
    var modified: Timestamp
    var changed: Timestamp
    var device: Int64
    var inode: Int64
    var links: Int64
    var marks: Int64
    /// `ContentCode`; empty when there are neither chunks nor holes.
    var content: [UInt8]
    /// `ExtraCode`; empty for most.
    var extra: [UInt8]
    /// `EntrySeal` of the whole entry.
    var seal: Int64

    var isDirectory: Bool { kind == Int64(FileKind.directory.rawValue) }

    /// Of a row whose columns begin at `start`, without reading the others.
    static func isDirectory(_ row: PreparedStatement, at start: CInt) -> Bool {
        row.integer(start + 1) == Int64(FileKind.directory.rawValue)
    }

    private static let state = """
        directory, kind, mode, user_owner, group_owner, size, modified, modified_ns, changed, changed_ns, \
        device, inode, links, marks, content, extra
        """
    /// As they are read. The stored seal is that of the entry and the row's `first`: with another one it would be another moment's state.
    static let columns = "\(state), seal - first"
    /// As they are written, `seal` with `first` added.
    static let storedColumns = "\(state), seal"
    static let columnCount: CInt = 17

    init(_ entry: Entry, user: Int64, group: Int64, content: [UInt8]) {
        kind = Int64(entry.kind.rawValue)
        mode = Int64(entry.mode)
        self.user = user
        self.group = group
        size = Int64(bitPattern: entry.size)
        modified = entry.modified
        changed = entry.changed
        device = Int64(bitPattern: entry.device)
        inode = Int64(bitPattern: entry.inode)
        links = Int64(entry.links)
        marks = Int64(entry.marks.rawValue)
        self.content = content
        extra = ExtraCode.encode(entry)
        seal = EntrySeal.of(entry, extra: extra)
    }

    /// Reads the columns from `start` on.
    init(_ row: PreparedStatement, at start: CInt, includingContent: Bool = true) {
        directory = row.integer(start)
        kind = row.integer(start + 1)
        mode = row.integer(start + 2)
        user = row.integer(start + 3)
        group = row.integer(start + 4)
        size = row.integer(start + 5)
        modified = Timestamp(seconds: row.integer(start + 6), nanoseconds: UInt32(truncatingIfNeeded: row.integer(start + 7)))
        changed = Timestamp(seconds: row.integer(start + 8), nanoseconds: UInt32(truncatingIfNeeded: row.integer(start + 9)))
        device = row.integer(start + 10)
        inode = row.integer(start + 11)
        links = row.integer(start + 12)
        marks = row.integer(start + 13)
        content = includingContent ? row.array(start + 14) : []
        extra = row.array(start + 15)
        seal = row.integer(start + 16)
    }

    /// Binds the columns from `start` on.
    func bind(to row: PreparedStatement, at start: CInt, first: Int64) {
        row.bind(start, directory)
        row.bind(start + 1, kind)
        row.bind(start + 2, mode)
        row.bind(start + 3, user)
        row.bind(start + 4, group)
        row.bind(start + 5, size)
        row.bind(start + 6, modified.seconds)
        row.bind(start + 7, Int64(modified.nanoseconds))
        row.bind(start + 8, changed.seconds)
        row.bind(start + 9, Int64(changed.nanoseconds))
        row.bind(start + 10, device)
        row.bind(start + 11, inode)
        row.bind(start + 12, links)
        row.bind(start + 13, marks)
        row.bind(start + 14, content)
        row.bind(start + 15, extra)
        row.bind(start + 16, seal + first)
    }
}
