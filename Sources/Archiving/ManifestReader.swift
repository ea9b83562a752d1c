// Reads the records of one manifest payload.
// In: a decompressed payload.  Out: entries and deletions, in tree order.
// Invariant: every path that it gives keeps Path's rules and comes after the one before it.

package import Kernel

package struct ManifestReader: Sendable {
    private var reader: ByteReader
    private var path: [UInt8]
    /// False until a path stands in this frame, for the first one shares nothing with the frame before.
    private var hasPath = false
    private var isFirst: Bool
    private let recording: ManifestRecording
    private var users = OwnerNames()
    private var groups = OwnerNames()

    /// - Parameters:
    ///   - after: The last path of the manifest frame before this one; nil for the first frame.
    ///   - recording: A full manifest has no chunk runs.
    package init(_ payload: [UInt8], after last: Path? = nil, of recording: ManifestRecording = .incremental) {
        self.recording = recording
        reader = ByteReader(payload)
        path = last?.bytes ?? []
        isFirst = last == nil
    }

    /// The path of the latest record; nil before the first of the manifest.
    package var lastPath: Path? { isFirst ? nil : Path(unchecked: path) }

    /// The next record; nil at the end of the payload.
    ///
    /// - Parameter previousChunks: The chunks of a path in the parent snapshot; asked only for large files of which an
    ///   incremental manifest lists what changed.
    /// - Throws: `malformed`, `truncated`, `tooLarge`, `hostilePath`; `parentMissing` when the previous version cannot be had or has
    ///   fewer chunks than the record refers to. `offset` is within the payload. After an error the reader is spent.
    /// - Complexity: O(length of the record); under a microsecond for a small file.
    package mutating func next(previousChunks: (Path) throws -> [Chunk]) throws(ArchiveError) -> ManifestRecord? {
        while !reader.isAtEnd {
            let length = try reader.count()
            let outer = try reader.enter(length)
            switch try reader.byte() {
            case RecordType.upsert:
                let entry = try readEntry(previousChunks)
                try reader.leaveExactly(outer)
                return .upsert(entry)
            case RecordType.deletion:
                let path = try readPath()
                try reader.leaveExactly(outer)
                return .deletion(path)
            case RecordType.owner:
                try readOwner()
                reader.leave(outer)
            default:
                reader.leave(outer)
            }
        }
        return nil
    }

    private mutating func readOwner() throws(ArchiveError) {
        let kind = try reader.byte()
        let id = try reader.varint32()
        switch kind {
        case OwnerKind.user: users.set(id, reader.rest())
        case OwnerKind.group: groups.set(id, reader.rest())
        default: throw reader.error(.malformed, "an owner is neither a user nor a group")
        }
    }

    private mutating func readPath() throws(ArchiveError) -> Path {
        let shared = try reader.varint()
        let count = try reader.count()
        guard shared <= UInt64(hasPath ? path.count : 0) else {
            throw reader.error(.malformed, "a path shares more than the path before it has")
        }
        let kept = Int(shared)
        guard kept + count <= Path.maximumLength else { throw reader.error(.tooLarge, "a path is above 1 MiB") }
        let start = reader.position
        let source = reader.bytes
        let before = path
        // kept <= before.count and start + count <= source.count, as checked above.
        let bytes = [UInt8](unsafeUninitializedCapacity: kept + count) { buffer, filled in
            if kept > 0 { _ = buffer.initialize(fromContentsOf: before[..<kept]) }
            if count > 0 { _ = buffer[kept...].initialize(fromContentsOf: source[start..<start + count]) }
            filled = kept + count
        }
        guard isValidPath(bytes, from: kept) else { throw reader.error(.hostilePath, "a path breaks the rules of paths") }
        let isInOrder = isFirst || (hasPath ? isAscending(before, bytes, from: kept) : Path.treeOrder(before, bytes) < 0)
        guard isInOrder else { throw reader.error(.malformed, "a path stands out of order") }
        try reader.skip(count)
        path = bytes
        hasPath = true
        isFirst = false
        return Path(unchecked: bytes)
    }

    private mutating func readEntry(_ previousChunks: (Path) throws -> [Chunk]) throws(ArchiveError) -> Entry {
        let path = try readPath()
        guard let kind = FileKind(rawValue: try reader.byte()) else { throw reader.error(.malformed, "an unknown kind of file") }
        let mode = try reader.varint()
        guard mode <= 0o7777 else { throw reader.error(.malformed, "a mode is above 7777") }
        let uid = try reader.varint32()
        let gid = try reader.varint32()
        let modified = try readTime()
        let changed = try readTime()
        let device = try reader.varint()
        let inode = try reader.varint()
        let links = try reader.varint32()
        let size = try reader.varint()
        var entry = Entry(
            path: path, kind: kind, mode: UInt16(mode), uid: uid, gid: gid,
            userName: users.name(of: uid), groupName: groups.name(of: gid), modified: modified, changed: changed,
            device: device, inode: inode, links: links, size: size)
        if !reader.isAtEnd {
            var fields = EntryFields(recording)
            try fields.read(from: &reader, into: &entry, previousChunks)
            // What stands at an entry of another kind means nothing, as a field that is not known.
            if kind != .symlink { entry.target = [] }
            if kind != .characterDevice, kind != .blockDevice { entry.special = DeviceNumber(major: 0, minor: 0) }
        }
        if kind == .file, !entry.content.fills(size) {
            throw reader.error(.malformed, "chunks and holes do not add up to the size")
        }
        return entry
    }

    @inline(__always)
    private mutating func readTime() throws(ArchiveError) -> Timestamp {
        let seconds = try reader.zigzag()
        let nanoseconds = try reader.varint()
        guard nanoseconds < 1_000_000_000 else { throw reader.error(.malformed, "nanoseconds are above 999,999,999") }
        return Timestamp(seconds: seconds, nanoseconds: UInt32(nanoseconds))
    }
}

