// An archive that was just published, and what its writer knows of it.
// In: ArchiveWriter.  Out: the catalog's new rows; the proof that it can be read.

package import Archiving
package import Encrypting
internal import Kernel

package struct PublishedArchive: Hashable, Sendable {
    package var stored: StoredArchive
    package var contents: ArchiveContents

    package init(stored: StoredArchive, contents: ArchiveContents) {
        self.stored = stored
        self.contents = contents
    }

    /// Reads the whole archive again: its digest against its name, and its contents against those that were written.
    ///
    /// - Throws: `ArchiveError` for damage, `StorageError` when it cannot be read. The archive stays where it is, and
    ///   must not be trusted: nothing that it replaces may be removed.
    /// - Complexity: One pass over the file, from the disk as far as the kernel allows it.
    package func readBack(from storage: any Storage, keys: [SecretKey]) throws {
        let source = try storage.open(stored.name)
        try stored.verifyDigest(of: source)
        let reader = try ArchiveReader(source, name: stored.name, keys: keys, repository: contents.repository)
        guard reader.contents == contents else {
            throw ArchiveError(.digestMismatch, "its contents are not those that were written", archive: stored.name.text)
        }
    }
}
