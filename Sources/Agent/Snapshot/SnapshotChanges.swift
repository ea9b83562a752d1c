// What a snapshot changes: the entries that were read, and what is gone.
// In: entries in the order of reading.  Out: manifest records in tree order, as often as they are needed.
// Entries wait packed, as they stand in a manifest: of a first snapshot all of them wait until the last file is read.

internal import Archiving
internal import Kernel
internal import Scanning

struct SnapshotChanges {
    let planned: PlannedEntries
    /// In tree order.
    let deletions: [Path]
    private var entries: PackedEntries
    private(set) var upsertCount = 0

    init(_ plan: SnapshotPlan) {
        planned = plan.upserts
        deletions = plan.deletions
        entries = PackedEntries(count: planned.count)
    }

    /// Takes the entry of the planned one at `index`.
    mutating func take(_ entry: Entry, at index: Int) {
        entries.put(entry, at: index)
        upsertCount += 1
    }

    /// Takes out what is in no directory: the directory went away, or became something else, before it was read itself.
    ///
    /// - Parameter isKnown: True for a directory of the newest snapshot.
    /// - Returns: Those directories, in tree order. There may be others there by now.
    mutating func removeOrphans(below sources: [Path], isKnown: (Path) throws -> Bool) rethrows -> [Path] {
        let gone = Set(deletions)
        var absent: Set<Path> = []
        let orphans = try planned.positions(inDirectories: { directory in
            guard sources.contains(where: { directory.isAtOrBelow($0) }) else { return false }
            let stands: Bool
            if let position = planned.position(of: directory), entries.isThere(position) {
                stands = planned.kind(at: position) == .directory && directory.parent.map { !absent.contains($0) } ?? true
            } else {
                stands = try !gone.contains(directory) && isKnown(directory)
            }
            if !stands { absent.insert(directory) }
            return !stands
        })
        for position in orphans where entries.isThere(position) {
            entries.remove(at: position)
            upsertCount -= 1
        }
        return absent.sorted()
    }

    var isEmpty: Bool { count == 0 }
    var count: Int { upsertCount + deletions.count }

    func records() -> Records { Records(self) }

    struct Records {
        private let changes: SnapshotChanges
        private var upsert = 0
        private var deletion = 0

        fileprivate init(_ changes: SnapshotChanges) {
            self.changes = changes
        }

        /// - Throws: `ArchiveError` when an entry does not read back as it was packed.
        mutating func next() throws -> ManifestRecord? {
            while upsert < changes.planned.count, !changes.entries.isThere(upsert) { upsert += 1 }
            let path = upsert < changes.planned.count ? changes.planned[upsert].path : nil
            if deletion < changes.deletions.count, path.map({ changes.deletions[deletion] < $0 }) ?? true {
                defer { deletion += 1 }
                return .deletion(changes.deletions[deletion])
            }
            guard let path else { return nil }
            defer { upsert += 1 }
            return .upsert(try changes.entries.entry(at: upsert, path))
        }
    }
}

/// Entries without their paths and the names of their owners, at places of a plan.
private struct PackedEntries {
    private struct Place {
        var block: UInt32
        var start: UInt32
        /// 0: nothing is there.
        var count: UInt32 = 0
    }

    private var places: [Place]
    /// Blocks, so that growing copies nothing.
    private var blocks: [[UInt8]] = []
    /// By user and group ID: they repeat in every entry.
    private var userNames: [UInt32: [UInt8]] = [:]
    private var groupNames: [UInt32: [UInt8]] = [:]
    private static let blockSize = 1 << 20

    init(count: Int) {
        places = Array(repeating: Place(block: 0, start: 0), count: count)
    }

    func isThere(_ index: Int) -> Bool { places[index].count > 0 }

    mutating func remove(at index: Int) { places[index].count = 0 }

    mutating func put(_ entry: Entry, at index: Int) {
        userNames[entry.uid] = entry.userName
        groupNames[entry.gid] = entry.groupName
        var bare = entry
        bare.path = .root
        bare.userName = []
        bare.groupName = []
        var writer = ManifestWriter()
        writer.add(upsert: bare)
        let bytes = writer.takeFrame()
        if blocks.last.map({ $0.count + bytes.count > PackedEntries.blockSize }) ?? true {
            blocks.append([])
            blocks[blocks.count - 1].reserveCapacity(max(bytes.count, PackedEntries.blockSize))
        }
        let block = blocks.count - 1
        places[index] = Place(block: UInt32(block), start: UInt32(blocks[block].count), count: UInt32(bytes.count))
        blocks[block] += bytes
    }

    func entry(at index: Int, _ path: Path) throws -> Entry {
        let place = places[index]
        let start = Int(place.start)
        var reader = ManifestReader(Array(blocks[Int(place.block)][start..<start + Int(place.count)]), of: .full)
        guard case .upsert(var entry)? = try reader.next(previousChunks: { _ in [] }) else {
            throw ArchiveError(.selfCheck, "\(path) does not read back as it was read")
        }
        entry.path = path
        entry.userName = userNames[entry.uid] ?? []
        entry.groupName = groupNames[entry.gid] ?? []
        return entry
    }
}
