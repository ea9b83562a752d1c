// A storage that dies: from one operation on every call fails, those that would clean up too, as after a power cut.
// In: how many operations it lives.  Out: what stood on the disk at that moment stays, unfinished archives included.

import Archiving
import Kernel
import Storing

final class MortalStorage: Storage {
    private let base: any Storage
    private let life: Monitor<(left: Int, isDead: Bool)>
    /// Runs at the moment of death, once.
    private let last: @Sendable () -> Void

    /// - Parameter operations: That still succeed. Of those that change something, each counts twice: before it and after it.
    init(_ base: any Storage, operations: Int, last: @escaping @Sendable () -> Void = {}) {
        self.base = base
        life = Monitor((operations, false))
        self.last = last
    }

    var isDead: Bool { life.withLock { $0.isDead } }

    fileprivate func live() throws(StorageError) {
        if isDead { throw MortalStorage.death }
    }

    fileprivate func step() throws(StorageError) {
        let (dies, isDead) = life.withLock { life in
            let dies = !life.isDead && life.left == 0
            life.left -= 1
            if dies { life.isDead = true }
            return (dies, life.isDead)
        }
        if dies { last() }
        if isDead { throw MortalStorage.death }
    }

    private static var death: StorageError { StorageError(.io, "the power is gone", at: .root) }

    func list() throws(StorageError) -> [StoredArchive] {
        try live()
        return try base.list()
    }

    func names(of numbers: ClosedRange<UInt64>) throws(StorageError) -> [ArchiveName] {
        try live()
        return try base.names(of: numbers)
    }

    var stamp: String? { isDead ? nil : base.stamp }

    func foreignNames() throws(StorageError) -> [[UInt8]] {
        try live()
        return try base.foreignNames()
    }

    func open(_ name: ArchiveName) throws(StorageError) -> any ArchiveSource {
        try live()
        return try base.open(name)
    }

    func begin(_ number: UInt64) throws(StorageError) -> any ArchiveSink {
        try step()
        return MortalSink(base: try base.begin(number), storage: self)
    }

    func remove(_ name: ArchiveName) throws(StorageError) {
        try step()
        try base.remove(name)
        try step()
    }

    func makeRemovalsDurable() throws(StorageError) {
        try live()
        try base.makeRemovalsDurable()
    }

    func removeLeftovers() throws(StorageError) -> Int {
        try live()
        return try base.removeLeftovers()
    }

    var freeBytes: UInt64? { base.freeBytes }
}

private final class MortalSink: ArchiveSink {
    private let base: any ArchiveSink
    private let storage: MortalStorage
    var count: UInt64 { base.count }
    var path: Path { base.path }

    init(base: any ArchiveSink, storage: MortalStorage) {
        self.base = base
        self.storage = storage
    }

    deinit {
        // The end of the sink below would remove its temporary file.
        if storage.isDead { _ = Unmanaged.passRetained(base as AnyObject) }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        try storage.step()
        try base.append(bytes)
    }

    func publish(kind: ArchiveKind, time: Int64) throws(StorageError) -> StoredArchive {
        try storage.step()
        let stored = try base.publish(kind: kind, time: time)
        try storage.step()
        return stored
    }

    func abandon() {
        if !storage.isDead { base.abandon() }
    }
}
