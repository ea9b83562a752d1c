// The secret key in a file of its own: 44 characters and a line end, for its owner alone.
// In: a path.  Out: the key, and whether others could have read it.
// A crash while writing leaves the old state or the new, never half a key: the file gets its name when it is whole.

package import Kernel

package struct KeyFile: Sendable {
    package let key: SecretKey
    /// Group or others may read the file: the key works, and the owner should hear of it.
    package let readableByOthers: Bool

    /// Reads and checks the key file. A symlink is followed; what counts is the file.
    ///
    /// - Throws: `.keyMissing`; `.keyUnsafe` when others can write it or it belongs to someone other than this user or root;
    ///   `.malformed`; `.file` with the errno of what failed.
    package static func read(at path: Path) throws(EncryptionError) -> KeyFile {
        // Room for more than the key and a line end, so that more is noticed.
        let room = ByteRoom(64)
        let status: FileStatus
        var count = 0
        do throws(Errno) {
            // A FIFO in its place must not make this wait.
            let file = try Descriptor.open(path, [.read, .nonBlocking])
            status = try file.status()
            var last = status.kind == .file ? -1 : 0
            while last != 0, count < room.bytes.count {
                last = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: room.bytes[count...]))
                count += last
            }
        } catch .noSuchFileOrDirectory {
            throw EncryptionError(.keyMissing, "there is no key file; bring it back from what was printed, or with a passphrase: watchctl key import [--passphrase]", path: path)
        } catch {
            throw EncryptionError(.file, "cannot read the key file", path: path, errno: error)
        }
        try checkSafety(status, path)
        guard let key = SecretKey(text: UnsafeRawBufferPointer(rebasing: room.bytes[..<count])) else {
            throw EncryptionError(.malformed, "not a key file: it must hold the 44 characters of a Fernet key", path: path)
        }
        return KeyFile(key: key, readableByOthers: status.mode & 0o044 != 0)
    }

    private static func checkSafety(_ status: FileStatus, _ path: Path) throws(EncryptionError) {
        if status.mode & 0o022 != 0 {
            throw EncryptionError(.keyUnsafe, "others can write the key file; after checking the key, run: chmod 600 \(path)", path: path)
        }
        // Root can write every file; anyone else could exchange the key.
        if status.uid != ProcessIdentity.uid, status.uid != 0 {
            let owner = AccountDatabase.userName(status.uid) ?? "user \(status.uid)"
            throw EncryptionError(.keyUnsafe, "the key file belongs to \(owner), not to this user", path: path)
        }
    }

    /// Writes the key with mode 0600; directories that are missing are made with 0700. A file with the same key stays as it is. When this
    /// returns, the file and the names that lead to it are on the disk.
    ///
    /// - Throws: `.keyExists` when something else stands there, which stays untouched; `.keyUnsafe` as `read`; `.file`.
    package static func write(_ key: SecretKey, to path: Path) throws(EncryptionError) {
        if try holds(key, path) { return try makeNameDurable(path) }
        var text = key.textBytes + Array("\n".utf8)
        defer { text.wipe() }
        let suffix = Hex.encode(try RandomBytes.make(8))
        let temporary = path.parent?.appending(Array(".\(suffix).key".utf8)) ?? path
        do throws(Errno) {
            // A key whose directory is gone after a power cut is gone as well.
            try (path.parent ?? .root).makeDirectories(mode: 0o700, .durable)
            try create(text, at: temporary, linkedTo: path)
        } catch .fileExists {
            // Another process was faster: its key may be the same.
            if try holds(key, path) { return try makeNameDurable(path) }
            throw EncryptionError(.keyExists, "another file stands where the key would be written", path: path)
        } catch {
            throw EncryptionError(.file, "cannot write the key file", path: path, errno: error)
        }
    }

    /// Whoever put the file there may have been killed before its name was durable.
    private static func makeNameDurable(_ path: Path) throws(EncryptionError) {
        do throws(Errno) {
            try (path.parent ?? .root).makeDirectories(mode: 0o700, .durable)
            do throws(Errno) { try (path.parent ?? .root).synchronizeDirectory() } catch .permissionDenied {}
        } catch {
            throw EncryptionError(.file, "cannot make the key file durable", path: path, errno: error)
        }
    }

    /// True for a name under which a key is written before it has its place: `.<16 hexadecimal digits>.key`.
    package static func isTemporaryName(_ name: [UInt8]) -> Bool {
        name.count == 1 + 16 + 4 && name[0] == UInt8(ascii: ".") && name.suffix(4).elementsEqual(".key".utf8) && Hex.decode(name[1...16]) != nil
    }

    /// True when `path` already holds this key, false when nothing is there.
    private static func holds(_ key: SecretKey, _ path: Path) throws(EncryptionError) -> Bool {
        do throws(EncryptionError) {
            if try read(at: path).key == key { return true }
        } catch {
            if error.code == .keyMissing { return false }
            if error.code != .malformed { throw error }
        }
        throw EncryptionError(.keyExists, "another key or file stands where the key would be written", path: path)
    }

    /// A new file under `temporary`, whole and durable, then under `path`, where nothing may stand; `temporary` is gone after it.
    private static func create(_ text: [UInt8], at temporary: Path, linkedTo path: Path) throws(Errno) {
        let directory = try Descriptor.ofParent(of: path)
        let temporaryName = temporary.name.map { CChar(bitPattern: $0) } + [0]
        let name = path.name.map { CChar(bitPattern: $0) } + [0]
        let file = try Descriptor.open(temporaryName, in: directory, [.write, .create, .exclusive, .noFollow], mode: 0o600)
        defer { try? directory.remove(temporaryName) }
        try file.setMode(0o600)
        try file.write(text)
        try file.synchronize()
        do throws(Errno) {
            // Unlike a rename, a link never replaces what stands there.
            try directory.link(temporaryName, as: name, in: directory)
        } catch .notPermitted, .notSupported {
            // A file system without hard links.
            if path.exists { throw .fileExists }
            try directory.rename(temporaryName, to: name, in: directory)
        }
        try (path.parent ?? .root).synchronizeDirectory()
    }
}
