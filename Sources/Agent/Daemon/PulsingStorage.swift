// The repository as the loop uses it: every piece that is read or written is a sign of the loop's life.
// In: another storage.  Out: what that one says, and a beat for each call.
// What asks between its steps whether it must end beats by itself; a purge, or a catalog made anew from many archives, does not ask.

internal import Archiving
internal import Kernel
internal import Storing
internal import Watching

struct PulsingStorage: Storage {
    let base: any Storage
    let pulse: Pulse

    func list() throws(StorageError) -> [StoredArchive] { try base.list() }

    func names(of numbers: ClosedRange<UInt64>) throws(StorageError) -> [ArchiveName] { try base.names(of: numbers) }

    var stamp: String? { base.stamp }

    func foreignNames() throws(StorageError) -> [[UInt8]] { try base.foreignNames() }

    func open(_ name: ArchiveName) throws(StorageError) -> any ArchiveSource {
        PulsingSource(base: try base.open(name), pulse: pulse)
    }

    func begin(_ number: UInt64) throws(StorageError) -> any ArchiveSink {
        PulsingSink(try base.begin(number), pulse)
    }

    func remove(_ name: ArchiveName) throws(StorageError) {
        pulse.beat()
        try base.remove(name)
    }

    func makeRemovalsDurable() throws(StorageError) { try base.makeRemovalsDurable() }

    func removeLeftovers() throws(StorageError) -> Int { try base.removeLeftovers() }

    var freeBytes: UInt64? { base.freeBytes }
}

private struct PulsingSource: ArchiveSource {
    let base: any ArchiveSource
    let pulse: Pulse

    var size: UInt64 { base.size }
    var path: Path { base.path }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        pulse.beat()
        return try base.read(into: buffer, at: offset)
    }
}

private final class PulsingSink: ArchiveSink {
    private let base: any ArchiveSink
    private let pulse: Pulse

    init(_ base: any ArchiveSink, _ pulse: Pulse) {
        self.base = base
        self.pulse = pulse
    }

    var count: UInt64 { base.count }
    var path: Path { base.path }

    func append(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        pulse.beat()
        try base.append(bytes)
    }

    func publish(kind: ArchiveKind, time: Int64) throws(StorageError) -> StoredArchive {
        pulse.beat()
        return try base.publish(kind: kind, time: time)
    }

    func abandon() { base.abandon() }
}
