// A storage that dies: from one operation on every call fails, those that would clean up too, as after a power cut. Or one that has a
// bad spell: a few operations fail, as on a full or failing disk, and then all is well again.
// In: how many operations go well.  Out: what stood on the disk at the moment of death stays, unfinished archives included.

import Archiving
import Kernel
import Storing

final class MortalStorage: Storage {
    enum End: Sendable {
        /// With what is to be done at that moment, once.
        case death(@Sendable () -> Void)
        /// So many operations that change something fail with this code.
        case spell(Int, StorageError.Code)
    }

    private let base: any Storage
    private let life: Monitor<(left: Int, isDead: Bool)>
    private let end: End

    /// - Parameter operations: That still succeed. Of those that change something, each counts twice: before it and after it.
    init(_ base: any Storage, operations: Int, _ end: End = .death({})) {
        self.base = base
        life = Monitor((operations, false))
        self.end = end
    }

    var isDead: Bool { life.withLock { $0.isDead } }
    /// Something has failed.
    var hasEnded: Bool { life.withLock { $0.left < 0 } }

    /// Whatever was to fail yet goes well.
    func heal() { life.withLock { $0.left = .max } }

    fileprivate func live() throws(StorageError) {
        if isDead { throw MortalStorage.death }
    }

    fileprivate func step() throws(StorageError) {
        let failed = life.withLock { life in
            life.left -= 1
            return -life.left
        }
        switch end {
        case .death(let last):
            if failed == 1 {
                life.withLock { $0.isDead = true }
                last()
            }
            if failed >= 1 { throw MortalStorage.death }
        case .spell(let count, let code):
            if (1...count).contains(failed) { throw StorageError(code, "a bad spell", at: .root) }
        }
    }

    /// The power may also go behind an operation; one that has failed has changed nothing.
    fileprivate func stepBehind() throws(StorageError) {
        if case .death = end { try step() }
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
        try stepBehind()
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
        try storage.stepBehind()
        return stored
    }

    func abandon() {
        if !storage.isDead { base.abandon() }
    }
}
