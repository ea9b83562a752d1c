// Where the space goes: archives by kind, chunks by who needs them, the newest state by type and directory.
// In: nothing but the catalog.  Out: sums.
// Invariant: nothing is counted twice: a chunk belongs to the newest snapshot, else to older ones, else to none.
// Beside a writer the parts are of moments a second apart; they are numbers for a person.

package import Archiving
internal import GRDB
package import Kernel
internal import Storing

/// A count of things, and the bytes of all of them.
package struct Amount: Hashable, Sendable {
    package var count: UInt64 = 0
    package var bytes: UInt64 = 0

    package init(count: UInt64 = 0, bytes: UInt64 = 0) {
        self.count = count
        self.bytes = bytes
    }

    mutating func add(_ bytes: UInt64) {
        count += 1
        self.bytes &+= bytes
    }
}

/// The chunks that archives hold; bytes are those before compression.
package struct ChunkSpace: Hashable, Sendable {
    /// Each chunk once.
    package var all = Amount()
    /// Needed by the newest snapshot.
    package var newest = Amount()
    /// Needed only by older ones.
    package var older = Amount()
    /// Needed by none: freed when their archives are merged.
    package var dead = Amount()
    /// Further copies of chunks, in standalone snapshots.
    package var copies = Amount()

    package init() {}
}

/// The files of the newest snapshot.
package struct FileSpace: Sendable {
    package struct Share<Name: Hashable & Sendable>: Hashable, Sendable {
        package var name: Name
        package var files: Amount
    }

    /// By what follows the last dot of a name, in lower case; empty for names without it. The largest first.
    package var types: [Share<[UInt8]>] = []
    /// Directories directly in a source, with all that is below them, and sources with the files directly in them. The largest first.
    package var directories: [Share<Path>] = []

    package init() {}
}

extension Catalog {
    /// All archives by kind, those of which there are any.
    package func archiveSpace() throws -> [(kind: ArchiveKind, amount: Amount)] {
        var amounts: [ArchiveKind: Amount] = [:]
        for row in try archives() { amounts[row.archive.name.kind, default: Amount()].add(row.archive.size) }
        return ArchiveKind.allCases.compactMap { kind in amounts[kind].map { (kind, $0) } }
    }

    /// - Complexity: O(versions + chunks): two seconds for two million versions. Memory: four bytes for each chunk.
    package func chunkSpace() throws -> ChunkSpace {
        // Before the marks: what a snapshot adds meanwhile would count as needed by none.
        let highest = try read { try $0.prepared("SELECT max(id) FROM chunk").firstInteger() ?? 0 }
        let numbers = try snapshots().map(\.number)
        let references = try references(kept: numbers.suffix(1), dropping: [numbers.dropLast()])
        let needed = NeededChunks(references, merging: -1)
        let newest = NeededChunks(references, merging: 0)
        return try read { db in
            var space = ChunkSpace()
            let rows = try db.prepared("SELECT id, length FROM chunk WHERE archive IS NOT NULL AND id <= ?")
            rows.bind(1, highest)
            defer { rows.reset() }
            while try rows.step() {
                let (id, length) = (rows.integer(0), rows.bits(1))
                space.all.add(length)
                if newest.contains(id) {
                    space.newest.add(length)
                } else if needed.contains(id) {
                    space.older.add(length)
                } else {
                    space.dead.add(length)
                }
            }
            let copies = try db.prepared("SELECT count(*), ifnull(sum(length), 0) FROM copy JOIN chunk ON id = copy.chunk")
            defer { copies.reset() }
            if try copies.step() { space.copies = Amount(count: copies.bits(0), bytes: copies.bits(1)) }
            return space
        }
    }

