// Looks in the sources for chunks that the repository has lost.
// In: places where versions of the catalog had them.  Out: the bytes of those that still stand there.
// Invariant: what is given out has the digest that was asked for, each digest at most once. Nothing is written, no symlink in a
// source is followed, and nothing but a file is opened.
// Each file is opened once and read in the order of its offsets; memory: one chunk.

package import Cataloging
package import Encrypting
package import Kernel
internal import Archiving

/// A chunk that still stands in a source; its bytes are valid during the call.
package struct FoundChunk {
    package var digest: Digest
    package var bytes: UnsafeRawBufferPointer
    package var path: Path
    package var offset: UInt64
    /// Of the file, before it was read.
    package var status: FileStatus
}

/// What a search left open.
package struct ChunkSearchReport: Hashable, Sendable {
    /// How many chunks were found.
    package var found = 0
    /// Digests that stand at none of their places any more, in ascending order.
    package var missing: [Digest] = []
    /// Files that are there and could not be read, each once. A file that is gone is no problem.
    package var problems: [ScanProblem] = []
}

package struct ChunkSearch: Sendable {
    private let sources: [Path]
    private let wanted: Set<Digest>
    /// In tree order.
    private let files: [(path: Path, places: [ChunkPlace])]

    /// - Parameters:
    ///   - places: Several for one chunk, and several chunks at one place, for versions differ. Lengths that no chunk has are not
    ///     looked for.
    ///   - sources: Below them no symlink is followed. Places elsewhere are those of former sources, and are looked at too.
    package init(_ places: [ChunkPlace], sources: [Path]) {
        self.sources = sources
        wanted = Set(places.map(\.digest))
        files = Dictionary(grouping: places, by: \.path).sorted { $0.key < $1.key }
            .map { path, places in (path, places.sorted { $0.offset < $1.offset }) }
    }

    /// Reads every place until each chunk is found.
    ///
    /// - Parameters:
    ///   - isCancelled: Asked before each file.
    ///   - found: Called once for each chunk that is there. What it throws ends the search and passes through.
    /// - Throws: `ScanCancelled`. What the file system refuses is in the report.
    /// - Complexity: O(bytes of all places): the places of a chunk are read until one holds it.
    package func run(isCancelled: () -> Bool = { false }, found: (FoundChunk) throws -> Void) throws -> ChunkSearchReport {
        var reading = ChunkReading(sources: sources, missing: wanted)
        for (path, places) in files where places.contains(where: { reading.missing.contains($0.digest) }) {
            if isCancelled() { throw ScanCancelled() }
            try reading.read(path, places, found)
        }
        return ChunkSearchReport(
            found: wanted.count - reading.missing.count, missing: reading.missing.sorted(), problems: reading.problems)
    }
}

/// One run of a search.
private struct ChunkReading: ~Copyable {
    private(set) var missing: Set<Digest>
    private(set) var problems: [ScanProblem] = []
    private let sources: [Path]
    private var openSources: [Path: OpenSource] = [:]
    private var buffer = ReadBuffer()

    init(sources: [Path], missing: Set<Digest>) {
        self.sources = sources
        self.missing = missing
    }

    /// Gives what is missing and stands in the file at `path`.
    ///
    /// - Throws: What `found` throws.
    mutating func read(_ path: Path, _ places: [ChunkPlace], _ found: (FoundChunk) throws -> Void) throws {
        let file: Descriptor
        let status: FileStatus
        do throws(Errno) {
            guard let opened = try open(path) else { return }
            status = try opened.status()
            file = opened
        } catch {
            return note(error, path)
        }
        // Between the look and the opening another thing took its place.
        if status.kind != .file { return }
        for place in places where missing.contains(place.digest) && ChunkReading.isWithin(status.size, place) {
            let count = Int(place.length)
            do throws(Errno) {
                if try fill(file, at: place.offset, count) < count { continue }
            } catch {
                note(error, path)
                continue
            }
            let isThere = try buffer.withBytes(0..<count) { bytes in
                if SHA256.digest(of: bytes) != place.digest { return false }
                try found(FoundChunk(digest: place.digest, bytes: bytes, path: path, offset: place.offset, status: status))
                return true
            }
            if isThere { missing.remove(place.digest) }
        }
    }

    private static func isWithin(_ size: UInt64, _ place: ChunkPlace) -> Bool {
        (1...Chunk.maximumLength).contains(place.length) && place.offset <= size && UInt64(place.length) <= size - place.offset
    }

    /// Nil for what is no file: opening a FIFO or a device can wait, or have effects.
    private mutating func open(_ path: Path) throws(Errno) -> Descriptor? {
        guard let parent = path.parent else { return nil }
        let directory: Descriptor
        if let source = sources.first(where: { path.isBelow($0) }) {
            let root: OpenSource
            if let open = openSources[source] { root = open } else { root = try OpenSource(source) }
            openSources[source] = root
            directory = try root.openPlace(parent)
        } else {
            directory = try Descriptor.ofParent(of: path)
        }
        let name = path.name.terminated
        guard try FileStatus(of: name, in: directory).kind == .file else { return nil }
        return try FileReader.openFile(name, in: directory)
    }

    /// Reads into the buffer.
    ///
    /// - Returns: The bytes read: less than `count` only at the end of the file.
    private mutating func fill(_ file: borrowing Descriptor, at offset: UInt64, _ count: Int) throws(Errno) -> Int {
        buffer.reserve(count)
        var done = 0
        while done < count {
            let part = try file.read(into: buffer.room(done..<count), at: offset + UInt64(done))
            if part == 0 { break }
            done += part
        }
        return done
    }

    private mutating func note(_ errno: Errno, _ path: Path) {
        let problem = ScanProblem(path: path, errno: errno, step: .reading)
        if !problem.isVanished, problems.last?.path != path { problems.append(problem) }
    }
}
