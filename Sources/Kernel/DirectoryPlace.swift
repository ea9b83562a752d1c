// A directory below another one, as a place only: to make, rename and remove names in it, not to read it.
// Source: openat2(2).

internal import CLinux
internal import Glibc

extension Descriptor {
    /// Opens the directory at `path`, relative to this one, as a place only, without leaving this one and without following
    /// any symlink. No permission to read it is needed.
    ///
    /// - Throws: EXDEV for an attempt to leave, ELOOP for a symlink on the way, ENOTDIR for anything else that is no directory.
    public borrowing func openDirectoryBeneath(_ path: UnsafePointer<CChar>) throws(Errno) -> Descriptor {
        let directory = rawValue
        // With O_PATH the call refuses every flag but these, also O_NOCTTY.
        let flags = UInt64(UInt32(bitPattern: pathOnlyFlag | O_DIRECTORY | O_CLOEXEC))
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_NO_SYMLINKS)
        return Descriptor(owning: try system { clinux_openat2(directory, path, flags, 0, resolve) })
    }
}
