// A regular file whose content comes in order, piece by piece.
// In: its entry and content.  Out: a file that takes its name when it is whole; a temporary one is removed otherwise.
// Runs of zeros become holes: an archive of a sparse file holds them all, and the disk may not have the room.

internal import Archiving
internal import Kernel

final class IncomingFile {
    let entry: Entry
    let place: Path
    private let directory: Descriptor
    private let file: Descriptor
    private let temporary = TemporaryName.make()
    private var offset: UInt64 = 0
    private var isComplete = false

    /// Granularity of holes: the block size of nearly every file system.
    private static let block: UInt64 = 4096

    init(_ entry: Entry, at place: Path, in target: TargetDirectory) throws(Errno) {
        self.entry = entry
        self.place = place
        directory = try target.directory(ofParent: place)
        file = try Descriptor.open(temporary, in: directory, [.readWrite, .create, .exclusive, .noFollow], mode: 0o600)
    }

    deinit {
        if !isComplete { try? directory.remove(temporary) }
    }

    /// Bytes that have come.
    var written: UInt64 { offset }
    var remaining: UInt64 { entry.size - offset }

    /// - Parameter bytes: Up to `remaining`.
    func write(_ bytes: UnsafeRawBufferPointer) throws(Errno) {
        // Where the run of bytes begins that must be written.
        var start = 0
        var index = 0
        while index < bytes.count {
            let rest = IncomingFile.block - (offset + UInt64(index)) % IncomingFile.block
            let end = min(bytes.count, index + Int(rest))
            if UnsafeRawBufferPointer(rebasing: bytes[index..<end]).isZero {
                try write(bytes, start..<index)
                start = end
            }
            index = end
        }
        try write(bytes, start..<bytes.count)
        offset += UInt64(bytes.count)
    }

    private func write(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws(Errno) {
        if !range.isEmpty { try file.write(UnsafeRawBufferPointer(rebasing: bytes[range]), at: offset + UInt64(range.lowerBound)) }
    }

    /// Gives it its size, metadata and name, when nothing remains.
    ///
    func complete(_ metadata: MetadataRestorer) throws(Errno) {
        try file.complete(entry, at: place, under: temporary, in: directory, metadata)
        isComplete = true
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var isZero: Bool {
        var index = 0
        // Each load ends at or before `count`.
        while index + 8 <= count {
            if loadUnaligned(fromByteOffset: index, as: UInt64.self) != 0 { return false }
            index += 8
        }
        while index < count {
            if self[index] != 0 { return false }
            index += 1
        }
        return true
    }
}
