// Archives in memory: the second kind of storage that the conformance suite runs on.

import Archiving
import Encrypting
import Kernel
import Storing

final class MemoryStorage: Storage {
    struct State {
        var archives: [ArchiveName: [UInt8]] = [:]
        var foreign: [[UInt8]] = []
        var unfinished = 0
    }

    let state = Monitor(State())

    func list() throws(StorageError) -> [StoredArchive] {
        state.withLock { $0.archives.map { StoredArchive(name: $0.key, size: UInt64($0.value.count)) } }
            .sorted { $0.name < $1.name }
    }

    func names(of numbers: ClosedRange<UInt64>) throws(StorageError) -> [ArchiveName] { try list().map(\.name).filter { numbers.contains($0.number) } }

    var stamp: String? { nil }

    func foreignNames() throws(StorageError) -> [[UInt8]] {
        state.withLock { $0.foreign }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    func open(_ name: ArchiveName) throws(StorageError) -> any ArchiveSource {
        guard let bytes = state.withLock({ $0.archives[name] }) else { throw StorageError(.missing, "gone", at: .root) }
        return MemorySource(bytes)
    }

    func begin(_ number: UInt64) throws(StorageError) -> any ArchiveSink {
        state.withLock { $0.unfinished += 1 }
        return MemorySink(number: number, storage: self)
    }

    func remove(_ name: ArchiveName) throws(StorageError) {
        guard state.withLock({ $0.archives.removeValue(forKey: name) }) != nil else {
            throw StorageError(.missing, "gone", at: .root)
        }
    }

    func makeRemovalsDurable() {}

    func removeLeftovers() throws(StorageError) -> Int {
        state.withLock { state in
            defer { state.unfinished = 0 }
            return state.unfinished
        }
    }

    var freeBytes: UInt64? { nil }
}

final class MemorySource: ArchiveSource {
    private let bytes: [UInt8]
    let path = Path.root
    var size: UInt64 { UInt64(bytes.count) }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        guard offset < size else { return 0 }
        let part = bytes[Int(offset)...].prefix(buffer.count)
        buffer.copyBytes(from: part)
        return part.count
    }
}

final class MemorySink: ArchiveSink {
    private let number: UInt64
    private let storage: MemoryStorage
    private var bytes: [UInt8] = []
    private var ended: StorageError?
    let path = Path.root
    var count: UInt64 { UInt64(bytes.count) }

    init(number: UInt64, storage: MemoryStorage) {
        self.number = number
        self.storage = storage
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        if let ended { throw ended }
        self.bytes += bytes
    }

    func publish(kind: ArchiveKind, time: Int64) throws(StorageError) -> StoredArchive {
        if let ended { throw ended }
        let name = ArchiveName(number: number, time: time, kind: kind, digest: SHA256.digest(of: bytes))
        let isNew = storage.state.withLock { state in
            state.unfinished -= 1
            if state.archives[name] != nil { return false }
            state.archives[name] = bytes
            return true
        }
        ended = StorageError(.alreadyExists, "published", at: .root)
        if !isNew { throw StorageError(.alreadyExists, "there already", at: .root) }
        return StoredArchive(name: name, size: count)
    }

    func abandon() {
        if ended == nil {
            storage.state.withLock { $0.unfinished -= 1 }
            ended = StorageError(.cancelled, "abandoned", at: .root)
        }
    }
}
