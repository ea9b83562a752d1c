// Entries that wait for the manifest: of a first snapshot every one, until the last file is read.
// In: entries in the order of reading, for places of a plan.  Out: the same entries, in any order, as often as they are needed.
// They are packed as in a manifest, without their paths, which the plan has, and with the names of owners once for all. The first 8 MiB
// are held; the others wait in a file without a name, so that what a snapshot takes of memory hardly grows with the number of files.

internal import Archiving
internal import Kernel

/// Used by one thread at a time. The file is gone with this, or with the process.
final class PackedEntries: @unchecked Sendable {  // SnapshotReading puts under its lock; SnapshotPipeline reads afterwards.
    private struct Place {
        var block: UInt32
        var start: UInt32
        /// 0: nothing is there.
        var count: UInt32 = 0
    }

    private var places: [Place]
    private var userNames: [UInt32: [UInt8]] = [:]
    private var groupNames: [UInt32: [UInt8]] = [:]

    /// The first blocks, and the one that is being filled.
    private var held: [[UInt8]] = []
    private var last: [UInt8] = []
    /// Where the blocks behind the held ones stand in the file.
    private var written: [Range<UInt64>] = []
    private let directory: Path
    private var file: Descriptor?
    /// Blocks read from the file. Entries are read in tree order and were put by type: a few blocks for each type serve for long.
    private var recent: [Int: [UInt8]] = [:]

    private static let blockSize = 64 << 10
    private static let mostHeld = 128

    /// - Parameters:
    ///   - count: Places, all empty.
    ///   - directory: Where the file is made when it is needed.
    init(count: Int, spillingInto directory: Path) {
        places = Array(repeating: Place(block: 0, start: 0), count: count)
        self.directory = directory
    }

    func isThere(_ index: Int) -> Bool { places[index].count > 0 }

    func remove(at index: Int) { places[index].count = 0 }

    /// - Throws: `AgentError.failed`: the file cannot be made or written; what was put before is still there.
    func put(_ entry: Entry, at index: Int) throws {
        userNames[entry.uid] = entry.userName
        groupNames[entry.gid] = entry.groupName
        var bare = entry
        bare.path = .root
        bare.userName = []
        bare.groupName = []
        var writer = ManifestWriter()
        writer.add(upsert: bare)
        let bytes = writer.takeFrame()
        if !last.isEmpty, last.count + bytes.count > PackedEntries.blockSize { try endBlock() }
        places[index] = Place(block: UInt32(held.count + written.count), start: UInt32(last.count), count: UInt32(bytes.count))
        last += bytes
    }

    /// - Throws: `ArchiveError` when the entry does not read back as it was packed, `AgentError.failed` when the file cannot be read.
    func entry(at index: Int, _ path: Path) throws -> Entry {
        let place = places[index]
        let start = Int(place.start)
        let block = try block(Int(place.block))
        guard start + Int(place.count) <= block.count else { throw notAsPacked(path) }
        var reader = ManifestReader(Array(block[start..<start + Int(place.count)]), of: .full)
        guard case .upsert(var entry)? = try reader.next(previousChunks: { _ in [] }) else { throw notAsPacked(path) }
        entry.path = path
        entry.userName = userNames[entry.uid] ?? []
        entry.groupName = groupNames[entry.gid] ?? []
        return entry
    }

    private func notAsPacked(_ path: Path) -> ArchiveError {
        ArchiveError(.selfCheck, "\(path) does not read back as it was read")
    }

    private func endBlock() throws {
        if held.count < PackedEntries.mostHeld {
            held.append(last)
            last = []
            last.reserveCapacity(PackedEntries.blockSize)
            return
        }
        try naming(directory) { () throws(Errno) in
            if file == nil { file = try Descriptor.unnamedFile(in: directory) }
            try file?.write(last)
        }
        let start = written.last?.upperBound ?? 0
        written.append(start..<start + UInt64(last.count))
        last.removeAll(keepingCapacity: true)
    }

    private func block(_ number: Int) throws -> [UInt8] {
        if number < held.count { return held[number] }
        let place = number - held.count
        if place == written.count { return last }
        if let block = recent[place] { return block }
        let range = written[place]
        let block = try naming(directory) { () throws(Errno) in
            try file?.bytes(at: range.lowerBound, count: Int(range.upperBound - range.lowerBound)) ?? []
        }
        if recent.count == PackedEntries.mostHeld { recent.removeAll(keepingCapacity: true) }
        recent[place] = block
        return block
    }
}
