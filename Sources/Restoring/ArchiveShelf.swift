// The archives that a restore or an export reads from.
// In: numbers of archives.  Out: their readers, each opened once while it is in use.

internal import Kernel
package import Storing
internal import Synchronization

/// Opens archives by number. From any thread.
package final class ArchiveShelf: Sendable {
    private let open: @Sendable (UInt64) throws -> ArchiveReader
    private let readers = Mutex<[UInt64: ArchiveReader]>([:])
    /// Descriptors are few: a history of many small archives does not keep them all open.
    private static let limit = 256

    package init(open: @escaping @Sendable (UInt64) throws -> ArchiveReader) {
        self.open = open
    }

    /// - Throws: What `open` throws. Nothing is remembered then: the next call tries again.
    package func reader(_ number: UInt64) throws -> ArchiveReader {
        if let reader = readers.withLock({ $0[number] }) { return reader }
        let reader = try open(number)
        readers.withLock { readers in
            if readers.count >= ArchiveShelf.limit { readers.removeAll() }
            readers[number] = reader
        }
        return reader
    }
}
