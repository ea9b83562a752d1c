// A storage whose operations fail when a test says so. What does not fail goes to the storage below it.

import Archiving
import Kernel
import Storing

final class FaultyStorage: Storage {
    enum Operation: Hashable, Sendable {
        case list, begin, append, publish, remove, read
    }

    let base: any Storage
    /// By operation: how many calls still succeed, and how the one after them fails.
    private let faults = Monitor<[Operation: (after: Int, error: StorageError)]>([:])
    /// Runs before each append, on the thread that appends.
    let beforeAppend: @Sendable () -> Void
    /// Runs after a successful publish, before the writer lists again.
    let afterPublish: @Sendable () -> Void

    init(
        _ base: any Storage, beforeAppend: @escaping @Sendable () -> Void = {}, afterPublish: @escaping @Sendable () -> Void = {}
    ) {
        self.base = base
        self.beforeAppend = beforeAppend
        self.afterPublish = afterPublish
    }

    func fail(_ operation: Operation, after count: Int = 0, with error: StorageError) {
        faults.withLock { $0[operation] = (count, error) }
    }

    fileprivate func check(_ operation: Operation) throws(StorageError) {
        let error: StorageError? = faults.withLock { faults in
            guard let fault = faults[operation] else { return nil }
            if fault.after == 0 { return fault.error }
            faults[operation] = (fault.after - 1, fault.error)
            return nil
        }
        if let error { throw error }
    }

    func list() throws(StorageError) -> [StoredArchive] {
        try check(.list)
        return try base.list()
    }

    func names(of numbers: ClosedRange<UInt64>) throws(StorageError) -> [ArchiveName] {
        try check(.list)
        return try base.names(of: numbers)
    }

    var stamp: String? { base.stamp }

    func foreignNames() throws(StorageError) -> [[UInt8]] { try base.foreignNames() }

    func open(_ name: ArchiveName) throws(StorageError) -> any ArchiveSource {
        FaultySource(base: try base.open(name), storage: self)
    }

    func begin(_ number: UInt64) throws(StorageError) -> any ArchiveSink {
        try check(.begin)
        return FaultySink(base: try base.begin(number), storage: self)
    }

    func remove(_ name: ArchiveName) throws(StorageError) {
        try check(.remove)
        try base.remove(name)
    }

    func makeRemovalsDurable() throws(StorageError) { try base.makeRemovalsDurable() }

    func removeLeftovers() throws(StorageError) -> Int { try base.removeLeftovers() }

    var freeBytes: UInt64? { base.freeBytes }
}

private final class FaultySource: ArchiveSource {
    let base: any ArchiveSource
    let storage: FaultyStorage
    var size: UInt64 { base.size }
    var path: Path { base.path }

    init(base: any ArchiveSource, storage: FaultyStorage) {
        self.base = base
        self.storage = storage
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        try storage.check(.read)
        return try base.read(into: buffer, at: offset)
    }
}

private final class FaultySink: ArchiveSink {
    let base: any ArchiveSink
    let storage: FaultyStorage
    var count: UInt64 { base.count }
    var path: Path { base.path }

    init(base: any ArchiveSink, storage: FaultyStorage) {
        self.base = base
        self.storage = storage
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        storage.beforeAppend()
        try storage.check(.append)
        try base.append(bytes)
    }

    func publish(kind: ArchiveKind, time: Int64) throws(StorageError) -> StoredArchive {
        try storage.check(.publish)
        let stored = try base.publish(kind: kind, time: time)
        storage.afterPublish()
        return stored
    }

    func abandon() { base.abandon() }
}
