// Writes the records of a manifest, frame by frame.
// In: entries and deletions in tree order.  Out: payloads; each can be read by itself.
// Invariant: within a frame each path shares its beginning with the one before it; owners are named before their first use.

internal import Encrypting
package import Kernel

package struct ManifestWriter: Sendable {
    private var frame: [UInt8] = []
    private var body: [UInt8] = []
    private var previousPath: [UInt8] = []
    private var userNames: [UInt32: [UInt8]] = [:]
    private var groupNames: [UInt32: [UInt8]] = [:]

    /// Below this many chunks a list of runs is not worth its previous version.
    package static let fewestChunksForRuns = 16

    package init() {}

    /// Bytes in the frame so far. Callers take the frame at about 2 MiB; the last record may be larger.
    package var count: Int { frame.count }

    /// False for an entry that no frame can hold: millions of chunks or hundreds of megabytes of attributes.
    /// Cost: O(attributes).
    package static func fits(_ entry: Entry) -> Bool {
        if entry.content.chunks.count > PayloadLimit.chunksPerEntry { return false }
        // 36 bytes for a chunk's digest and length, 20 for two long varints, 64 and some for the fixed part.
        var count = entry.path.bytes.count + entry.target.count + entry.userName.count + entry.groupName.count + 1024
        count += entry.content.chunks.count * 36 + entry.content.holes.count * 20
        for attribute in entry.attributes { count += attribute.name.count + attribute.value.count + 16 }
        return count <= PayloadLimit.payload
    }

    /// Adds an entry that is there. The size of a file is written as the sum of its chunks and holes.
    ///
    /// - Parameters:
    ///   - upsert: In tree order after all that were added before; `fits` is true of it.
    ///   - previous: The chunks of the same path in the parent snapshot. When the file still has some of them, runs that
    ///     refer to them are written in their stead. Nil in full manifests.
    /// - Complexity: O(size of the entry + previous).
    package mutating func add(upsert entry: Entry, previous: [Chunk]? = nil) {
        if userNames[entry.uid, default: []] != entry.userName {
            userNames[entry.uid] = entry.userName
            add(owner: OwnerKind.user, id: entry.uid, name: entry.userName)
        }
        if groupNames[entry.gid, default: []] != entry.groupName {
            groupNames[entry.gid] = entry.groupName
            add(owner: OwnerKind.group, id: entry.gid, name: entry.groupName)
        }
        append(path: entry.path)
        body.append(entry.kind.rawValue)
        body.append(varint: UInt64(entry.mode))
        body.append(varint: UInt64(entry.uid))
        body.append(varint: UInt64(entry.gid))
        body.append(zigzag: entry.modified.seconds)
        body.append(varint: UInt64(entry.modified.nanoseconds))
        body.append(zigzag: entry.changed.seconds)
        body.append(varint: UInt64(entry.changed.nanoseconds))
        body.append(varint: entry.device)
        body.append(varint: entry.inode)
        body.append(varint: UInt64(entry.links))
        body.append(varint: entry.kind == .file ? entry.content.byteCount : entry.size)
        if entry.kind == .file { append(content: entry.content, previous: previous) }
        appendRareFields(of: entry)
        endRecord(RecordType.upsert)
    }

    /// Adds one path of the parent that is gone. In tree order after all that were added before.
    package mutating func add(deletion path: Path) {
        append(path: path)
        endRecord(RecordType.deletion)
    }

    /// The payload so far; empty when nothing was added. The next record begins a new frame.
    package mutating func takeFrame() -> [UInt8] {
        let taken = frame
        frame = []
        // Frames end near the same size; one that grew beyond what was reserved would take twice the memory.
        frame.reserveCapacity(taken.count + taken.count / 64)
        previousPath = []
        userNames.removeAll(keepingCapacity: true)
        groupNames.removeAll(keepingCapacity: true)
        return taken
    }

    private mutating func endRecord(_ type: UInt8) {
        frame.append(varint: UInt64(body.count + 1))
        frame.append(type)
        frame.append(contentsOf: body)
        body.removeAll(keepingCapacity: true)
    }

    private mutating func add(owner kind: UInt8, id: UInt32, name: [UInt8]) {
        body.append(kind)
        body.append(varint: UInt64(id))
        body.append(contentsOf: name)
        endRecord(RecordType.owner)
    }

    private mutating func append(path: Path) {
        let bytes = path.bytes
        let limit = min(bytes.count, previousPath.count)
        var shared = 0
        while shared < limit, bytes[shared] == previousPath[shared] { shared += 1 }
        body.append(varint: UInt64(shared))
        body.append(varint: UInt64(bytes.count - shared))
        body.append(contentsOf: bytes[shared...])
        previousPath = bytes
    }

    private mutating func append(content: Content, previous: [Chunk]?) {
        let chunks = content.chunks
        if !chunks.isEmpty {
            let plain = chunks.reduce(0) { $0 + chunkCount($1) }
            if let runs = runs(of: chunks, against: previous, shorterThan: plain) {
                body.append(field: EntryField.chunkRuns, runs)
            } else {
                body.append(varint: EntryField.chunks)
                body.append(varint: UInt64(plain))
                for chunk in chunks { body.append(chunk: chunk) }
            }
        }
        if !content.holes.isEmpty {
            var holes: [UInt8] = []
            var end: UInt64 = 0
            for hole in content.holes {
                holes.append(varint: hole.offset - end)
                holes.append(varint: hole.length)
                end = hole.offset + hole.length
            }
            body.append(field: EntryField.holes, holes)
        }
    }

    private func runs(of chunks: [Chunk], against previous: [Chunk]?, shorterThan limit: Int) -> [UInt8]? {
        guard let previous, previous.count > 0, chunks.count >= ManifestWriter.fewestChunksForRuns else { return nil }
        var bytes: [UInt8] = []
        for run in ChunkRun.runs(of: chunks, against: previous) {
            switch run {
            case .kept(let range):
                bytes.append(varint: UInt64(range.count) << 1 | 1)
                bytes.append(varint: UInt64(range.lowerBound))
            case .new(let range):
                bytes.append(varint: UInt64(range.count) << 1)
                for chunk in chunks[range] { bytes.append(chunk: chunk) }
            }
            if bytes.count >= limit { return nil }
        }
        return bytes
    }

    private mutating func appendRareFields(of entry: Entry) {
        if entry.kind == .symlink { body.append(field: EntryField.target, entry.target) }
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            var numbers: [UInt8] = []
            numbers.append(varint: UInt64(entry.special.major))
            numbers.append(varint: UInt64(entry.special.minor))
            body.append(field: EntryField.special, numbers)
        }
        for attribute in entry.attributes {
            let name = attribute.name.count
            body.append(varint: EntryField.attribute)
            body.append(varint: UInt64(varintCount(UInt64(name)) + name + attribute.value.count))
            body.append(varint: UInt64(name))
            body.append(contentsOf: attribute.name)
            body.append(contentsOf: attribute.value)
        }
        if entry.inodeFlags != 0 { body.append(field: EntryField.inodeFlags, varint: UInt64(entry.inodeFlags)) }
        if !entry.marks.isEmpty { body.append(field: EntryField.marks, varint: UInt64(entry.marks.rawValue)) }
    }
}

extension Content {
    /// The sum of its chunks and holes: the size of the file.
    package var byteCount: UInt64 {
        holes.reduce(chunks.reduce(0) { $0 &+ UInt64($1.length) }) { $0 &+ $1.length }
    }
}

private func chunkCount(_ chunk: Chunk) -> Int { Digest.byteCount + varintCount(UInt64(chunk.length)) }
