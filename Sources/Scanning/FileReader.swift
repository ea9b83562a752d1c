// One planned entry → the complete Entry of the next snapshot, and its bytes on the way.
// In: PlannedEntry, the source's files.  Out: Entry; each chunk with its digest, to whoever stores it.
// Invariant: an entry's size is the sum of its chunks and holes, whatever happens to the file meanwhile. Status before and
// after the reading is compared on the same descriptor; a file that does not hold still gets a mark.
// Not Sendable: one per thread.

package import Archiving
package import Encrypting
package import Kernel

/// What became of a planned entry.
package struct FileReading: Sendable {
    package var entry: Entry
    /// Equal to the newest recorded entry in all but marks. Needs no snapshot of its own, but belongs into one that is
    /// taken anyway: with the marks of this reading it is trusted again.
    package var isUnchanged: Bool
}

package final class FileReader {
    /// Receives a chunk: valid during the call, with its digest, its offset in the file, and the file's status. Chunks of an
    /// attempt that is given up come too; no entry refers to them.
    package typealias ChunkSink = (UnsafeRawBufferPointer, Digest, UInt64, FileStatus) throws -> Void
    typealias PlacedChunkSink = (UnsafeRawBufferPointer, Digest, UInt64) throws -> Void

    /// Up to this size a file is one chunk.
    package static let smallFileLimit = 64 << 10
    /// Attempts on a file that changes while it is read.
    package static let attempts = 3

    let state: any KnownState
    private let sources: [Path]
    let limit: ReadLimit?
    private var openSources: [Path: OpenSource] = [:]
    private var parent: (path: Path, descriptor: OpenDirectory)?
    private var accounts = AccountNames()
    private var linkedContents = LinkedContents()
    var buffer = ReadBuffer()
    /// What went wrong without costing the entry: extended attributes or flags that could not be read.
    package internal(set) var problems: [ScanProblem] = []

    /// - Parameters:
    ///   - state: For content that is carried on.
    ///   - sources: Below one of them every planned path lies.
    ///   - limit: Shared by the readers that keep it together.
    package init(state: any KnownState, sources: [Path], limit: ReadLimit? = nil) {
        self.state = state
        self.sources = sources
        self.limit = limit
    }

    /// Takes the problems noted until now.
    package func takeProblems() -> [ScanProblem] {
        defer { problems = [] }
        return problems
    }

    /// Reads one entry.
    ///
    /// - Throws: `ScanProblem` when the source refuses; `isVanished` tells what is no failure. `ScanCancelled` while it waits for its
    ///   limit. Errors of `sink` and of the known state pass through. The entry is not to be recorded then.
    package func read(_ planned: PlannedEntry, into sink: ChunkSink) throws -> FileReading {
        do {
            return try readOnce(planned, into: sink)
        } catch let problem as ScanProblem where problem.errno == .staleNFSFileHandle {
            // What the server had there is gone, which is no failure, or the server is. Asked for by its name, it says which.
            parent = nil
            openSources = [:]
            return try readOnce(planned, into: sink)
        }
    }

    private func readOnce(_ planned: PlannedEntry, into sink: ChunkSink) throws -> FileReading {
        let directory = try problem(planned.path, .status) { () throws(Errno) in try parentDirectory(of: planned.path) }
        let name = planned.path.isRoot ? [CChar(bitPattern: UInt8(ascii: ".")), 0] : planned.path.name.terminated
        // Nothing but a file is opened for its content: opening a FIFO or a device can wait, or have effects.
        let status = try problem(planned.path, .status) { () throws(Errno) in
            try FileStatus(of: name, in: directory.descriptor)
        }
        // What is planned below a directory, or deleted below what is none any more, hangs on its being one.
        if (status.kind == .directory) != (planned.kind == .directory) {
            throw ScanProblem(path: planned.path, errno: .noSuchFileOrDirectory, step: .status)
        }
        var entry: Entry
        switch status.kind {
        case .file:
            entry = try readFile(planned, name, directory, sink)
        case .directory:
            entry = try readDirectory(planned.path, name, directory, status)
        case .symlink:
            entry = Entry(path: planned.path, status: status)
            entry.target = try problem(planned.path, .reading) { () throws(Errno) in
                try directory.descriptor.readSymlink(name)
            }
            try readUnopenedAttributes(of: &entry, name, directory)
        case .fifo, .socket, .characterDevice, .blockDevice:
            entry = Entry(path: planned.path, status: status)
            try readUnopenedAttributes(of: &entry, name, directory)
        }
        entry.userName = accounts.user(entry.uid)
        entry.groupName = accounts.group(entry.gid)
        guard planned.reading == .compareContent, var known = try state.liveEntry(planned.path) else {
            return FileReading(entry: entry, isUnchanged: false)
        }
        // Device numbers change at every boot.
        known.marks = entry.marks
        known.device = entry.device
        return FileReading(entry: entry, isUnchanged: known == entry)
    }

    // MARK: Files

    private func readFile(
        _ planned: PlannedEntry, _ name: [CChar], _ directory: OpenDirectory, _ sink: ChunkSink
    ) throws -> Entry {
        let path = planned.path
        let file = try problem(path, .reading) { () throws(Errno) in try FileReader.openFile(name, in: directory.descriptor) }
        var attempt = 1
        while true {
            let before = try problem(path, .status) { () throws(Errno) in try file.status() }
            // Between the look and the opening another thing took its place.
            if before.kind != .file { throw ScanProblem(path: path, errno: .noSuchFileOrDirectory, step: .reading) }
            var entry = Entry(path: path, status: before)
            let start = Timestamp.now()
            if let carried = try carriedContent(planned, before) {
                (entry.content, entry.marks) = carried
            } else {
                (entry.content, entry.size) = try readContent(of: file, before, path) { try sink($0, $1, $2, before) }
                if FileReader.isRacy(before, start) { entry.marks.insert(.racy) }
            }
            try readAttributes(of: &entry) { () throws(Errno) in try file.extendedAttributes() }
            try readFlags(of: &entry) { () throws(Errno) in try file.inodeFlags() }
            let after = try problem(path, .status) { () throws(Errno) in try file.status() }
            if FileReader.holdsStill(before, after), entry.size == before.size {
                if before.links > 1, entry.marks.isEmpty { linkedContents.keep(entry.content, of: before) }
                return entry
            }
            if attempt == FileReader.attempts {
                entry.marks.insert(.changedWhileRead)
                return entry
            }
            attempt += 1
        }
    }

    /// Opens a file for reading, if the name is no symlink, without waiting for the other end of what may stand there.
    static func openFile(_ name: [CChar], in directory: borrowing Descriptor) throws(Errno) -> Descriptor {
        let options: Descriptor.Options = [.read, .noFollow, .nonBlocking]
        do throws(Errno) {
            return try Descriptor.open(name, in: directory, options.union(.noAccessTime))
        } catch .notPermitted {
            // Only the owner may leave the access time alone.
            return try Descriptor.open(name, in: directory, options)
        }
    }

    /// The content of another reading that is known to hold, with its marks; nil when the file is to be read.
    private func carriedContent(_ planned: PlannedEntry, _ status: FileStatus) throws -> (Content, Entry.Marks)? {
        switch planned.reading {
        case .metadataOnly:
            guard let known = try state.liveEntry(planned.path), known.kind == .file, known.size == status.size,
                known.modified == status.modified, known.changed == status.changed, known.inode == status.inode
            else { return nil }
            return (known.content, known.marks)
        case .content, .compareContent:
            // Under another name this reader has just read it.
            return status.links > 1 ? linkedContents.content(of: status).map { ($0, []) } : nil
        }
    }

    private static func holdsStill(_ before: FileStatus, _ after: FileStatus) -> Bool {
        before.size == after.size && before.modified == after.modified && before.changed == after.changed
    }

    /// True when a write after the reading could leave the same times as before it.
    ///
    /// File systems take their times from the kernel's tick, at most 10 ms apart; where times have no nanoseconds at all
    /// (FAT: 2 s), much more. Source: inode(7); "Racy Git", git's documentation.
    private static func isRacy(_ status: FileStatus, _ start: Timestamp) -> Bool {
        let isCoarse = status.modified.nanoseconds == 0 && status.changed.nanoseconds == 0
        let granularity: Duration = isCoarse ? .seconds(2) : .milliseconds(20)
        return max(status.modified, status.changed) >= start.adding(.zero - granularity)
    }

    // MARK: Places

    /// The directory that holds `path`. A plan is in tree order: nearly always it is the one of the entry before.
    private func parentDirectory(of path: Path) throws(Errno) -> OpenDirectory {
        let directory = path.parent ?? .root
        if let parent, parent.path == directory { return parent.descriptor }
        let opened: OpenDirectory
        if let source = sources.first(where: { path.isBelow($0) }) {
            let root: OpenSource
            if let open = openSources[source] { root = open } else { root = try OpenSource(source) }
            openSources[source] = root
            opened = OpenDirectory(try root.openPlace(directory))
        } else {
            // A source itself.
            opened = OpenDirectory(try Descriptor.ofParent(of: path))
        }
        parent = (directory, opened)
        return opened
    }
}

/// A descriptor that several variables can refer to.
final class OpenDirectory {
    let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }
}

/// Turns an errno into a problem of `path`.
func problem<Value: ~Copyable>(
    _ path: Path, _ step: ScanProblem.Step, _ body: () throws(Errno) -> Value
) throws(ScanProblem) -> Value {
    do throws(Errno) {
        return try body()
    } catch {
        throw ScanProblem(path: path, errno: error, step: step)
    }
}
