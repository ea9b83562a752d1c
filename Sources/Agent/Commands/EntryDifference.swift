// What differs between two states of one path, in short words.
// In: an entry, and another one or what stands there now.  Out: words such as `content` and `mode`.

internal import Archiving
internal import Cataloging
internal import Kernel
internal import Scanning

/// What became of a path between two moments.
package enum ChangeLetter: String, Codable, Sendable {
    case added = "A"
    case modified = "M"
    case deleted = "D"
    /// Something of another type has its name.
    case retyped = "T"
}

enum EntryDifference {
    /// Never empty: where nothing that a restore brings back differs, `inode` or `status`.
    static func names(from old: Entry, to new: Entry) -> [String] {
        names(from: old, to: new, isSameContent: old.content == new.content)
    }

    /// The same of entries without their content.
    static func names(from old: Entry, to new: Entry, isSameContent: Bool) -> [String] {
        if old.kind != new.kind { return ["type"] }
        var result: [String] = []
        func note(_ name: String, _ differs: Bool) { if differs { result.append(name) } }
        note("content", !isSameContent || new.kind == .file && old.size != new.size)
        note("target", old.target != new.target)
        note("device", old.special != new.special)
        note("mode", old.mode != new.mode)
        note("owner", old.uid != new.uid || old.userName != new.userName)
        note("group", old.gid != new.gid || old.groupName != new.groupName)
        note("mtime", old.modified != new.modified)
        note("attributes", old.attributes != new.attributes)
        note("flags", old.inodeFlags != new.inodeFlags)
        note("links", new.kind != .directory && old.links != new.links)
        // Another file of the same name, as editors make it that write anew and rename.
        note("inode", old.inode != new.inode)
        return result.isEmpty ? ["status"] : result
    }

    /// What the status alone tells: `content` is one of another size. Empty when nothing differs.
    static func names(from old: Entry, to status: FileStatus) -> [String] {
        if old.kind != status.kind { return ["type"] }
        var result: [String] = []
        func note(_ name: String, _ differs: Bool) { if differs { result.append(name) } }
        note("content", status.kind == .file && old.size != status.size)
        note("target", status.kind == .symlink && old.size != status.size)
        note("device", old.special != status.special)
        note("mode", old.mode != status.mode)
        note("owner", old.uid != status.uid)
        note("group", old.gid != status.gid)
        note("mtime", old.modified != status.modified)
        note("links", status.kind != .directory && old.links != status.links)
        return result
    }

    /// True when the words say more than that an entry was touched: a directory's time moves with every name in it.
    static func isWorthNaming(_ names: [String], _ kind: FileKind) -> Bool {
        names.contains { $0 != "inode" && $0 != "status" && !(kind == .directory && $0 == "mtime") }
    }
}

extension KnownStatus {
    /// True when only a reading of the content can tell that it differs: nothing else that a restore brings back does.
    func mayBeRestored(as planned: PlannedEntry) -> Bool {
        guard planned.reading == .compareContent, let status = try? FileStatus(of: planned.path) else { return false }
        return mode == status.mode && uid == status.uid && gid == status.gid && links == status.links && size == status.size
            && modified == status.modified
    }
}
