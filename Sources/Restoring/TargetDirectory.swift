// The directory that a restore writes below, and never out of.
// In: places relative to it, from a snapshot that may be hostile.  Out: descriptors of what stands there.
// Invariant: no symlink below the target is ever followed, and ".." never leaves it (openat2 with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS). Source: openat2(2).

package import Kernel

package final class TargetDirectory: Sendable {
    package let path: Path
    private let root: Descriptor

    /// Opens the directory, and makes it and those above it where they are missing.
    ///
    /// - Throws: `Errno`; directories already made stay.
    package init(_ path: Path) throws(Errno) {
        try path.makeDirectories(mode: 0o755)
        self.path = path
        root = try Descriptor.open(path, [.read, .directory])
    }

    /// Opens what stands at `place`; the empty place is the target itself.
    package func open(_ place: Path, _ options: Descriptor.Options, mode: UInt16 = 0) throws(Errno) -> Descriptor {
        if place.isRoot { return try root.openBeneath(".", options, mode: mode) }
        if place.bytes.count < 4000 { return try root.openBeneath(TargetDirectory.name(place.bytes[...]), options, mode: mode) }
        return try directory(ofParent: place).openBeneath(TargetDirectory.name(place.name), options, mode: mode)
    }

    /// The directory that holds `place`, as a place only.
    package func directory(ofParent place: Path) throws(Errno) -> Descriptor { try directory(place.parent ?? .root) }

    /// The directory at `place`, as a place only.
    package func directory(_ place: Path) throws(Errno) -> Descriptor {
        var current = try root.openDirectoryBeneath(".")
        // One call takes at most 4,095 bytes: a deeper place is walked in pieces.
        var rest = place.bytes[...]
        while !rest.isEmpty {
            var piece = rest
            if rest.count >= 4000 {
                let limit = rest.index(rest.startIndex, offsetBy: 4000)
                // A component has at most 255 bytes, so there is a slash.
                let slash = rest[..<limit].lastIndex(of: UInt8(ascii: "/")) ?? limit
                piece = rest[..<slash]
            }
            let next = try current.openDirectoryBeneath(TargetDirectory.name(piece))
            current = next
            rest = rest[piece.endIndex...].drop { $0 == UInt8(ascii: "/") }
        }
        return current
    }

    /// Makes the directory at `place` and those above it, where they are missing, with mode 0755.
    ///
    /// - Returns: Those that were missing.
    /// - Throws: ENOTDIR or ELOOP when something else stands on the way; directories already made stay.
    /// - Complexity: Two or three system calls for each component.
    package func makeDirectories(_ place: Path) throws(Errno) -> [Path] {
        var current = try root.openDirectoryBeneath(".")
        var made: [Path] = []
        for component in place.components {
            let name = TargetDirectory.name(component)
            do throws(Errno) {
                current = try current.openDirectoryBeneath(name)
            } catch .noSuchFileOrDirectory {
                try current.makeDirectory(name, mode: 0o755)
                current = try current.openDirectoryBeneath(name)
                made.append(Path(unchecked: Array(place.bytes[..<component.endIndex])))
            }
        }
        return made
    }

    /// What stands at `place`; nil when nothing does.
    ///
    /// - Throws: ELOOP when one of the directories on the way is a symlink.
    package func status(of place: Path) throws(Errno) -> FileStatus? {
        do throws(Errno) {
            if place.isRoot { return try root.status() }
            return try FileStatus(of: TargetDirectory.name(place.name), in: directory(ofParent: place))
        } catch .noSuchFileOrDirectory {
            return nil
        } catch .notDirectory {
            return nil
        }
    }

    /// The bytes with the closing NUL that the kernel wants.
    static func name(_ bytes: ArraySlice<UInt8>) -> [CChar] {
        var result = [CChar]()
        result.reserveCapacity(bytes.count + 1)
        for byte in bytes { result.append(CChar(bitPattern: byte)) }
        result.append(0)
        return result
    }
}
