// One archive being written to a directory: temporary name, hash, fsync, final name, fsync of the directory.
// In: bytes from front to back.  Out: a published archive, or nothing.
// Invariant: until `publish` returns, a listing does not show it; after a failure no temporary file is left.
// On a crash the temporary file stays, and the next writer removes it.
// Source: RepositoryFormat, "Writing"; link(2), for rename(2) would replace a file of the same name.

internal import Archiving
internal import Encrypting
internal import Kernel

final class LocalSink: ArchiveSink {
    private(set) var count: UInt64 = 0

    private let number: UInt64
    let path: Path
    private let directory: Descriptor
    /// Nil once nothing more is written, so that a finished archive keeps no disk busy.
    private var file: Descriptor?
    private let temporaryName: [CChar]
    private var hasher = SHA256Hasher()
    private var buffer: [UInt8] = []
    private var state = State.open

    private enum State {
        case open, published
        /// Abandoned, or failed with an error that every later call throws again.
        case ended(StorageError)
    }

    /// Small pieces are gathered up to here; larger ones are written as they come.
    private static let bufferLimit = 1 << 20

    init(number: UInt64, in directory: consuming Descriptor, at path: Path) throws(StorageError) {
        let name = ".\(padded(number, ArchiveName.digits)).\(LocalSink.randomHex()).tmp"
        temporaryName = cString(name)
        do throws(Errno) {
            file = try Descriptor.open(temporaryName, in: directory, [.write, .create, .exclusive, .noFollow], mode: 0o600)
        } catch {
            throw StorageError(error, cannot: "begin an archive", at: path)
        }
        self.number = number
        self.path = path
        self.directory = directory
    }

    deinit {
        if case .open = state { try? directory.remove(temporaryName) }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        try checkOpen()
        hasher.update(bytes)
        count += UInt64(bytes.count)
        if buffer.count + bytes.count <= LocalSink.bufferLimit {
            buffer.append(contentsOf: bytes)
            return
        }
        do throws(Errno) {
            try writeBuffer()
            if bytes.count <= LocalSink.bufferLimit / 4 {
                buffer.append(contentsOf: bytes)
            } else {
                try file?.write(bytes)
            }
        } catch {
            throw end(StorageError(error, cannot: "write an archive", at: path))
        }
    }

    func publish(kind: ArchiveKind, time: Int64) throws(StorageError) -> StoredArchive {
        try checkOpen()
        let name = ArchiveName(number: number, time: time, kind: kind, digest: hasher.finish())
        guard ArchiveName(name.text) == name else {
            throw end(StorageError(.malformed, "no archive can have this number and time: \(name.text)", at: path))
        }
        let target = path.appending(name.text.utf8)
        do throws(Errno) {
            try writeBuffer()
            try file?.synchronize()
            // What is read back later comes from the disk, and the cache stays with whoever works here.
            file?.dropFromCache()
            file = nil
            try giveName(cString(name.text))
        } catch .fileExists {
            throw end(StorageError(.alreadyExists, "an archive of this name is there already", at: target))
        } catch {
            throw end(StorageError(error, cannot: "publish the archive", at: target))
        }
        do throws(Errno) {
            try directory.synchronize()
        } catch {
            // Not known to be durable, so it is not left to be believed.
            try? directory.remove(cString(name.text))
            throw end(StorageError(error, cannot: "make the archive's name durable", at: target))
        }
        state = .published
        buffer = []
        return StoredArchive(name: name, size: count)
    }

    func abandon() {
        if case .open = state { _ = end(StorageError(.cancelled, "the archive was abandoned", at: path)) }
    }

    private func checkOpen() throws(StorageError) {
        switch state {
        case .open: return
        case .published: throw StorageError(.alreadyExists, "the archive is published already", at: path)
        case .ended(let error): throw error
        }
    }

    private func end(_ error: StorageError) -> StorageError {
        try? directory.remove(temporaryName)
        state = .ended(error)
        buffer = []
        file = nil
        return error
    }

    private func writeBuffer() throws(Errno) {
        try file?.write(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    private func giveName(_ name: [CChar]) throws(Errno) {
        do throws(Errno) {
            try directory.link(temporaryName, as: name, in: directory)
            try? directory.remove(temporaryName)
        } catch .notPermitted, .notSupported, .noFunction, .tooManyLinks {
            // A file system without hard links (FAT, some of FUSE and SMB). The writer's lock keeps others away.
            if (try? FileStatus(of: name, in: directory)) != nil { throw .fileExists }
            try directory.rename(temporaryName, to: name, in: directory)
        }
    }

    private static func randomHex() -> String {
        Hex.encode((0..<8).map { _ in UInt8.random(in: .min ... .max) })
    }

    /// True for `.<number>.<hexadecimal>.tmp`.
    static func isTemporaryName(_ name: [UInt8]) -> Bool {
        let parts = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0].isEmpty, parts[3].elementsEqual("tmp".utf8), !parts[2].isEmpty else { return false }
        return ArchiveName.number(parts[1]) != nil && Hex.decode(parts[2]) != nil
    }
}
