// Is an archive's file what its name says? Needs no key.
// In: an archive as listed, and its bytes.  Out: nothing when they are whole, else an error that says what differs.
// Source: RepositoryFormat, "The directory": sha256sum finds the same.

internal import Archiving
internal import Encrypting
internal import Kernel

extension StoredArchive {
    /// Reads the whole archive and compares its SHA-256 with the name, and its size with the listing.
    ///
    /// - Parameter progress: Called after each piece with its number of bytes; what it throws ends the check.
    /// - Throws: `ArchiveError` `truncated` or `digestMismatch` for damage, `StorageError` when it cannot be read.
    /// - Complexity: One pass; 1 MiB of memory.
    package func verifyDigest(of source: any ArchiveSource, progress: (Int) throws -> Void = { _ in }) throws {
        guard source.size == size else {
            throw ArchiveError(
                .truncated, "the file has \(source.size) bytes and was listed with \(size)", archive: name.text)
        }
        try name.verifyDigest(of: source, progress: progress)
    }
}

extension ArchiveName {
    /// As `StoredArchive.verifyDigest`, without a size to compare.
    package func verifyDigest(of source: any ArchiveSource, progress: (Int) throws -> Void = { _ in }) throws {
        var hasher = SHA256Hasher()
        var piece = [UInt8](repeating: 0, count: 1 << 20)
        var offset: UInt64 = 0
        while offset < source.size {
            let count = try piece.withUnsafeMutableBytes { try source.read(into: $0, at: offset) }
            if count == 0 { break }
            piece.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += UInt64(count)
            try progress(count)
        }
        guard offset >= source.size else {
            throw ArchiveError(
                .truncated, "the file ends at \(offset) of \(source.size) bytes", archive: text, offset: offset)
        }
        let found = hasher.finish()
        guard found == digest else {
            throw ArchiveError(.digestMismatch, "the file's SHA-256 is \(found), not the one of its name", archive: text)
        }
    }
}
