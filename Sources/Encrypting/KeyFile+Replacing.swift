// A new key takes the place of the one in the key file, in two steps that a crash may come between.
// In: the new key.  Out: first `<key file>.new`; then, once the repository knows the key, the key file itself.
// Invariant: the file with the new key is durable before the repository hears of it, and the old key file stays until it has.

package import Kernel

extension KeyFile {
    /// Where a new key waits: beside the key file, or beside what a symlink in its place leads to.
    package static func waitingPlace(for path: Path) -> Path {
        let file = target(of: path)
        return (file.parent ?? .root).appending(file.name + Array(".new".utf8))
    }

    /// Renames the file with the waiting key over the key file, whose own key is gone then.
    ///
    /// - Parameter key: The waiting one. It is no error when another process has put it into its place already.
    /// - Throws: `.file`; the new key still waits.
    package static func takeWaiting(_ key: SecretKey, to path: Path) throws(EncryptionError) {
        let file = target(of: path)
        do throws(Errno) {
            let directory = try Descriptor.ofParent(of: file)
            let waiting = waitingPlace(for: path).name.map { CChar(bitPattern: $0) } + [0]
            try directory.rename(waiting, to: file.name.map { CChar(bitPattern: $0) } + [0], in: directory)
            try (file.parent ?? .root).synchronizeDirectory()
        } catch {
            if let present = try? read(at: path), present.key == key { return }
            throw EncryptionError(.file, "the new key cannot take the place of the old one, and waits beside it", path: path, errno: error)
        }
    }

    /// Puts `key` into the key file in one step, whatever key stands there. Durable when it returns; the mode is 0600.
    ///
    /// - Throws: `.file`; the old file is still there.
    package static func replace(with key: SecretKey, at path: Path) throws(EncryptionError) {
        var text = key.textBytes + Array("\n".utf8)
        defer { text.wipe() }
        do throws(Errno) {
            try target(of: path).replaceFile(with: text, mode: 0o600)
        } catch {
            throw EncryptionError(.file, "cannot replace the key file", path: path, errno: error)
        }
    }

    /// What counts is the file: a symlink to it stays a symlink.
    private static func target(of path: Path) -> Path { (try? path.resolved()) ?? path }
}
