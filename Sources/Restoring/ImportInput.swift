// Reads the tar file that is inside a single-file archive.
// In: a Fernet token of a tar.xz, a tar.xz, or a tar.  Out: the tar's bytes, in pieces.
// Invariant: nothing of a token is decrypted before all of it is authenticated. Memory is bounded, whatever the size.

internal import Compressing
internal import Encrypting
internal import Kernel

final class ImportInput {
    private let file: InputFile
    /// The whole token was authenticated; nil for what is not encrypted.
    private let token: FernetTextReader?

    private static let pieceCount = 1 << 20

    /// Opens the file and finds its format; of a token, reads and authenticates all of it.
    ///
    /// - Throws: `ExchangeError`: `.file`, `.unknownFormat`, `.keyMissing`, `.cancelled`; `EncryptionError` for another key and for
    ///   a token that was changed.
    init(_ path: Path, keys: [SecretKey], isCancelled: @escaping @Sendable () -> Bool) throws {
        let file = try InputFile(path, isCancelled: isCancelled)
        guard let format = ExportFormat(beginning: try file.beginning()) else {
            throw ExchangeError(.unknownFormat, "this is neither a Fernet token nor a .tar.xz nor a .tar file", path: path)
        }
        if format == .fernet {
            if keys.isEmpty { throw ExchangeError(.keyMissing, "the file is encrypted, and there is no key", path: path) }
            token = try ImportInput.authenticate(file, keys)
        } else {
            token = nil
        }
        self.file = file
    }

    /// The token, with the first of one or more keys that it was made with.
    private static func authenticate(_ file: InputFile, _ keys: [SecretKey]) throws -> FernetTextReader {
        for key in keys.dropLast() {
            do {
                return try FernetTextReader(key: key, reading: file.read)
            } catch let error as EncryptionError where error.code == .authentication {
                try file.rewind()
            }
        }
        return try FernetTextReader(key: keys[keys.count - 1], reading: file.read)
    }

    /// Gives the tar's bytes to `sink`, from the first to the last.
    ///
    /// - Throws: What `sink` throws, `ExchangeError`, `CompressionError`, and `EncryptionError` when the file was exchanged after it was
    ///   opened. What `sink` was given is then the beginning of the archive.
    func read(to sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
        let unpacker = try Unpacker(to: sink)
        try file.rewind()
        if let token {
            try token.decrypt(reading: file.read, to: unpacker.write)
        } else {
            let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: ImportInput.pieceCount, alignment: 16)
            defer { piece.deallocate() }
            while true {
                let count = try file.read(into: piece)
                if count == 0 { break }
                // The kernel has written the first `count` bytes.
                try unpacker.write(UnsafeRawBufferPointer(rebasing: piece[..<count]))
            }
        }
        try unpacker.finish()
    }
}

/// The file that is read, with errors that name it.
private final class InputFile {
    private let path: Path
    private let descriptor: Descriptor
    private let isCancelled: @Sendable () -> Bool

    init(_ path: Path, isCancelled: @escaping @Sendable () -> Bool) throws(ExchangeError) {
        self.path = path
        self.isCancelled = isCancelled
        do throws(Errno) {
            // A FIFO must not make this wait.
            descriptor = try Descriptor.open(path, [.read, .nonBlocking])
        } catch {
            throw InputFile.unreadable(path, error)
        }
    }

    func beginning() throws(ExchangeError) -> [UInt8] {
        do throws(Errno) {
            return try descriptor.bytes(at: 0, count: ExportFormat.beginningCount)
        } catch {
            throw InputFile.unreadable(path, error)
        }
    }

    func rewind() throws(ExchangeError) {
        do throws(Errno) { try descriptor.seek(to: 0) } catch { throw InputFile.unreadable(path, error) }
    }

    /// The next bytes; 0 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(ExchangeError) -> Int {
        if isCancelled() { throw ExchangeError(.cancelled, "the import was cancelled", path: path) }
        do throws(Errno) {
            return try descriptor.read(into: buffer)
        } catch {
            throw InputFile.unreadable(path, error)
        }
    }

    private static func unreadable(_ path: Path, _ error: Errno) -> ExchangeError {
        ExchangeError(.file, "the file cannot be read", path: path, errno: error)
    }
}

/// Decompresses what is xz, and passes on everything else as it is.
private final class Unpacker {
    private let sink: (UnsafeRawBufferPointer) throws -> Void
    private var decoder: XZDecoder
    private var isXZ: Bool?
    private var beginning: [UInt8] = []

    init(to sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
        self.sink = sink
        decoder = try XZDecoder()
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        if isXZ != nil { return try pass(bytes) }
        beginning += bytes
        if beginning.count >= ExportFormat.beginningCount { try decide() }
    }

    func finish() throws {
        if isXZ == nil { try decide() }
        if isXZ == true { try decoder.finish(to: sink) }
    }

    private func decide() throws {
        isXZ = ExportFormat(beginning: beginning) == .tarXZ
        let bytes = beginning
        beginning = []
        try bytes.withUnsafeBytes { try pass($0) }
    }

    private func pass(_ bytes: UnsafeRawBufferPointer) throws {
        if bytes.isEmpty { return }
        if isXZ == true { try decoder.write(bytes, to: sink) } else { try sink(bytes) }
    }
}