/// Names by id, quick for runs of one owner.
private struct OwnerNames: Sendable {
    private var names: [UInt32: [UInt8]] = [:]
    private var latest: (id: UInt32, name: [UInt8])?

    mutating func set(_ id: UInt32, _ name: [UInt8]) {
        names[id] = name
        latest = nil
    }

    mutating func name(of id: UInt32) -> [UInt8] {
        if let latest, latest.id == id { return latest.name }
        let name = names[id] ?? []
        latest = (id, name)
        return name
    }
}

extension Content {
    /// True when chunks and holes, one after the other, make up exactly `size` bytes and no hole begins within a chunk.
    fileprivate func fills(_ size: UInt64) -> Bool {
        var next = 0
        var offset: UInt64 = 0
        // At most two million chunks of 4 MiB and ascending holes that end below 2^64: no sum overflows.
        func skipHoles() {
            while next < holes.count, holes[next].offset == offset {
                offset = holes[next].offset &+ holes[next].length
                next += 1
            }
        }
        for chunk in chunks {
            skipHoles()
            let (end, overflow) = offset.addingReportingOverflow(UInt64(chunk.length))
            if overflow || next < holes.count && holes[next].offset < end { return false }
            offset = end
        }
        skipHoles()
        return next == holes.count && offset == size
    }
}

/// True when `bytes` keeps Path's rules, given that its first `kept` bytes are the beginning of a path that does.
private func isValidPath(_ bytes: [UInt8], from kept: Int) -> Bool {
    bytes.withUnsafeBufferPointer { bytes in
        if bytes.isEmpty { return true }
        var start = kept
        // Back to the beginning of the component that `kept` may cut: the names before it are whole. At most 255 steps.
        while start > 0, bytes[start - 1] != UInt8(ascii: "/") { start -= 1 }
        var index = start
        while index <= bytes.count {
            if index == bytes.count || bytes[index] == UInt8(ascii: "/") {
                let count = index - start
                if count == 0 || count > 255 { return false }
                if bytes[start] == UInt8(ascii: "."), count == 1 || (count == 2 && bytes[start + 1] == UInt8(ascii: ".")) {
                    return false
                }
                start = index + 1
            } else if bytes[index] == 0 {
                return false
            }
            index += 1
        }
        return true
    }
}

/// True when `left` comes before `right` in tree order, given that their first `kept` bytes are equal.
private func isAscending(_ left: [UInt8], _ right: [UInt8], from kept: Int) -> Bool {
    var index = kept
    let shorter = min(left.count, right.count)
    while index < shorter, left[index] == right[index] { index += 1 }
    if index == shorter { return left.count < right.count }
    if left[index] == UInt8(ascii: "/") { return true }
    if right[index] == UInt8(ascii: "/") { return false }
    return left[index] < right[index]
}

/// How a snapshot is recorded.
package enum ManifestRecording: Sendable {
    case full, incremental
}
