// The file that an export makes: written beside its place, made durable, and then named.
// In: pieces.  Out: the file, with mode 0600.
// Invariant: what has the name is whole, and nothing that stood there is replaced. A crash leaves a hidden file beside it,
// `.<name>.<random>.part`. Source: link(2).

internal import Kernel

final class ExportFile: ExportStage {
    private let path: Path
    private let directory: Descriptor
    private let file: Descriptor
    private let temporary: [CChar]
    private var isPublished = false

    /// - Throws: `.fileExists` when something stands at `path`, `.file`; nothing is left.
    init(at path: Path) throws(ExchangeError) {
        self.path = path
        guard !path.isRoot, !path.exists else { throw ExportFile.exists(path) }
        let suffix = String(UInt64.random(in: 0 ... .max), radix: 36)
        // A name has at most 255 bytes.
        temporary = TargetDirectory.name((Array(".".utf8) + path.name.prefix(200) + Array(".\(suffix).part".utf8))[...])
        do throws(Errno) {
            directory = try Descriptor.ofParent(of: path)
            file = try Descriptor.open(temporary, in: directory, [.write, .create, .exclusive, .noFollow], mode: 0o600)
            try file.setMode(0o600)
        } catch {
            throw ExchangeError(.file, "the file cannot be made", path: path, errno: error)
        }
    }

    deinit {
        if !isPublished { try? directory.remove(temporary) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        do throws(Errno) {
            try file.write(bytes)
        } catch {
            throw ExchangeError(.file, "the file cannot be written", path: path, errno: error)
        }
    }

    /// - Throws: `.fileExists` when something appeared there meanwhile, `.file`; nothing is left.
    func finish() throws {
        let name = TargetDirectory.name(path.name)
        do throws(Errno) {
            try file.synchronize()
            do throws(Errno) {
                // Unlike a rename, a link never replaces what stands there.
                try directory.link(temporary, as: name, in: directory)
                try directory.remove(temporary)
            } catch .notPermitted, .notSupported {
                // A file system without hard links.
                if path.exists { throw .fileExists }
                try directory.rename(temporary, to: name, in: directory)
            }
            isPublished = true
            try (path.parent ?? .root).synchronizeDirectory()
        } catch .fileExists {
            throw ExportFile.exists(path)
        } catch {
            throw ExchangeError(.file, "the file cannot be written", path: path, errno: error)
        }
    }

    private static func exists(_ path: Path) -> ExchangeError {
        ExchangeError(.fileExists, "something stands there already; choose another name, or remove it first", path: path)
    }
}
