// An archive's file, open for reading at any offset, from any thread.
// In: offset and count.  Out: bytes.
// Invariant: the file stays readable while this lives, also when its name is removed.

internal import Kernel

final class LocalSource: ArchiveSource {
    private let file: Descriptor
    let size: UInt64
    let path: Path

    init(_ file: consuming Descriptor, size: UInt64, path: Path) {
        self.file = file
        self.size = size
        self.path = path
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        guard offset < size else { return 0 }
        // Within the file as it was opened, so that no sum below overflows.
        let wanted = Int(min(UInt64(buffer.count), size - offset))
        var done = 0
        do throws(Errno) {
            while done < wanted {
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<wanted])
                let count = try file.read(into: rest, at: offset + UInt64(done))
                if count == 0 { return done }
                done += count
            }
        } catch {
            throw StorageError(error, cannot: "read the archive at offset \(offset + UInt64(done))", at: path)
        }
        return done
    }
}
