// Where archives are kept: a directory now, an object store or a server later.
// In: the bytes of an archive, once, from front to back.  Out: what is there, and any range of it.
// Invariant: an archive is there whole or not at all, and its bytes never change.
// On a crash, what was not published is left under a temporary name, which `removeLeftovers` takes away.

package import Archiving
package import Kernel

/// An archive as a listing shows it.
package struct StoredArchive: Hashable, Sendable {
    package var name: ArchiveName
    /// Bytes.
    package var size: UInt64

    package init(name: ArchiveName, size: UInt64) {
        self.name = name
        self.size = size
    }
}

package protocol Storage: Sendable {
    /// All archives, by ascending number. Two of the same number are both listed: whoever uses them decides.
    ///
    /// - Throws: `.notThere` when the place itself is gone: nothing is said about the archives then.
    func list() throws(StorageError) -> [StoredArchive]

    /// The archives of these numbers, in no order. Asks for names only, so it costs a fraction of `list`.
    func names(of numbers: ClosedRange<UInt64>) throws(StorageError) -> [ArchiveName]

    /// A text that changes whenever an archive comes or goes. Nil where that cannot be told, or when the last change is too
    /// recent for the clock of the file system to tell the next one apart.
    var stamp: String? { get }

    /// What stands among the archives and is neither one nor a temporary file, sorted by bytes.
    func foreignNames() throws(StorageError) -> [[UInt8]]

    /// Opens an archive for reading. It stays readable after `remove`.
    ///
    /// - Throws: `.missing` when it is gone.
    func open(_ name: ArchiveName) throws(StorageError) -> any ArchiveSource

    /// Begins a new archive. Nothing of it is listed before it is published.
    func begin(_ number: UInt64) throws(StorageError) -> any ArchiveSink

    /// Removes an archive. A crash soon afterwards may bring it back, unless `makeRemovalsDurable` came between.
    ///
    /// - Throws: `.missing` when it is gone already.
    func remove(_ name: ArchiveName) throws(StorageError)

    /// What was removed until now, by any process, does not come back.
    func makeRemovalsDurable() throws(StorageError)

    /// Removes what killed writers left behind. The caller holds the writer's lock and writes nothing.
    ///
    /// - Returns: How many there were.
    func removeLeftovers() throws(StorageError) -> Int

    /// Bytes that can still be written; nil where that cannot be told.
    var freeBytes: UInt64? { get }
}

/// One archive, open for reading.
package protocol ArchiveSource: Sendable {
    /// Bytes, when it was opened.
    var size: UInt64 { get }

    /// Where it stands, for messages.
    var path: Path { get }

    /// Fills `buffer` from `offset` on.
    ///
    /// - Returns: The bytes read: less than `buffer.count` only at the end of the archive.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int
}

extension ArchiveSource {
    /// `count` bytes from `offset` on, fewer only at the end of the archive.
    package func read(at offset: UInt64, count: Int) throws(StorageError) -> [UInt8] {
        var failure: StorageError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            // `read` fills at most buffer.count bytes, and says how many.
            do throws(StorageError) {
                done = try self.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }
}

/// One archive, being written; used by one thread. Without `publish`, its end leaves nothing behind.
package protocol ArchiveSink: AnyObject {
    /// Bytes appended so far.
    var count: UInt64 { get }

    /// The place it goes to, for messages.
    var path: Path { get }

    /// Appends bytes and hashes them.
    ///
    /// - Throws: After the first error every call throws it again; the temporary file is removed.
    func append(_ bytes: UnsafeRawBufferPointer) throws(StorageError)

    /// Makes it durable, gives it its name in one step, and makes the name durable.
    ///
    /// - Throws: Nothing has happened then: the archive is not there, and the temporary file is removed.
    ///   `.alreadyExists` when an archive of that name is there.
    func publish(kind: ArchiveKind, time: Int64) throws(StorageError) -> StoredArchive

    /// Throws it away. Without effect after `publish`.
    func abandon()
}
