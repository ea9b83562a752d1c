// The stages through which an export flows: tar bytes → xz → Fernet text → file or descriptor.
// In: pieces.  Out: pieces, to the next stage.
// Invariant: each holds a bounded amount, whatever the length; after an error it is only dropped.

internal import Compressing
internal import Encrypting
internal import Kernel

protocol ExportStage: AnyObject {
    func write(_ bytes: UnsafeRawBufferPointer) throws
    /// Ends this stage, and then the next ones.
    func finish() throws
}

final class XZStage: ExportStage {
    private var encoder: XZEncoder
    private let next: any ExportStage
    /// Each thread takes about 160 MiB.
    private static let threadLimit = 4

    init(to next: any ExportStage) throws {
        encoder = try XZEncoder(level: 6, threads: min(Machine.processors, XZStage.threadLimit))
        self.next = next
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        try encoder.write(bytes) { try next.write($0) }
    }

    func finish() throws {
        try encoder.finish { try next.write($0) }
        try next.finish()
    }
}

final class FernetStage: ExportStage {
    private var writer: FernetTextWriter
    private let next: any ExportStage

    init(key: SecretKey, to next: any ExportStage) throws {
        writer = try FernetTextWriter(key: key, timeSeconds: UInt64(clamping: Timestamp.now().seconds))
        self.next = next
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        try writer.write(bytes) { try next.write($0) }
    }

    func finish() throws {
        try writer.finish { try next.write($0) }
        try next.finish()
    }
}

/// Standard output, or whatever else is open.
final class DescriptorStage: ExportStage {
    private let descriptor: Descriptor

    init(_ descriptor: borrowing Descriptor) throws(ExchangeError) {
        do throws(Errno) {
            self.descriptor = try descriptor.duplicate()
        } catch {
            throw ExchangeError(.file, "the output cannot be written", path: nil, errno: error)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        do throws(Errno) {
            try descriptor.write(bytes)
        } catch {
            throw ExchangeError(.file, "the output cannot be written", path: nil, errno: error)
        }
    }

    func finish() {}
}