    /// The largest types and directories of the newest snapshot. Every name of a file counts.
    ///
    /// - Complexity: O(entries), over 500,000 a second. Memory: that of the depth, and 20,000 types.
    package func fileSpace(below sources: [Path], types: Int, directories: Int) throws -> FileSpace {
        try read { db in
            var tally = TypeTally()
            var largest = LargestDirectories(count: directories)
            for source in sources {
                guard let row = try PathTable(db).directory(source) else { continue }
                var groups = DirectoryTally(source: source)
                var walk = try TreeWalk(db, .live, below: source, directory: row)
                while !walk.isFinished {
                    try walk.advance(db, limit: 4096) { prefix, _, row in
                        guard row.integer(TreeWalk.versionStart + 1) == Int64(FileKind.file.rawValue) else { return }
                        let size = row.bits(TreeWalk.versionStart + 5)
                        tally.add(row.bytes(0), size)
                        if let done = groups.add(prefix, size) { largest.offer(done) }
                    }
                }
                for share in groups.finish() { largest.offer(share) }
            }
            var space = FileSpace()
            space.types = tally.largest(types)
            space.directories = largest.shares
            return space
        }
    }
}

/// Sums by type, in bounded memory.
struct TypeTally {
    private var amounts: [[UInt8]: Amount] = [:]
    /// Above this many types the smaller half is forgotten, so that only types far below the largest come out short.
    static let limit = 20_000
    /// What is longer is no type but a part of a name.
    private static let longest = 16

    var count: Int { amounts.count }

    mutating func add(_ name: UnsafeRawBufferPointer, _ size: UInt64) {
        amounts[TypeTally.type(of: name), default: Amount()].add(size)
        if amounts.count > TypeTally.limit { forget() }
    }

    func largest(_ count: Int) -> [FileSpace.Share<[UInt8]>] {
        sorted().prefix(count).map { .init(name: $0.key, files: $0.value) }
    }

    static func type(of name: UnsafeRawBufferPointer) -> [UInt8] {
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > 0, (1...longest).contains(name.count - dot - 1) else { return [] }
        return name[(dot + 1)...].map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    }

    private mutating func forget() {
        amounts = Dictionary(sorted().prefix(TypeTally.limit / 2).map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    }

    /// The largest first; equal ones by name, so that an answer is always the same.
    private func sorted() -> [(key: [UInt8], value: Amount)] {
        amounts.sorted { left, right in
            if left.value.bytes != right.value.bytes { return left.value.bytes > right.value.bytes }
            return left.key.lexicographicallyPrecedes(right.key)
        }
    }
}

/// Sums of one source by the first name below it, for entries that come in tree order.
private struct DirectoryTally {
    private let source: Path
    /// Length of the source's path with its closing slash.
    private let base: Int
    private var own = Amount()
    private var name: [UInt8] = []
    private var current = Amount()

    init(source: Path) {
        self.source = source
        base = source.isRoot ? 0 : source.bytes.count + 1
    }

    /// - Parameter prefix: The path of the file's directory, with a closing slash.
    /// - Returns: The directory that is complete now, for this file is in the next one.
    mutating func add(_ prefix: [UInt8], _ size: UInt64) -> FileSpace.Share<Path>? {
        guard prefix.count > base else {
            own.add(size)
            return nil
        }
        var done: FileSpace.Share<Path>?
        let isSame = prefix.count > base + name.count && prefix[base + name.count] == UInt8(ascii: "/") && !name.isEmpty
            && prefix[base..<base + name.count].elementsEqual(name)
        if !isSame {
            done = share
            name = Array(prefix[base...].prefix { $0 != UInt8(ascii: "/") })
            current = Amount()
        }
        current.add(size)
        return done
    }

    func finish() -> [FileSpace.Share<Path>] {
        (share.map { [$0] } ?? []) + (own.count > 0 ? [.init(name: source, files: own)] : [])
    }

    private var share: FileSpace.Share<Path>? { name.isEmpty ? nil : .init(name: source.appending(name), files: current) }
}

/// The few with the most bytes.
private struct LargestDirectories {
    private let count: Int
    private(set) var shares: [FileSpace.Share<Path>] = []

    init(count: Int) {
        self.count = count
    }

    mutating func offer(_ share: FileSpace.Share<Path>) {
        if shares.count >= count, let last = shares.last, last.files.bytes >= share.files.bytes { return }
        let place = shares.firstIndex { $0.files.bytes < share.files.bytes } ?? shares.endIndex
        shares.insert(share, at: place)
        if shares.count > count { shares.removeLast() }
    }
}
