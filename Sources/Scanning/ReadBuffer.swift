// Memory that holds the bytes of one file after another, and what is remembered of files with several names.
// Both belong to one FileReader, and so to one thread.

internal import Archiving
internal import Kernel

/// Grows to twice the largest chunks, 2 or 8 MiB, and stays.
struct ReadBuffer: ~Copyable {
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: FileReader.smallFileLimit, alignment: 64)

    deinit {
        memory.deallocate()
    }

    var count: Int { memory.count }

    /// Makes it at least `count` bytes large; what it holds is lost when it grows.
    mutating func reserve(_ count: Int) {
        if count <= memory.count { return }
        memory.deallocate()
        memory = .allocate(byteCount: count, alignment: 64)
    }

    func room(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[range])
    }

    func withBytes<Result>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(rebasing: memory[range]))
    }

    func moveToFront(_ range: Range<Int>) {
        if range.lowerBound == 0 || range.isEmpty { return }
        // Both are within the memory; memmove allows them to overlap.
        memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[range]))
    }
}

/// The content of files with several names, so that each is read once.
struct LinkedContents {
    private struct Key: Hashable {
        let device: UInt64
        let inode: UInt64
        let size: UInt64
        let modified: Timestamp
        let changed: Timestamp

        init(_ status: FileStatus) {
            device = status.device.combined
            inode = status.inode
            size = status.size
            modified = status.modified
            changed = status.changed
        }
    }

    /// Chunks that are remembered at once: about 3 MB.
    private static let limit = 64 << 10

    private var contents: [Key: Content] = [:]
    private var chunkCount = 0

    func content(of status: FileStatus) -> Content? {
        contents.isEmpty ? nil : contents[Key(status)]
    }

    mutating func keep(_ content: Content, of status: FileStatus) {
        if chunkCount + content.chunks.count > LinkedContents.limit {
            contents.removeAll()
            chunkCount = 0
        }
        if content.chunks.count > LinkedContents.limit { return }
        if contents.updateValue(content, forKey: Key(status)) == nil { chunkCount += content.chunks.count + 1 }
    }
}
