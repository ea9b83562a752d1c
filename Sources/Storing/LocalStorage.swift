// Archives in a directory of this machine's file system.
// In: archive bytes.  Out: immutable files named by their content.
// Invariant: a name without a leading dot is complete and durable; everything else is a temporary file or foreign.
// No descriptor is kept between calls, so that a disk can be unmounted while the agent rests.

internal import Archiving
internal import Encrypting
package import Kernel

package final class LocalStorage: Storage {
    /// The directory of the archives.
    package let directory: Path

    /// Takes a directory that exists, or will when it is first used.
    package init(at directory: Path) {
        self.directory = directory
    }

    /// One pass over the directory and one statx(2) for each archive.
    package func list() throws(StorageError) -> [StoredArchive] {
        try entries().archives.sorted { $0.name < $1.name }
    }

    package func names(of numbers: ClosedRange<UInt64>) throws(StorageError) -> [ArchiveName] {
        let place = try openDirectory(.read)
        do throws(Errno) {
            var result: [ArchiveName] = []
            var names = try DirectoryStream(place)
            while let bytes = try names.next(where: { ArchiveName.leadingNumber(of: $0).map(numbers.contains) ?? false }) {
                if let name = ArchiveName(bytes: bytes) { result.append(name) }
            }
            return result
        } catch {
            throw StorageError(error, cannot: "list the archives", at: directory)
        }
    }

    /// The directory's own times, once nothing that comes later can have the same: ext4 and others count in ticks of up to ten
    /// milliseconds, FAT in two seconds, and then the time is a multiple of ten milliseconds.
    package var stamp: String? {
        guard let status = try? FileStatus(of: directory) else { return nil }
        let isFine = status.changed.nanoseconds % 10_000_000 != 0
        guard Timestamp.now().duration(since: status.changed) > (isFine ? .milliseconds(100) : .seconds(2)) else { return nil }
        return [Int64(bitPattern: status.inode), status.modified.seconds, Int64(status.modified.nanoseconds), status.changed.seconds,
            Int64(status.changed.nanoseconds)].map(String.init).joined(separator: " ")
    }

    package func foreignNames() throws(StorageError) -> [[UInt8]] {
        try entries().foreign.sorted { $0.lexicographicallyPrecedes($1) }
    }

    package func open(_ name: ArchiveName) throws(StorageError) -> any ArchiveSource {
        let path = directory.appending(name.text.utf8)
        let place = try openDirectory(.path)
        do throws(Errno) {
            // Without nonBlocking, a FIFO of that name would hold the reader for ever.
            let file = try Descriptor.open(cString(name.text), in: place, [.read, .noFollow, .nonBlocking])
            let status = try file.status()
            if status.kind == .file { return LocalSource(file, size: status.size, path: path) }
        } catch .noSuchFileOrDirectory {
            throw StorageError.gone(path)
        } catch {
            throw StorageError(error, cannot: "open the archive", at: path)
        }
        throw StorageError(.missing, "the archive's name belongs to something that is not a file", at: path)
    }

    package func begin(_ number: UInt64) throws(StorageError) -> any ArchiveSink {
        try LocalSink(number: number, in: openDirectory(.read), at: directory)
    }

    package func remove(_ name: ArchiveName) throws(StorageError) {
        let place = try openDirectory(.path)
        do throws(Errno) {
            try place.remove(cString(name.text))
        } catch .noSuchFileOrDirectory {
            throw StorageError.gone(directory.appending(name.text.utf8))
        } catch {
            throw StorageError(error, cannot: "remove the archive", at: directory.appending(name.text.utf8))
        }
    }

    package func makeRemovalsDurable() throws(StorageError) {
        let place = try openDirectory(.read)
        do throws(Errno) {
            try place.synchronize()
        } catch {
            throw StorageError(error, cannot: "make the removal of archives durable", at: directory)
        }
    }

    package func removeLeftovers() throws(StorageError) -> Int {
        let leftovers = try entries().temporary
        let place = try openDirectory(.path)
        var count = 0
        for name in leftovers {
            do throws(Errno) {
                try place.remove(cString(name))
                count += 1
            } catch .noSuchFileOrDirectory {
                continue
            } catch {
                throw StorageError(error, cannot: "remove an unfinished archive", at: directory.appending(name))
            }
        }
        return count
    }

    package var freeBytes: UInt64? { (try? FileSystemStatus(at: directory))?.freeBytes }

    private struct Entries {
        var archives: [StoredArchive] = []
        var temporary: [[UInt8]] = []
        var foreign: [[UInt8]] = []
    }

    private func entries() throws(StorageError) -> Entries {
        let place = try openDirectory(.read)
        do throws(Errno) {
            var result = Entries()
            var names = try DirectoryStream(place.duplicate())
            while let bytes = try names.next() {
                if let name = ArchiveName(bytes: bytes) {
                    // Nil when a rotation removed it between the listing and here.
                    guard let status = try LocalStorage.status(of: bytes, in: place) else { continue }
                    if status.kind == .file {
                        result.archives.append(StoredArchive(name: name, size: status.size))
                    } else {
                        result.foreign.append(bytes)
                    }
                } else if LocalSink.isTemporaryName(bytes) {
                    result.temporary.append(bytes)
                } else {
                    result.foreign.append(bytes)
                }
            }
            return result
        } catch {
            throw StorageError(error, cannot: "list the archives", at: directory)
        }
    }

    private static func status(of name: [UInt8], in place: borrowing Descriptor) throws(Errno) -> FileStatus? {
        do throws(Errno) {
            return try FileStatus(of: cString(name), in: place)
        } catch .noSuchFileOrDirectory {
            return nil
        }
    }

    private func openDirectory(_ option: Descriptor.Options) throws(StorageError) -> Descriptor {
        do throws(Errno) {
            return try Descriptor.open(directory, [option, .directory])
        } catch .noSuchFileOrDirectory, .notDirectory {
            throw StorageError(
                .notThere, "the archives' directory is not there", at: directory,
                remedy: "connect or mount the disk that holds the repository")
        } catch {
            throw StorageError(error, cannot: "open the archives' directory", at: directory)
        }
    }
}

extension StorageError {
    /// An archive that was there.
    static func gone(_ path: Path) -> StorageError {
        StorageError(.missing, "the archive is gone", at: path, remedy: "`watchctl verify` says what is lost with it")
    }
}

/// A name with a closing NUL, as system calls take it.
func cString(_ name: some Sequence<UInt8>) -> [CChar] {
    name.map { CChar(bitPattern: $0) } + [0]
}

func cString(_ name: String) -> [CChar] {
    cString(name.utf8)
}
